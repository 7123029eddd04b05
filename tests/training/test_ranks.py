"""Two gloo processes under torchrun train exactly as one process does on the whole batch."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

SCRIPT = Path(__file__).with_name("ranks.py")


@pytest.mark.slow
@pytest.mark.parametrize("ranks", [2, 3])  # 10 rows: even and uneven shares
def test_gathered_negatives_equal_one_process(tmp_path: Path, ranks: int) -> None:
    alone, together = tmp_path / "alone", tmp_path / "together"
    for folder in (alone, together):
        folder.mkdir()
    subprocess.run([sys.executable, str(SCRIPT), str(alone)], check=True, timeout=300)
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={ranks}"]
    subprocess.run([*torchrun, str(SCRIPT), str(together)], check=True, timeout=300)
    for one, other in zip(read(alone), read(together), strict=True):
        torch.testing.assert_close(torch.tensor(one), torch.tensor(other), rtol=1e-5, atol=1e-6)
    for one, other in zip(log(alone), log(together), strict=True):
        assert one == pytest.approx(other, rel=1e-5)


def read(folder: Path) -> list:
    return json.loads((folder / "weights.json").read_text())


def log(folder: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
