"""Checkpoints on bad days: damage and full disks."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from toy import Toy, options

from vldistill.errors import VldistillError
from vldistill.training import Run, Stopped, checkpoint, discard, train


def trained(folder: Path, steps: int = 20) -> Toy:
    task = Toy()
    train(task, options(steps=steps, warmup=0), Run(folder))
    return task


def test_only_the_newest_are_kept(tmp_path: Path) -> None:
    trained(tmp_path)
    assert sorted(path.name for path in (tmp_path / "checkpoints").iterdir()) == ["step-00000018", "step-00000020"]


def test_a_flipped_byte_falls_back_to_the_older_one(tmp_path: Path) -> None:
    final = [p.clone() for p in trained(tmp_path).module.parameters()]
    damaged = tmp_path / "checkpoints/step-00000020/state.safetensors"
    data = bytearray(damaged.read_bytes())
    data[-5] ^= 1
    damaged.write_bytes(data)
    again = trained(tmp_path)
    assert all(torch.equal(a, b) for a, b in zip(again.module.parameters(), final, strict=True))


def test_half_removed_and_half_written_ones_are_ignored(tmp_path: Path) -> None:
    trained(tmp_path)
    (tmp_path / "checkpoints/.step-00000027.99.tmp").mkdir()
    trained(tmp_path)
    assert not list((tmp_path / "checkpoints").glob(".*"))


def test_full_disk_keeps_the_previous_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    task = trained(tmp_path)
    before = sorted(path.name for path in (tmp_path / "checkpoints").iterdir())
    usage = checkpoint.shutil.disk_usage(tmp_path)
    monkeypatch.setattr(checkpoint.shutil, "disk_usage", lambda path: usage._replace(free=10))
    optimiser = torch.optim.AdamW(task.module.parameters())
    with pytest.raises(VldistillError, match=r"not enough space.*checkpoints"):
        checkpoint.save(tmp_path, task.module, optimiser, {"step": 99}, keep=1)
    assert sorted(path.name for path in (tmp_path / "checkpoints").iterdir()) == before


def test_unwritable_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "checkpoints").write_text("a file where the folder should be")
    task = Toy()
    with pytest.raises(VldistillError, match=f"cannot save {tmp_path}"):
        checkpoint.save(tmp_path, task.module, torch.optim.AdamW(task.module.parameters()), {"step": 1}, keep=1)


def test_frozen_weights_are_not_stored(tmp_path: Path) -> None:
    task = Toy()
    task.module[0].requires_grad_(False)
    train(task, options(steps=3, warmup=0, gradient_norms_every=0), Run(tmp_path))
    from safetensors.torch import load_file

    names = load_file(tmp_path / "checkpoints/step-00000003/state.safetensors")
    assert "model.3.weight" in names and "model.0.weight" not in names


def test_discard(tmp_path: Path) -> None:
    trained(tmp_path)
    discard(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["metrics.jsonl"]


def test_batch_statistics_are_part_of_the_state(tmp_path: Path) -> None:
    def with_statistics() -> Toy:
        task = Toy()
        task.module.insert(1, torch.nn.BatchNorm1d(32))
        return task

    straight, broken, resumed = with_statistics(), with_statistics(), with_statistics()
    train(straight, options(steps=12), Run(tmp_path / "straight"))
    with pytest.raises(Stopped):
        train(broken, options(steps=12), Run(tmp_path / "broken", deadline=0.0))
    train(resumed, options(steps=12), Run(tmp_path / "broken"))
    state = straight.module.state_dict()
    assert int(state["1.num_batches_tracked"]) == 12
    assert all(torch.equal(value, state[name]) for name, value in resumed.module.state_dict().items())
