"""Regions: crops through a teacher, and feature files as UNITER distributes them."""

from __future__ import annotations

import io
import os
import pickle
import sys
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import lmdb
import msgpack
import msgpack_numpy
import numpy as np
import pytest
import torch
from open_clip.model import CLIP
from PIL import Image

from vldistill.errors import InputError
from vldistill.files import sha256_file
from vldistill.models import region_folders
from vldistill.models.region_arrays import Place, from_npz, most_confident
from vldistill.models.region_files import FolderSource, RegionFiles, file_name, open_source, read_regions
from vldistill.models.region_folders import folder_of, identity
from vldistill.models.regions import encode_regions, geometry, intersection_over_union, shares, tag_ids
from vldistill.models.teacher import ImageTower, load_teacher, save_teacher

HERE = Place(Path("here.npz"))
PREPROCESS = {"mean": [0.5] * 3, "std": [0.5] * 3, "interpolation": "bicubic", "resize_mode": "shortest"}
CONFIG = {
    "embed_dim": 24,
    "vision_cfg": {"image_size": 32, "layers": 1, "width": 32, "head_width": 16, "patch_size": 8},
    "text_cfg": {"context_length": 12, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 1},
}


@pytest.fixture(scope="module")
def tower(tmp_path_factory: pytest.TempPathFactory) -> ImageTower:
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("clip")
    save_teacher(folder, CLIP(**CONFIG), CONFIG, PREPROCESS, None)
    return load_teacher(folder).images


def picture(width: int, height: int, seed: int = 0) -> Image.Image:
    rng = np.random.default_rng(seed)
    return Image.fromarray(rng.integers(0, 256, (height, width, 3), dtype=np.uint8))


