"""The command as a user runs it, in any folder."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

REPO = Path(__file__).parents[2]


@pytest.fixture
def run() -> Callable[..., str]:
    """Run `vldistill compare` in a folder; returns stdout, or stderr where ``fails``."""

    def compare(folder: Path, *arguments: str, fails: bool = False) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "vldistill.cli.main", "compare", *arguments],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": str(REPO / "src")},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == (2 if fails else 0), done.stdout + done.stderr
        assert "Traceback" not in done.stderr
        return done.stderr if fails else done.stdout

    return compare


@pytest.fixture
def rows(run: Callable[..., str]) -> Callable[..., list[dict[str, Any]]]:
    """The rows of `vldistill compare --json`."""

    def compare(folder: Path, *arguments: str) -> list[dict[str, Any]]:
        return json.loads(run(folder, *arguments, "--json"))["rows"]

    return compare
