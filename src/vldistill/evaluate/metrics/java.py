"""Java programs run so that a failure is an error and the user's locale changes nothing.

The caption metrics' own wrappers ignore Java's exit status (a dying JVM then looks like a score of 0.0) and inherit
the locale: METEOR crashes under a decimal comma, the tokenizer lower-cases wrongly under a Turkish one.
"""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from vldistill.errors import VldistillError

OPTIONS = ("-Duser.language=en", "-Duser.country=US", "-Dfile.encoding=UTF-8")
INSTALL = (
    "Install a Java runtime: `apt install default-jre-headless`, `brew install openjdk` or `conda install openjdk`"
)


class JavaError(VldistillError):
    """Java is missing or a Java program failed."""


def wheel() -> Path:
    """Folder of the installed pycocoevalcap, whose jars are run; nothing is ever written there."""
    spec = importlib.util.find_spec("pycocoevalcap")
    if spec is None or not spec.submodule_search_locations:
        raise VldistillError("the package pycocoevalcap is not installed. Run `pip install pycocoevalcap==1.2`")
    return Path(next(iter(spec.submodule_search_locations)))


def java() -> str:
    """Path of the Java launcher: the one of $JAVA_HOME, else the first on $PATH.

    Raises:
        JavaError: there is none.
    """
    home = os.environ.get("JAVA_HOME")
    found = (shutil.which("java", path=str(Path(home) / "bin")) if home else None) or shutil.which("java")
    if found is None:
        raise JavaError(f"Java is not installed, and the caption metrics' tokenizer needs it. {INSTALL}")
    return found


@cache
def _version(launcher: str) -> int:
    # a launcher can be there without a Java behind it (macOS ships such a stub), so it has to be asked
    asked = subprocess.run([launcher, "-version"], capture_output=True, text=True, errors="replace")
    match = re.search(r'version "(?:1\.)?(\d+)', asked.stderr)
    if asked.returncode or match is None:
        raise JavaError(f"{launcher} does not work: {asked.stderr.strip()[:200]}. {INSTALL}")
    return int(match[1])


def java_version() -> int:
    """Major version of the Java that would run, such as 17.

    Raises:
        JavaError: there is none or it does not start.
    """
    return _version(java())


def java_problem() -> str | None:
    """Why Java programs cannot run here, or None if they can."""
    try:
        java_version()
    except JavaError as error:
        return str(error)
    return None


def environment() -> dict[str, str]:
    """The environment Java programs get: this one, in a locale that reads and writes UTF-8 and decimal points."""
    return {**os.environ, "LC_ALL": "C.UTF-8"}


def run_java(arguments: Sequence[str], *, what: str, cwd: Path) -> str:
    """Run a Java program to its end and return what it printed.

    Args:
        arguments: what follows the launcher and the locale options.
        what: the program's name for messages.
        cwd: a private folder; programs may write there.

    Raises:
        JavaError: Java is missing or the program failed; the message ends with the last lines of its error output.
    """
    done = subprocess.run([java(), *OPTIONS, *arguments], cwd=cwd, env=environment(), capture_output=True)
    if done.returncode:
        raise JavaError(failure(what, done.returncode, done.stderr))
    return done.stdout.decode("utf-8")


def failure(what: str, status: int | None, stderr: bytes) -> str:
    """A message about a Java program that failed."""
    tail = " | ".join(stderr.decode("utf-8", errors="replace").strip().splitlines()[-4:])
    return f"{what} failed: Java ended with status {status}: {tail or 'no message'}"