def test_region_0_is_the_image_and_the_others_are_its_crops(tower: ImageTower) -> None:
    image = picture(40, 40)
    boxes = shares([[0, 0, 20, 20], [10, 20, 40, 40]], 40, 40)
    found = encode_regions(tower, [(image, boxes), (picture(32, 32, 1), boxes[:0])], most=4, margin=0, batch=2)
    assert found.features.shape == (2, 4, 32) and found.pooled is not None and found.pooled.shape == (2, 4, 24)
    assert found.mask.tolist() == [[True, True, True, False], [True, False, False, False]]
    pooled, patch = tower.encode_images([image, image.crop((0, 0, 20, 20))])
    torch.testing.assert_close(found.pooled[0, :2], pooled, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(found.features[0, :2], patch.mean(dim=1), atol=1e-5, rtol=1e-4)
    assert found.boxes[0, 2].tolist() == pytest.approx([0.25, 0.5, 1, 1, 0.75, 0.5, 0.375])
    assert not found.features[1, 1:].any() and not found.boxes[1, 1:].any()


def test_batch_size_changes_nothing_and_further_boxes_are_counted(tower: ImageTower) -> None:
    images = [(picture(40, 30, seed), shares([[0, 0, 9, 9]] * seed, 40, 30)) for seed in range(4)]
    one, many = (encode_regions(tower, images, most=3, batch=size) for size in (1, 50))
    torch.testing.assert_close(one.features, many.features, atol=1e-5, rtol=1e-4)
    assert many.left_out.tolist() == [0, 0, 0, 1]
    assert many.batch(torch.tensor([0, 1]))["region_features"].shape[1] == 2


def crops(tower: ImageTower, image: Image.Image, box: list[float], margin: float) -> torch.Tensor:
    """What `encode_regions` makes of one box."""
    boxes = shares([box], *image.size)
    found = encode_regions(tower, [(image, boxes)], most=2, margin=margin)
    return found.features[0, 1]


def test_a_crop_is_a_square_with_a_margin_moved_into_the_image(tower: ImageTower) -> None:
    image = picture(64, 48)
    for box, margin, expected in (
        ([16, 16, 24, 24], 0.5, (12, 12, 28, 28)),
        ([16, 16, 24, 20], 0.0, (16, 14, 24, 22)),
        ([0, 0, 8, 8], 0.5, (0, 0, 16, 16)),
        ([56, 40, 64, 48], 1.0, (40, 24, 64, 48)),
    ):
        (_, patch) = tower.encode_images([image.crop(expected)])
        torch.testing.assert_close(crops(tower, image, box, margin), patch[0].mean(dim=0), atol=1e-5, rtol=1e-4)


def test_without_padding_the_teachers_own_rule_takes_the_centre(tower: ImageTower) -> None:
    image = picture(96, 32)
    boxes = shares([[0, 0, 64, 32], [8, 8, 16, 16]], *image.size)
    padded, plain = (encode_regions(tower, [(image, boxes)], most=3, margin=0, pad=pad) for pad in (True, False))
    pooled, patch = tower.encode_images([image, image.crop((0, 0, 64, 32)), image.crop((8, 8, 16, 16))])
    assert plain.pooled is not None
    torch.testing.assert_close(plain.pooled[0], pooled, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(plain.features[0], patch.mean(dim=1), atol=1e-5, rtol=1e-4)
    far = (padded.features[0] - plain.features[0]).abs().amax(dim=1) > 0.01
    assert far.tolist() == [True, True, False], "squares are what they were"
    assert torch.equal(padded.boxes, plain.boxes)


def test_long_boxes_lose_nothing(tower: ImageTower) -> None:
    white, ends = Image.new("RGB", (96, 32), "white"), Image.new("RGB", (96, 32), "white")
    for left in (0, 64):
        ends.paste((255, 0, 0), (left, 0, left + 32, 32))
    _, cut = tower.encode_images([white, ends])
    torch.testing.assert_close(cut[0], cut[1])
    kept = [crops(tower, image, [0, 0, 96, 32], 0.25) for image in (white, ends)]
    assert (kept[0] - kept[1]).abs().max() > 0.01


@pytest.mark.parametrize("box", [[0.5, 0, 0.5, 1], [0, 0, 1.5, 1], [0, float("nan"), 1, 1]])
def test_boxes_that_are_none_are_named(tower: ImageTower, box: list[float]) -> None:
    boxes = np.asarray([box], np.float32)
    with pytest.raises(InputError, match="record 1, field boxes"):
        encode_regions(tower, [(picture(8, 8), boxes[:0]), (picture(8, 8), boxes)], most=3)


def test_a_box_thinner_than_a_pixel_has_one(tower: ImageTower) -> None:
    boxes = np.asarray([[0.999, 0.999, 1.0, 1.0]], np.float32)
    assert encode_regions(tower, [(picture(20, 20), boxes)], most=2).features.isfinite().all()
    with pytest.raises(InputError, match="no images to encode"):
        encode_regions(tower, [], most=2)


def test_tags_name_boxes_but_never_the_whole_image() -> None:
    tags = tag_ids([["[1]", ""], ["[1]", "[2]", "[3]"]], 3, {"[1]": 7, "[2]": 8})
    assert tags.tolist() == [[0, 7, 0], [0, 7, 8]]
    with pytest.raises(InputError, match=r"record 0: no token for the tag '\[9\]'"):
        tag_ids([["[9]"]], 3, {"[1]": 7})


def test_overlap_is_intersection_over_union():
    boxes = np.array([[0, 0, 2, 2], [1, 1, 3, 3], [5, 5, 6, 6], [1, 1, 1, 1]], np.float32)
    assert intersection_over_union(boxes, boxes[0]).tolist() == pytest.approx([1, 1 / 7, 0, 0])
    # every box of each row with the row's own one
    pairs = intersection_over_union(np.stack([boxes[:2], boxes[1:3]]), boxes[[1, 2], None])
    assert pairs.tolist() == [pytest.approx([1 / 7, 1]), pytest.approx([0, 1])]


def arrays(boxes: int = 14, width: int = 6, **changes) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(boxes)
    corner = rng.uniform(0, 0.5, (boxes, 2))
    size = rng.uniform(0.1, 0.5, (boxes, 2))
    made = {
        "features": rng.normal(size=(boxes, width)).astype(np.float16),
        "norm_bb": np.concatenate([corner, corner + size, size], axis=1).astype(np.float16),
        "conf": np.linspace(0.9, 0.1, boxes).astype(np.float16),
        "soft_labels": np.zeros((boxes, 3), np.float16),
        **changes,
    }
    return {name: value for name, value in made.items() if value is not None}


def npz(boxes: int = 14, width: int = 6, **changes) -> bytes:
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays(boxes, width, **changes))
    return buffer.getvalue()


def packed(boxes: int = 14, width: int = 6, **changes) -> bytes:
    """As UNITER's script writes what is not compressed."""
    return msgpack.packb(arrays(boxes, width, **changes), use_bin_type=True, default=msgpack_numpy.encode)


def test_as_many_boxes_as_uniter_takes() -> None:
    features, boxes = most_confident(arrays(), HERE, fewest=2)
    assert len(features) == len(boxes) == int((np.linspace(0.9, 0.1, 14) > 0.2).sum()) and boxes.shape[1] == 4
    assert len(most_confident(arrays(), HERE, threshold=0.8, fewest=10)[0]) == 10
    assert len(most_confident(arrays(), HERE, fewest=1, most=5)[0]) == 5
    assert len(most_confident(arrays(4), HERE)[0]) == 4


def test_regions_of_files(tmp_path: Path) -> None:
    (tmp_path / "a.npz").write_bytes(npz(12))
    (tmp_path / "b.npz").write_bytes(npz(3))
    found = read_regions(open_source(tmp_path), ["a.npz", "b.npz"], threshold=0.0)
    features, boxes = most_confident(from_npz(npz(3), HERE), HERE)
    assert found.mask.sum(dim=1).tolist() == [13, 4] and found.pooled is None
    torch.testing.assert_close(found.features[1, 0], torch.from_numpy(features).mean(dim=0))
    torch.testing.assert_close(found.boxes[1, 1:4], torch.from_numpy(geometry(boxes)))
    assert found.boxes[1, 0].tolist() == [0, 0, 1, 1, 1, 1, 1]
    # UNITER's seven numbers: the six of the file, and the product of the last two, but for rounding to 16 bits
    six = arrays(3)["norm_bb"].astype(np.float32)
    seven = np.concatenate([six, six[:, 4:5] * six[:, 5:]], axis=1)
    np.testing.assert_allclose(found.boxes[1, 1:4].numpy(), seven, atol=1e-3)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "not a readable"),
        (npz()[:300], "not a readable"),
        (npz(conf=None), "field conf"),
        (npz(norm_bb=np.zeros((14, 4))), r"field norm_bb: shape \(14, 4\) beside 14 boxes"),
        (npz(conf=np.zeros(3)), "field conf"),
        (npz(0), "no boxes"),
    ],
)
def test_broken_files_are_named(tmp_path: Path, data: bytes, message: str) -> None:
    (tmp_path / "a.npz").write_bytes(data)
    with pytest.raises(InputError, match=message) as caught:
        read_regions(FolderSource(tmp_path), ["a.npz"])
    assert str(caught.value).startswith(f"file {tmp_path / 'a.npz'}") and caught.value.record is None


