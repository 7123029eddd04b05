"""The feature store against other ways of keeping and making features.

Reading: random batches of 50 x 768 fp16 patch features, as a ViT-B gives them. Extraction: small images through one
tower. Every contestant's features are compared with the others'.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from open_clip.model import CLIP
from PIL import Image
from safetensors.torch import load_file, save_file
from table import Race, Row

from vldistill.features.shards import Rows, assemble, commit, cut
from vldistill.features.store import open_store
from vldistill.models.teacher import load_teacher, save_teacher

ITEMS = 4000
SHAPE = (50, 768)
BATCH = 128
READS = 40
IMAGES = 512


def race() -> list[Race]:
    """Reading, and extraction."""
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        return [_reading(Path(folder) / "reading"), _extraction(Path(folder) / "extraction")]


def _reading(folder: Path) -> Race:
    rng = np.random.default_rng(0)
    values = rng.standard_normal((ITEMS, *SHAPE)).astype(np.float16)
    keys = [f"image-{number}" for number in range(ITEMS)]
    batches = [rng.integers(0, ITEMS, BATCH) for _ in range(READS)]
    readers = {
        "one .pt file a sample": _samples(folder / "samples", values),
        "one safetensors file": _safetensors(folder, values),
        "the feature store": _store(folder, keys, values),
    }
    rows = []
    for who, read in readers.items():
        read(batches[0])
        seconds, right = 0.0, True
        for batch in batches:
            began = time.monotonic()
            found = read(batch)
            seconds += time.monotonic() - began
            right &= np.array_equal(found, values[batch])
        rows.append(Row(who, seconds, f"{READS * BATCH / seconds:.0f} samples/s{'' if right else ', WRONG'}"))
    size = values.nbytes / 2**20
    task = f"{READS} random batches of {BATCH} from {ITEMS} samples of {SHAPE[0]} x {SHAPE[1]} fp16 ({size:.0f} MiB)."
    return Race("Reading features", task, rows)


def _samples(folder: Path, values: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    folder.mkdir(parents=True)
    for number, value in enumerate(values):
        torch.save(torch.from_numpy(value.copy()), folder / f"{number}.pt")
    return lambda rows: torch.stack([torch.load(folder / f"{row}.pt", weights_only=True) for row in rows]).numpy()


def _safetensors(folder: Path, values: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    save_file({"features": torch.from_numpy(values)}, folder / "all.safetensors")
    loaded = load_file(folder / "all.safetensors")["features"]
    return lambda rows: loaded[torch.from_numpy(rows)].numpy()


def _store(folder: Path, keys: list[str], values: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    shards = cut("images", keys, 1000)
    for number, shard in enumerate(shards):
        commit(folder / "run", shard, Rows({"patch": values[number * 1000 : (number + 1) * 1000]}))
    store = open_store(assemble(folder / "run", folder / "store", shards, {}, {}))
    return lambda rows: store.get("patch", [keys[row] for row in rows], dtype=np.float16)


def _extraction(folder: Path) -> Race:
    config = {
        "embed_dim": 96,
        "vision_cfg": {"image_size": 48, "layers": 3, "width": 128, "head_width": 32, "patch_size": 12},
        "text_cfg": {"context_length": 24, "width": 96, "heads": 3, "layers": 2},
    }
    torch.manual_seed(0)
    save_teacher(folder, CLIP(**config), config, {"mean": [0.5] * 3, "std": [0.5] * 3}, None)
    teacher = load_teacher(folder)
    rng = np.random.default_rng(0)
    images = [Image.fromarray(rng.integers(0, 256, (64, 64, 3), dtype=np.uint8)) for _ in range(IMAGES)]

    def in_batches(size: int) -> torch.Tensor:
        parts = [teacher.encode_images(images[at : at + size])[1] for at in range(0, IMAGES, size)]
        return torch.cat(parts)

    rows, found = [], []
    for who, size in (("one image after the other", 1), ("batches of 64, as the stage does", 64)):
        began = time.monotonic()
        found.append(in_batches(size))
        seconds = time.monotonic() - began
        apart = (found[0] - found[-1]).abs().max().item()
        rows.append(Row(who, seconds, f"{IMAGES / seconds:.0f} images/s, largest difference {apart:.1e}"))
    return Race("Extraction", f"{IMAGES} images of 64 x 64 through a tower of the default stand-in's size.", rows)
