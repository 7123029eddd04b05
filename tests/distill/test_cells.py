"""Cells end to end: run folders, reuse, resume after kill -9, the gathered artifact."""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from project import write_params
from safetensors.torch import load_file

from tests.contents import contents, differences
from tests.disk import unsynced_at_rename
from vldistill import artifact, layout
from vldistill.cells import Cell
from vldistill.distill import vlkd_batch, vlkd_gather
from vldistill.distill.key import cell_key, look_up
from vldistill.errors import InputError
from vldistill.models.vlkd import VLKD
from vldistill.params import load
from vldistill.training import Stopped

SCRIPT = Path(__file__).with_name("project.py")


def test_batch_then_gather_gives_self_contained_models(root: Path, tmp_path: Path) -> None:
    write_params(root, active=["all", "icti_only"], seeds={"all": 2})
    params = load(root / "params.yaml")
    receipt = vlkd_batch(params, root, 0)
    assert set(json.loads(receipt.read_text())["cells"]) == {"all-s0", "all-s1", "icti_only-s0"}
    folder = vlkd_gather(params, root)
    manifest = artifact.verify(folder)
    assert manifest["meta"]["cells"] == ["all-s0", "icti_only-s0", "all-s1"]
    record = json.loads(layout.run_record(folder).read_text())
    assert record["cells"]["all-s1"]["wall_seconds"] > 0
    shutil.copytree(folder / "all-s0", tmp_path / "elsewhere")
    shutil.rmtree(root)
    model = VLKD.load(tmp_path / "elsewhere")
    assert model.facts["arm"] == "all" and model.facts["toy"] is True and model.facts["pairs"] == 52
    pooled, patch = model.encode_images([picture()])
    assert len(model.generate(["<mask>"], pooled, patch, max_new_tokens=5)) == 1
    card = (tmp_path / "elsewhere/README.md").read_text()
    assert "toy" in card and "12 steps" in card and "MIT" in card
    assert not (tmp_path / "elsewhere/checkpoints").exists()


@pytest.mark.slow
def test_gathering_twice_gives_the_same_bytes(root: Path) -> None:
    params = load(root / "params.yaml")
    vlkd_batch(params, root, 0)
    first = artifact.fingerprint(vlkd_gather(params, root))
    assert artifact.fingerprint(vlkd_gather(params, root)) == first
    shutil.rmtree(root / "scratch")
    vlkd_batch(params, root, 0)
    assert artifact.fingerprint(vlkd_gather(params, root)) == first


@pytest.mark.slow
def test_killed_at_random_moments_ends_bit_equal(root: Path) -> None:
    write_params(root, training={"steps": 100, "batch_size": 8, "warmup": 2, "log_every": 4, "checkpoint_every": 7})
    params = load(root / "params.yaml")
    key = look_up(params, root, Cell("all", 0)).path
    began = time.monotonic()
    run_script(root)
    length = time.monotonic() - began
    straight = contents(key)
    shutil.rmtree(key)
    rng = random.Random(1)
    hits = 0
    for _ in range(4):
        process = start_script(root)
        time.sleep(rng.uniform(0.02, 0.3) * length)
        hits += process.poll() is None
        process.kill()
        process.wait()
    run_script(root)
    assert hits >= 2, "the kills came too late to test anything"
    assert not differences(contents(key), straight)


@pytest.mark.slow
def test_deadline_saves_and_the_next_call_goes_on(root: Path) -> None:
    params = load(root / "params.yaml")
    with pytest.raises(Stopped) as stopped:
        vlkd_batch(params, root, 0, deadline=0.0)
    assert stopped.value.code == 75
    run = look_up(params, root, Cell("all", 0))
    assert not run.done and not (run.path / "lock.json").exists()
    vlkd_batch(params, root, 0)
    assert look_up(params, root, Cell("all", 0)).done