def test_widths_that_differ_and_files_that_are_missing(tmp_path: Path) -> None:
    (tmp_path / "a.npz").write_bytes(npz(12))
    (tmp_path / "b.npz").write_bytes(npz(12, width=7))
    with pytest.raises(InputError, match=r"file /.*/b\.npz, field features: 7 wide, others 6"):
        read_regions(FolderSource(tmp_path), ["a.npz", "b.npz"])
    write_lmdb(tmp_path / "lmdb", {"a.npz": npz(12), "b.npz": npz(12, width=7)})
    with pytest.raises(InputError, match=r"data\.mdb, record b\.npz, field features: 7 wide, others 6"):
        read_regions(open_source(tmp_path / "lmdb"), ["a.npz", "b.npz"])
    with pytest.raises(InputError, match=r"c\.npz: no region features"):
        read_regions(FolderSource(tmp_path), ["c.npz"])
    with pytest.raises(InputError, match="no such folder"):
        open_source(tmp_path / "absent")


def test_names_of_files() -> None:
    assert file_name("{stem}.npz", "COCO_val2014_000000000042.jpg") == "coco_val2014_000000000042.npz"
    assert file_name("flickr30k_{number:012d}.npz", "36979.jpg") == "flickr30k_000000036979.npz"
    with pytest.raises(InputError, match=r"record plain\.jpg: the pattern"):
        file_name("{number}.npz", "plain.jpg")


