"""DVC's side of the agreement: what is committed, and what is not."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[2]
STAGES = """stages:
  one: {cmd: snakemake --allowed-rules one -- one, outs: [one.txt]}
  other: {cmd: snakemake --allowed-rules other -- other, outs: [other.txt]}
"""


def test_committing_all_stages_leaves_files_alone_that_the_user_tracks(tmp_path: Path) -> None:
    def run(*command: str) -> None:
        paths = f"{ROOT / 'workflow'}:{ROOT / 'src'}"
        env = {**os.environ, "PYTHONPATH": paths, "DVC_NO_ANALYTICS": "1"}
        subprocess.run([sys.executable, *command], cwd=tmp_path, env=env, check=True, capture_output=True)

    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    run("-m", "dvc", "init", "-q")
    (tmp_path / "mine").write_text("a")
    run("-m", "dvc", "add", "-q", "mine")
    tracked = (tmp_path / "mine.dvc").read_bytes()
    (tmp_path / "dvc.yaml").write_text(STAGES)
    for name in ("mine", "one.txt", "other.txt"):
        (tmp_path / name).unlink(missing_ok=True)
        (tmp_path / name).write_text("changed")
    run("-c", "from frontends import dvcside; dvcside.commit(['one', 'other'])")
    assert (tmp_path / "mine.dvc").read_bytes() == tracked
    lock = (tmp_path / "dvc.lock").read_text()
    assert "one.txt" in lock and "other.txt" in lock
