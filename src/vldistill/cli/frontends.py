"""Questions to Snakemake and DVC, put to them in a process of their own: the library imports neither."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from vldistill.errors import VldistillError


def ask(root: Path, command: str, *arguments: str) -> Any:
    """The JSON answer of `python -m frontends COMMAND` (workflow/frontends).

    Raises:
        VldistillError: not in a project's root, or the command failed; the message is its own.
    """
    workflow = root / "workflow"
    if not (workflow / "frontends").is_dir():
        raise VldistillError(f"{root} is no vldistill project: it has no workflow/frontends. Run from the root of one")
    paths = [str(workflow), str(root / "src"), os.environ.get("PYTHONPATH", "")]
    done = subprocess.run(
        [sys.executable, "-m", "frontends", command, *arguments],
        cwd=root,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
    )
    if done.returncode:
        lines = done.stderr.strip().splitlines()
        found = [line.removeprefix("error: ") for line in lines if line.startswith("error: ")]
        raise VldistillError("\n".join(found or lines[-8:] or [f"{command} exited with {done.returncode}"]))
    return json.loads(done.stdout)
