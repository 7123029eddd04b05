"""DVC, seen from outside: its stages as dvc.yaml writes them, its lock file, and its command line."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from vldistill.errors import InputError

PIPELINE = "dvc.yaml"
LOCK = Path("dvc.lock")
PARAMS = Path("params.yaml")
MANIFEST = "manifest.json"
FILLED_IN = re.compile(r"\$\{(key|item\.(\w+))\}")


@dataclass(frozen=True)
class Stage:
    """One stage of dvc.yaml; `rules` are the Snakemake rules its command may run, `target` what it asks for.

    Stages of one group (``distill_mad@vcr``, ``distill_mad@vqa``) have the same rules.
    """

    name: str
    rules: tuple[str, ...]
    target: str
    deps: tuple[str, ...]
    params: tuple[str, ...]
    outs: tuple[str, ...]

    @property
    def outputs(self) -> list[str]:
        """The files that stand for the outs: an artifact folder's manifest, a file itself."""
        return [out if Path(out).suffix else f"{out}/{MANIFEST}" for out in self.outs]

    @property
    def group(self) -> str:
        """The name in dvc.yaml: of all stages that one entry gives."""
        return self.name.partition("@")[0]


def stages() -> dict[str, Stage]:
    """The stages of ./dvc.yaml, in the order of the file."""
    tree = yaml.safe_load(Path(PIPELINE).read_text(encoding="utf-8"))
    return {each: _stage(each, entry) for name, given in tree["stages"].items() for each, entry in _each(name, given)}


def _each(name: str, entry: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """The stages of one entry with their names; `foreach` goes over a mapping of names to values."""
    if "foreach" not in entry:
        yield name, entry
        return
    for key, item in entry["foreach"].items():
        yield f"{name}@{key}", _filled_in(entry["do"], {"key": key, **item})


def _filled_in(tree: Any, values: dict[str, str]) -> Any:
    if isinstance(tree, dict):
        return {_filled_in(key, values): _filled_in(value, values) for key, value in tree.items()}
    if isinstance(tree, list):
        return [_filled_in(value, values) for value in tree]
    return FILLED_IN.sub(lambda found: values[found[2] or found[1]], tree) if isinstance(tree, str) else tree


def _stage(name: str, entry: dict[str, Any]) -> Stage:
    words = entry["cmd"].split()
    allowed, end = words.index("--allowed-rules"), words.index("--")
    return Stage(
        name,
        tuple(words[allowed + 1 : end]),
        words[end + 1],
        tuple(entry.get("deps", ())),
        tuple(entry.get("params", ())),
        tuple(out if isinstance(out, str) else next(iter(out)) for out in entry.get("outs", ())),
    )


def named(names: Iterable[str], all_stages: dict[str, Stage]) -> list[Stage]:
    """The stages of these names, and all stages of groups of these names.

    Raises:
        InputError: there is no such stage.
    """
    found = {name: [stage for stage in all_stages.values() if name in (stage.name, stage.group)] for name in names}
    for name, own in found.items():
        if not own:
            raise InputError(f"no stage called {name!r}", file=PIPELINE, action=f"Stages: {', '.join(all_stages)}")
    return [stage for own in found.values() for stage in own]


def downstream(names: set[str], all_stages: dict[str, Stage]) -> set[str]:
    """`names` and every stage that depends on one of them, directly or not."""
    reached = set(names)
    # dvc.yaml is in pipeline order, so one pass is enough
    for stage in all_stages.values():
        outs = [out for name in reached for out in all_stages[name].outs]
        if any(dep == out or dep.startswith(f"{out}/") for dep in stage.deps for out in outs):
            reached.add(stage.name)
    return reached


def params() -> dict[str, Any]:
    """The tree of ./params.yaml as it is written."""
    return yaml.safe_load(PARAMS.read_text(encoding="utf-8")) or {}


def absent() -> str | None:
    """Why DVC cannot be used here, or None."""
    if not Path(".dvc").is_dir():
        return "no .dvc folder here"
    inside = subprocess.run(["git", "rev-parse", "--is-inside-work-tree"], capture_output=True, check=False)
    return None if inside.returncode == 0 else "not inside a git repository"


def call(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run DVC of this environment; it waits for its lock, which a hashing process holds for seconds."""
    return subprocess.run(
        [sys.executable, "-m", "dvc", "--wait-for-lock", *arguments],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "DVC_NO_ANALYTICS": "1"},
    )


def status() -> dict[str, list[Any]]:
    """What DVC calls changed: stage -> its reasons. Stages that are current are absent.

    Raises:
        RuntimeError: DVC failed; the message is its own.
    """
    done = call("status", "--json")
    if done.returncode:
        raise RuntimeError(_last_line(done))
    return json.loads(done.stdout or "{}")


def commit(names: list[str]) -> None:
    """Record the present outputs of stages in dvc.lock and the cache.

    Raises:
        RuntimeError: DVC failed; the message is its own.
    """
    # DVC reads its files anew for each named stage; dvc.yaml names all of them, and none of the user's .dvc files
    done = call("commit", "--force", *(names if set(names) != set(stages()) else (PIPELINE,)))
    if done.returncode:
        raise RuntimeError(_last_line(done))


def lock() -> dict[str, Any]:
    """The entries of dvc.lock by stage; empty where there is none."""
    if not LOCK.is_file():
        return {}
    return (yaml.safe_load(LOCK.read_text(encoding="utf-8")) or {}).get("stages", {})


def _last_line(done: subprocess.CompletedProcess[str]) -> str:
    lines = [line for line in (done.stderr or done.stdout).splitlines() if line.strip()]
    return lines[-1] if lines else f"dvc exited with {done.returncode}"
