"""Two gloo processes under torchrun distil a cell as one process does, and leave the same files."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner
from project import write_params
from safetensors.torch import load_file
from torch.testing import assert_close

from vldistill import layout
from vldistill.cells import Cell
from vldistill.cli.distill import command
from vldistill.distill import vlkd_batch
from vldistill.distill.key import look_up
from vldistill.params import load

TRAINING = {"steps": 12, "batch_size": 9, "warmup": 2, "log_every": 1, "checkpoint_every": 5, "learning_rate": 0.001}


def torchrun(root: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    start = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    command = [*start, "-m", "vldistill.cli.main", *arguments]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, timeout=300, check=False)


@pytest.mark.slow
def test_two_ranks_distil_as_one_process_does(root: Path) -> None:
    # uneven shares of 9 pairs, all four terms, two cells one after the other
    write_params(root, training=TRAINING, replay={"share": 0.5, "batch_size": 3}, active=["all", "icti_only"])
    params = load(root / "params.yaml")
    vlkd_batch(params, root, 0)
    folders = {arm: look_up(params, root, Cell(arm, 0)).path for arm in ("all", "icti_only")}
    alone = {arm: Path(shutil.move(path, root / f"alone-{arm}")) for arm, path in folders.items()}
    layout.receipt(root, "distill/vlkd", 0).unlink()

    stopped = torchrun(root, "distill", "vlkd", "--batch", "0", "--deadline", "0")
    assert stopped.returncode and "exitcode  : 75" in stopped.stderr, stopped.stderr
    assert (folders["all"] / "checkpoints").is_dir() and not (folders["all"] / "lock.json").exists()
    done = torchrun(root, "distill", "vlkd", "--batch", "0")
    assert done.returncode == 0, done.stderr
    assert set(json.loads(layout.receipt(root, "distill/vlkd", 0).read_text())["cells"]) == {"all-s0", "icti_only-s0"}
    for arm, folder in folders.items():
        assert {path.name for path in folder.iterdir()} == {path.name for path in alone[arm].iterdir()}
        for one, other in zip(lines(alone[arm]), lines(folder), strict=True):
            assert one == pytest.approx(other, rel=1e-3, abs=1e-5)
        one, other = load_file(alone[arm] / "model/model.safetensors"), load_file(folder / "model/model.safetensors")
        for name in one:
            assert_close(one[name], other[name], rtol=1e-3, atol=1e-4)
    made = {arm: (folder / "result.json").stat().st_mtime_ns for arm, folder in folders.items()}
    again = torchrun(root, "distill", "vlkd", "--batch", "0")
    assert again.returncode == 0, again.stderr
    # finished cells are recognised by all ranks, not trained again
    assert made == {arm: (folder / "result.json").stat().st_mtime_ns for arm, folder in folders.items()}


def lines(folder: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def test_torchrun_trains_one_batch_a_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "params.yaml").write_text("{}\n", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WORLD_SIZE", "2")
    done = CliRunner().invoke(command, ["vlkd"])
    assert done.exit_code == 2 and "give --batch" in done.output
