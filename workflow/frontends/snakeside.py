"""Snakemake, seen from its own parse: what this call is going to do, and what it knows of its outputs."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from base64 import urlsafe_b64encode
from contextlib import redirect_stderr
from io import StringIO
from pathlib import Path
from typing import Any

# Calls that build no results: they must neither change anything nor wait for DVC.
IDLE = (
    "archive",
    "cleanup_metadata",
    "cleanup_shadow",
    "conda_cleanup_envs",
    "conda_create_envs_only",
    "containerize",
    "d3dag",
    "dag",
    "delete_all_output",
    "delete_temp_output",
    "detailed_summary",
    "filegraph",
    "generate_unit_tests",
    "lint",
    "list_changes",
    "list_conda_envs",
    "list_input_changes",
    "list_params_changes",
    "list_rules",
    "list_target_rules",
    "list_untracked",
    "print_compilation",
    "report",
    "rulegraph",
    "summary",
    "touch",
    "unlock",
)
# ends the lists of files that a restart puts in front, so that the targets behind are not swallowed; always on anyway
END = "--rerun-incomplete"
METADATA = Path(".snakemake/metadata")


def mode(workflow: Any) -> str | None:
    """`run` or `dry`; None where this call makes no results: a process of a job, --lint, --unlock, ..."""
    program = Path(sys.argv[0])
    # `python -m snakemake`; `python -m frontends` reads the Snakefile as well, to tell what would run
    name = program.parent.name if program.name == "__main__.py" else program.name
    if not workflow.is_main_process or name != "snakemake":
        return None
    arguments = parsed()
    if any(getattr(arguments, name, None) for name in IDLE):
        return None
    return "dry" if arguments.dryrun else "run"


def restricted() -> bool:
    """Whether the user says which jobs to force or to leave out: nothing is adopted or forced on top of that."""
    return any(getattr(parsed(), name, None) for name in ("forceall", "forcerun", "allowed_rules"))


def asks_only_for(names: set[str]) -> bool:
    """Whether all targets of this call are among `names`."""
    targets = parsed().targets
    return bool(targets) and names.issuperset(targets)


def parsed() -> Any:
    """The options of this call; Snakemake has parsed them before, but tells a Snakefile nothing of it."""
    from snakemake.cli import parse_args

    # it would name the profile on stderr again
    with redirect_stderr(StringIO()):
        return parse_args(sys.argv[1:])[1]


def signature(path: str | Path) -> list[int] | None:
    """Modification time (ns) and size of a file, or None if there is none."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    return [found.st_mtime_ns, found.st_size]


def metadata(path: str) -> dict[str, Any]:
    """What Snakemake recorded when it made the file; empty if it did not."""
    try:
        return json.loads((METADATA / urlsafe_b64encode(path.encode()).decode()).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}


def made_here(path: str) -> bool:
    """Whether Snakemake's metadata speak of this very file: it made or touched it, and nothing replaced it since."""
    made = metadata(path).get("endtime")
    return made is not None and Path(path).exists() and abs(made - os.stat(path).st_mtime) < 0.01


def touch(rules: list[str], targets: list[str]) -> None:
    """Let Snakemake adopt existing outputs: write its metadata as if the rules had just run.

    Raises:
        RuntimeError: Snakemake failed; the message is the end of its output.
    """
    environment = {name: value for name, value in os.environ.items() if name != "SNAKEMAKE_PROFILE"}
    done = subprocess.run(
        [sys.executable, "-m", "snakemake", "--touch", "--forceall", "--cores", "1", "--quiet", "all"]
        + ["--allowed-rules", *rules, "--", *targets],
        capture_output=True,
        text=True,
        check=False,
        env={**environment, "VLDISTILL_SYNC": "off"},
    )
    if done.returncode:
        raise RuntimeError("\n".join(done.stderr.strip().splitlines()[-5:]))


def restart(*options: str) -> None:
    """Start this Snakemake call again with more options, in the same process; does not return.

    Which jobs are forced can be said on the command line only: Snakemake reads the Snakefile before it has the graph.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    os.environ["VLDISTILL_SYNC"] = "agreed"
    os.execv(sys.executable, [sys.executable, "-m", "snakemake", *options, END, *sys.argv[1:]])


def command() -> str:
    """This call as the user typed it, without what a restart put in front."""
    words = sys.argv[1:]
    if END in words:
        words = words[words.index(END) + 1 :]
    return shlex.join(["snakemake", *words])
