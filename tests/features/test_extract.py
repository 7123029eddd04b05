"""Extraction: right rows under right keys, resumed after kills, broken images counted and never replaced."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from vldistill import artifact, features, layout
from vldistill.errors import InputError
from vldistill.features.store import open_store, text_key, verify
from vldistill.models.images import open_image
from vldistill.models.teacher import load_teacher
from vldistill.params import Params
from vldistill.signals import Stopped


def committed(root: Path) -> set[str]:
    return {path.name for path in layout.scratch_root(root).glob("features/*/committed/*.json")}


def content(folder: Path) -> dict[str, str]:
    return {name: entry["sha256"] for name, entry in artifact.read_manifest(folder)["files"].items()}


def test_every_key_has_its_own_features(project: Path, params: Params, png) -> None:
    store = open_store(features.run(params, project, "clip", "coco"))
    teacher = load_teacher(layout.pretrain(project, "clip"))
    keys = [f"{at:03d}.png" for at in np.random.default_rng(0).permutation(50)]
    pooled, patch = teacher.encode_images([open_image(png(int(key[:3]))) for key in keys])
    np.testing.assert_allclose(store.get("pooled", keys), pooled, rtol=2e-3, atol=2e-3)
    np.testing.assert_allclose(store.get("patch", keys), patch, rtol=2e-3, atol=2e-3)
    names = [text_key(str(at), 0) for at in (7, 3, 49, 3)]
    texts = teacher.encode_text([f"picture number {at}" for at in (7, 3, 49, 3)])
    np.testing.assert_allclose(store.get("text", names), texts, rtol=2e-3, atol=2e-3)
    assert store.fingerprint == teacher.fingerprint
    assert len(store.keys) == 50 and store.valid.all()
    assert verify(layout.features(project, "clip", "coco"))["tables"]["captions"]["rows"] == 100


def test_splits_choose_the_images(project: Path) -> None:
    params = Params.model_validate({"features": {"splits": {"coco": ["dev"]}, "kinds": {"coco": ["pooled"]}}})
    store = open_store(features.run(params, project, "clip", "coco"))
    assert store.keys == [f"{at:03d}.png" for at in range(1, 50, 2)]
    with pytest.raises(InputError, match="no features for this key"):
        store.get("pooled", ["000.png"])
    with pytest.raises(InputError, match="no 'patch' features"):
        store.get("patch", ["001.png"])


SCRIPT = """
import sys, time
from pathlib import Path
from vldistill import features
from vldistill.features import extract
from vldistill.params import Params
make = extract.make_shard
def slow(*arguments):
    time.sleep(0.15)
    return make(*arguments)
