"""Runs the races of this folder and writes results.md.

    python bench/run.py            all races, written to bench/results.md
    python bench/run.py score      only these, printed

A race is a module here with a function `race() -> Race | list[Race]`; contestants run side by side on the same input
in the same run, so that ratios hold where absolute times do not.
"""

from __future__ import annotations

import importlib
import os
import platform
import subprocess
import sys
from pathlib import Path

from table import Race

from vldistill.files import write_text

FOLDER = Path(__file__).parent
NO_RACES = {"run", "table"}


def machine() -> str:
    """The machine the figures are from."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    asked = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=FOLDER, capture_output=True, text=True)
    commit = asked.stdout.strip() or "no git"
    return f"{cores} cores, {platform.machine()}, {platform.system()}, Python {platform.python_version()}, {commit}"


def races(names: list[str]) -> list[Race]:
    """Run the races of the named modules."""
    found: list[Race] = []
    for name in names:
        print(f"race: {name}", file=sys.stderr)
        result = importlib.import_module(name).race()
        found += result if isinstance(result, list) else [result]
    return found


def main(names: list[str]) -> None:
    """Run the named races, or all of them."""
    every = sorted(path.stem for path in FOLDER.glob("*.py") if path.stem not in NO_RACES)
    unknown = [name for name in names if name not in every]
    if unknown:
        sys.exit(f"no race named {', '.join(unknown)}; there are: {', '.join(every)}")
    sections = "\n".join(race.markdown() for race in races(names or every))
    text = f"# Races\n\n{machine()}. Speed is relative to the first row.\n\n{sections}"
    print(text)
    if not names:
        write_text(FOLDER / "results.md", text)


if __name__ == "__main__":
    main(sys.argv[1:])
