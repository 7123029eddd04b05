"""Progress, run records and the command line's outer behaviour."""

from __future__ import annotations

import io
import json
import re
import subprocess
import sys
import time

import pytest

from vldistill import provenance
from vldistill.progress import Progress, duration


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0s"), (59.4, "59s"), (60, "1m00s"), (190, "3m10s"), (7500, "2h05m")]
)
def test_duration(seconds, text):
    assert duration(seconds) == text


def test_progress_shows_count_rate_and_time_left():
    stream = io.StringIO()
    progress = Progress(4, "work", start=1, every=0.0, stream=stream)
    time.sleep(0.01)
    progress.step(loss=0.5)
    assert re.search(r"work: 2/4 \(50%\) [\d.e+]+/s, \S+ left loss=0.5\n", stream.getvalue())
    progress.step(2)
    assert "4/4 (100%)" in stream.getvalue()


def test_run_record_measures_and_names_the_code(tmp_path):
    with provenance.recorded(tmp_path / "x.run.json", stage="test") as facts:
        time.sleep(0.05)
        facts["more"] = 1
    record = json.loads((tmp_path / "x.run.json").read_text())
    assert record["wall_seconds"] >= 0.05
    assert record["peak_memory_bytes"] > 1_000_000
    assert (record["stage"], record["more"]) == ("test", 1)
    assert record["versions"]["python"].startswith("3.")


def test_failed_work_leaves_no_run_record(tmp_path):
    with pytest.raises(RuntimeError), provenance.recorded(tmp_path / "x.run.json"):
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []


def test_git_state_outside_git(tmp_path):
    assert provenance.git_state(tmp_path) == {"commit": None, "dirty": None}


def test_help_imports_nothing_heavy():
    code = (
        "import sys\n"
        "from vldistill.cli.main import main\n"
        "try: main(['--help'])\n"
        "except SystemExit: pass\n"
        "print(sorted({'torch', 'transformers', 'open_clip', 'matplotlib', 'numpy', 'pydantic'} & set(sys.modules)))"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert out.splitlines()[-1] == "[]"
    assert "download" in out and "Stages, in order" in out


def test_error_is_one_message_and_exit_code_2(tmp_path):
    result = subprocess.run(
        [sys.executable, "-m", "vldistill.cli.main", "preset"], cwd=tmp_path, capture_output=True, text=True
    )
    assert result.returncode == 2
    assert result.stderr.startswith("error: file ")
    assert "Traceback" not in result.stderr