extract.make_shard = slow
extract.run(Params.model_validate_json(sys.argv[2]), Path(sys.argv[1]), "clip", "coco")
"""


def start(root: Path, params: Params) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-c", SCRIPT, str(root), params.model_dump_json()],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        start_new_session=True,
    )


@pytest.mark.slow
def test_killed_extraction_goes_on_with_the_missing_shards(project: Path, params: Params, monkeypatch) -> None:
    process = start(project, params)
    until = time.monotonic() + 120
    while len(committed(project)) < 5 and time.monotonic() < until:
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    before = committed(project)
    assert 5 <= len(before) < 20
    assert not layout.features(project, "clip", "coco").exists()
    from vldistill.features import extract

    made = []
    original = extract.make_shard
    monkeypatch.setattr(
        extract, "make_shard", lambda *arguments: made.append(arguments[-1].name) or original(*arguments)
    )
    resumed = content(features.run(params, project, "clip", "coco"))
    assert {f"{name}.json" for name in made}.isdisjoint(before)
    assert len(made) + len(before) == 20

    monkeypatch.setenv("VLDISTILL_SCRATCH", str(project / "elsewhere"))
    assert content(features.run(params, project, "clip", "coco")) == resumed


@pytest.mark.parametrize("writers", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_a_deadline_stops_behind_a_shard_and_the_next_call_goes_on(
    project: Path, params: Params, monkeypatch, writers: int
) -> None:
    straight = content(features.run(params, project, "clip", "coco"))
    monkeypatch.setenv("VLDISTILL_SCRATCH", str(project / "elsewhere"))
    for count in (1, 2):
        with pytest.raises(Stopped, match=r"stopped after shard \d+ \(deadline\); run the same command") as stopped:
            features.run(params, project, "clip", "coco", deadline=0.0, writers=writers)
        assert stopped.value.code == 75
        assert count <= len(committed(project)) <= count * writers
    assert content(features.run(params, project, "clip", "coco")) == straight


def test_altered_shards_are_made_again(project: Path, params: Params) -> None:
    first = content(features.run(params, project, "clip", "coco"))
    [shard] = layout.scratch_root(project).glob("features/*/pooled-00002.npy")
    data = bytearray(shard.read_bytes())
    data[-1] ^= 1
    shard.unlink()
    shard.write_bytes(data)
    [short] = layout.scratch_root(project).glob("features/*/text-00001.npy")
    data = short.read_bytes()
    short.unlink()
    short.write_bytes(data[:-10])
    assert content(features.run(params, project, "clip", "coco")) == first


@pytest.mark.slow
def test_several_writers_give_the_same_store(project: Path, params: Params, monkeypatch) -> None:
    alone = content(features.run(params, project, "clip", "coco"))
    monkeypatch.setenv("VLDISTILL_SCRATCH", str(project / "elsewhere"))
    assert content(features.run(params, project, "clip", "coco", writers=2)) == alone


def broken_images(png) -> dict[str, bytes | None]:
    return {"003.png": png(3)[:80], "010.png": b"", "017.png": None, "018.png": b"<html>404</html>"}


def test_broken_images_are_recorded_and_never_replaced(project: Path, png, make_dataset) -> None:
    make_dataset(project, broken=broken_images(png))
    params = Params.model_validate({"features": {"shard_rows": 8, "batch_size": 4, "max_invalid": 0.1}})
    folder = features.run(params, project, "clip", "coco")
    store = open_store(folder)
    assert set(store.invalid) == set(broken_images(png))
    assert "not in images.zip" in store.invalid["017.png"]
    assert len(store.keys) == 50 and len(store.valid_keys) == 46
    with pytest.raises(InputError, match=r"003\.png.*not readable"):
        store.get("pooled", ["004.png", "003.png"])
    teacher = load_teacher(layout.pretrain(project, "clip"))
    neighbours = ["002.png", "004.png", "019.png"]
    expected = teacher.encode_images([open_image(png(int(key[:3]))) for key in neighbours])[0]
    np.testing.assert_allclose(store.get("pooled", neighbours), expected, rtol=2e-3, atol=2e-3)
    assert artifact.read_manifest(folder)["meta"]["invalid"] == 4
    verify(folder)


def test_too_many_broken_images_are_an_error(project: Path, params: Params, png, make_dataset) -> None:
    make_dataset(project, broken=broken_images(png))
    with pytest.raises(InputError, match=r"4 of 50 images.*max_invalid"):
        features.run(params, project, "clip", "coco")
    assert not layout.features(project, "clip", "coco").exists()


def test_batch_size_leaves_features_within_tolerance(project: Path) -> None:
    found = []
    for batch in (1, 7, 50):
        params = Params.model_validate({"features": {"shard_rows": 50, "batch_size": batch}})
        store = open_store(features.run(params, project, "clip", "coco"))
        found.append(torch.from_numpy(store.get("pooled", store.keys)))
    for other in found[1:]:
        torch.testing.assert_close(found[0], other, atol=2e-3, rtol=2e-3)


def test_run_record_stands_beside_the_artifact(project: Path, params: Params) -> None:
    folder = features.run(params, project, "clip", "coco")
    record = json.loads(layout.run_record(folder).read_text())
    assert record["wall_seconds"] > 0
    assert "wall" not in json.dumps(artifact.read_manifest(folder))


def test_unknown_set_names_the_parameter(project: Path, params: Params) -> None:
    with pytest.raises(InputError, match=r"features\.kinds"):
        features.run(params, project, "clip", "flickr")
