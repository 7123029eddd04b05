"""kill -9 of a training at random moments, saves included: the end is bit-equal to the undisturbed run."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

TOY = Path(__file__).parents[1] / "training" / "toy.py"
# wide enough that a good part of the time goes into saving
ARGUMENTS = ["1000", "8000", "120"]
KILLS = 8


def start(folder: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, str(TOY), str(folder), *ARGUMENTS],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )


def ready(process: subprocess.Popen[str]) -> None:
    assert process.stdout is not None and process.stdout.readline() == "ready\n"


@pytest.mark.slow
def test_killed_at_random_moments_ends_bit_equal(tmp_path: Path) -> None:
    began = time.monotonic()
    straight = start(tmp_path / "straight")
    ready(straight)
    running = time.monotonic()
    assert straight.wait(timeout=300) == 0
    length = time.monotonic() - running
    rng = random.Random(0)
    survived = during_save = 0
    for _ in range(KILLS):
        process = start(tmp_path / "killed")
        ready(process)
        time.sleep(rng.uniform(0.05, 0.5) * length)
        finished = process.poll() is not None
        process.kill()
        process.wait()
        during_save += any((tmp_path / "killed" / "checkpoints").glob(".step-*.tmp"))
        survived += not finished
    last = start(tmp_path / "killed")
    assert last.wait(timeout=300) == 0
    for name in (
        "metrics.jsonl",
        "checkpoints/step-00000120/state.safetensors",
        "checkpoints/step-00000120/state.json",
    ):
        assert (tmp_path / "killed" / name).read_bytes() == (tmp_path / "straight" / name).read_bytes(), name
    assert survived >= 2, "the kills came too late to test anything"
    print(f"{survived} kills while running, {during_save} during a save, {time.monotonic() - began:.0f} s")