def test_files_of_a_set_are_found_by_image(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VLDISTILL_DATA", str(tmp_path))
    with pytest.raises(InputError, match=r"field VLDISTILL_REGIONS_FLICKR30K: no region features of flickr30k"):
        folder_of("flickr30k")
    folder = tmp_path / "flickr30k" / "regions"
    folder.mkdir(parents=True)
    (folder / "flickr30k_000000000007.npz").write_bytes(npz(12))
    (folder / "other.npz").write_bytes(npz(3))
    assert folder_of("flickr30k") == folder
    before = identity(folder, tmp_path)
    (folder / "names.json").write_text('{"8.jpg": "other.npz"}')
    assert identity(folder, tmp_path) != before
    assert RegionFiles(folder, "flickr30k").read(["7.jpg", "8.jpg"]).mask.sum(dim=1).tolist() == [11, 4]
    monkeypatch.setenv("VLDISTILL_REGIONS_FLICKR30K", str(tmp_path))
    assert folder_of("flickr30k") == tmp_path
    (folder / "names.json").write_text("[]")
    with pytest.raises(InputError, match=r"names\.json: not an object"):
        RegionFiles(folder, "flickr30k")


def test_the_content_of_the_files_is_part_of_the_key_and_read_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, scratch = tmp_path / "regions", tmp_path / "scratch"
    monkeypatch.setenv("VLDISTILL_SCRATCH", str(scratch))
    folder.mkdir()
    for name in ("a.npz", "b.npz"):
        (folder / name).write_bytes(name.encode())
    read: list[str] = []

    def counting(path: Path) -> str:
        read.append(Path(path).name)
        return sha256_file(path)

    monkeypatch.setattr(region_folders, "sha256_file", counting)
    first = identity(folder)
    assert identity(folder) == first and sorted(read) == ["a.npz", "b.npz"]
    (folder / "a.npz").write_bytes(b"x.npz")
    os.utime(folder / "a.npz", ns=(1, 1))
    changed = identity(folder)
    assert changed != first and sorted(read) == ["a.npz", "a.npz", "b.npz"], "equal size, and only this one is read"
    (folder / "a.npz").write_bytes(b"a.npz")
    assert identity(folder) == first, "the same bytes at another time are the same features"
    (folder / "lock.mdb").write_bytes(b"a reader")
    assert identity(folder) == first and "lock.mdb" not in read
    (folder / "b.npz").rename(folder / "c.npz")
    assert identity(folder) not in (first, changed)
    moved = folder.rename(tmp_path / "moved")
    (moved / "c.npz").rename(moved / "b.npz")
    assert identity(moved) == first, "where they lie is no part of it"
    assert len([path for path in scratch.iterdir() if path.suffix == ".json"]) == 2


def test_several_that_ask_at_once_read_each_file_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VLDISTILL_SCRATCH", str(tmp_path / "scratch"))
    folder, read = tmp_path / "regions", []
    folder.mkdir()
    for number in range(20):
        (folder / f"{number}.npz").write_bytes(bytes([number]))

    def slowly(path: Path) -> str:
        read.append(path)
        time.sleep(0.005)
        return sha256_file(path)

    monkeypatch.setattr(region_folders, "sha256_file", slowly)
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(identity, [folder] * 4))
    assert len(set(found)) == 1 and len(read) == 20
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as processes:
        assert set(processes.map(identity, [folder] * 2)) == set(found)


def test_what_was_read_before_a_failure_is_not_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VLDISTILL_SCRATCH", str(tmp_path / "scratch"))
    folder, read = tmp_path / "regions", []
    folder.mkdir()
    for number in range(4):
        (folder / f"{number}.npz").write_bytes(bytes([number]))

    def failing(path: Path) -> str:
        read.append(path)
        if len(read) == 3:
            raise OSError("no such disk")
        return sha256_file(path)

    monkeypatch.setattr(region_folders, "sha256_file", failing)
    with pytest.raises(OSError, match="no such disk"):
        identity(folder)
    identity(folder)
    assert len(read) == 5