@pytest.mark.slow
def test_a_finished_cell_needs_no_torch(root: Path) -> None:
    params = load(root / "params.yaml")
    vlkd_batch(params, root, 0)
    code = (
        "import sys; from vldistill.distill import vlkd_batch; from vldistill.params import load\n"
        "vlkd_batch(load('params.yaml'), '.', 0)\nassert 'torch' not in sys.modules, 'torch was imported'"
    )
    subprocess.run([sys.executable, "-c", code], cwd=root, check=True, timeout=120)


def test_model_files_are_on_disk_before_they_take_their_name(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    unsynced = unsynced_at_rename(monkeypatch, "model")
    vlkd_batch(load(root / "params.yaml"), root, 0)
    assert unsynced == [set()]


def test_temporary_dvc_workspace_uses_the_main_checkouts_runs(root: Path) -> None:
    params = load(root / "params.yaml")
    vlkd_batch(params, root, 0)
    workspace = root / ".dvc/tmp/exps/tmpabc"
    workspace.mkdir(parents=True)
    shutil.copytree(root / "results", workspace / "results")
    assert look_up(params, workspace, Cell("all", 0)).done


def test_key_changes_with_what_is_read_only(root: Path) -> None:
    cell = Cell("all", 0)

    def key(**vlkd: object) -> dict:
        write_params(root, **vlkd)
        return cell_key(load(root / "params.yaml"), root, cell)

    base = key()
    assert key(active=["all", "no_icti"], default_seeds=2) == base
    assert key(arms={"all": {}, "mine": {"pool": "<s>"}}) == base
    assert key(pool="mean") != base
    assert cell_key(load(root / "params.yaml"), root, Cell("all", 1)) != base
    assert "corpus" in base["inputs"] and "corpus" not in key(replay={"share": 0.0})["inputs"]


def test_bad_input(root: Path) -> None:
    params = load(root / "params.yaml")
    with pytest.raises(InputError, match=r"no batch 5.*Batches: 0 to 0"):
        vlkd_batch(params, root, 5)
    with pytest.raises(InputError, match=r"cell all-s0 is not finished.*distill vlkd --batch 0"):
        vlkd_gather(params, root)
    write_params(root, encoder="clip_untrained")
    shutil.rmtree(layout.features(root, "clip_untrained", "cc3m"))
    with pytest.raises(InputError, match=r"clip_untrained.*no finished artifact"):
        vlkd_batch(load(root / "params.yaml"), root, 0)


def test_features_of_another_teacher_are_refused(root: Path) -> None:
    other = layout.features(root, "clip_untrained", "cc3m")
    own = layout.features(root, "clip", "cc3m")
    shutil.rmtree(own)
    shutil.copytree(other, own)
    with pytest.raises(InputError, match=r"fingerprint\.weights: stale features"):
        vlkd_batch(load(root / "params.yaml"), root, 0)


@pytest.mark.slow
def test_two_processes_share_the_work(root: Path) -> None:
    first, second = start_script(root), start_script(root)
    assert first.wait(timeout=300) == 0 and second.wait(timeout=300) == 0
    run = look_up(load(root / "params.yaml"), root, Cell("all", 0))
    assert run.done
    lines = (run.path / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line)["step"] for line in lines] == [3, 6, 9, 12]


def test_saved_model_equals_the_trained_one_in_its_checkpoint(root: Path) -> None:
    params = load(root / "params.yaml")
    vlkd_batch(params, root, 0)
    folder = look_up(params, root, Cell("all", 0)).path / "model"
    model = VLKD.load(folder)
    saved = load_file(folder / "model.safetensors")
    assert set(saved) == {name for name in model.state_dict() if not name.startswith("language_model.")}
    assert torch.equal(saved["text_projection.weight"], model.text_projection.weight)


def start_script(root: Path) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, str(SCRIPT), str(root)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert process.stdout is not None and process.stdout.readline() == "ready\n"
    return process


def run_script(root: Path) -> None:
    assert start_script(root).wait(timeout=300) == 0


def picture():
    import numpy as np
    from PIL import Image

    return Image.fromarray(np.zeros((20, 30, 3), dtype=np.uint8))