def write_lmdb(folder: Path, values: dict[str, bytes]) -> None:
    with lmdb.open(str(folder), map_size=2**22) as environment, environment.begin(write=True) as transaction:
        for name, value in values.items():
            transaction.put(name.encode(), value)


@pytest.mark.parametrize("kind", [npz, packed])
def test_both_kinds_of_lmdb_give_what_files_give(tmp_path: Path, kind: Callable[[int], bytes]) -> None:
    files, database = tmp_path / "files", tmp_path / "lmdb"
    files.mkdir()
    for name, boxes in {"a.npz": 12, "b.npz": 3}.items():
        (files / name).write_bytes(npz(boxes))
    write_lmdb(database, {"a.npz": kind(12), "b.npz": kind(3), "__keys__": b'["a.npz", "b.npz"]'})
    one, other = (read_regions(open_source(folder), ["a.npz", "b.npz"]) for folder in (files, database))
    assert one.mask.sum() == 15
    for field in ("features", "boxes", "mask"):
        assert torch.equal(getattr(one, field), getattr(other, field)), field


def test_an_lmdb_is_read_by_image_by_several_at_once_and_without_writing(tmp_path: Path) -> None:
    write_lmdb(tmp_path, {f"flickr30k_{number:012d}.npz": packed(12) for number in range(20)})
    before = {path.name: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    images = [f"{number}.jpg" for number in range(20)]
    one, other = (RegionFiles(tmp_path, "flickr30k") for _ in range(2))
    assert torch.equal(one.read(images).features, other.read(images).features)
    with pytest.raises(InputError, match=r"record flickr30k_000000000020\.npz: no region features"):
        one.read(["20.jpg"])
    assert {path.name: path.stat().st_mtime_ns for path in tmp_path.iterdir()} == before


class Harmful:
    """Unpickling this fails the test."""

    def __reduce__(self) -> tuple:
        return pytest.fail, ("unpickled",)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (npz()[:300], "not a readable .npz"),
        (npz(0), "field features: no boxes"),
        (packed()[:300], "neither .npz nor readable msgpack"),
        (packed(conf=None), r"field conf: no such array"),
        (packed(conf=0.5), r"field conf: no such array"),
        (msgpack.packb([1, 2]), r"field features: no such array"),
        (packed(norm_bb=np.zeros((14, 4))), r"field norm_bb: shape \(14, 4\) beside 14 boxes"),
        (packed(conf={b"nd": True, b"kind": b"O", b"data": pickle.dumps(Harmful())}), "pickled objects"),
    ],
)
def test_broken_values_are_named(tmp_path: Path, value: bytes, message: str) -> None:
    write_lmdb(tmp_path, {"a.npz": value})
    with pytest.raises(InputError, match=message) as caught:
        read_regions(open_source(tmp_path), ["a.npz"])
    assert str(caught.value).startswith(f"file {tmp_path / 'data.mdb'}, record a.npz")


def test_a_folder_that_is_no_lmdb_and_packages_that_are_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "data.mdb").write_bytes(b"none" * 4096)
    with pytest.raises(InputError, match="not an LMDB"):
        open_source(tmp_path / "broken")
    write_lmdb(tmp_path / "lmdb", {"a.npz": npz(), "b.npz": packed()})
    monkeypatch.setitem(sys.modules, "lmdb", None)
    with pytest.raises(InputError, match=r"the package lmdb is not installed.*pip install lmdb; or give \.npz files"):
        open_source(tmp_path / "lmdb")
    monkeypatch.undo()
    source = open_source(tmp_path / "lmdb")
    for module, package in (("msgpack", "msgpack"), ("msgpack_numpy", "msgpack-numpy")):
        monkeypatch.setitem(sys.modules, module, None)
        assert len(source.read("a.npz")["conf"]) == 14
        with pytest.raises(InputError, match=rf"data\.mdb: the package {package} is not.*pip install {package}"):
            source.read("b.npz")
        monkeypatch.undo()
