"""A small project with images, captions and an encoder of random weights."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from open_clip.model import CLIP
from PIL import Image

from vldistill import artifact, layout
from vldistill.models.teacher import save_teacher
from vldistill.params import Params
from vldistill.records import CaptionRecord, RegionsRecord, write_records, write_regions

CONFIG = {
    "embed_dim": 24,
    "vision_cfg": {"image_size": 16, "layers": 1, "width": 32, "head_width": 16, "patch_size": 8},
    "text_cfg": {"context_length": 12, "width": 32, "heads": 2, "layers": 1},
}
BOXES = [[0.0, 0.0, 16.0, 16.0], [8.0, 8.0, 32.0, 32.0], [0.0, 16.0, 32.0, 32.0]]
PREPROCESS = {"mean": [0.5] * 3, "std": [0.5] * 3, "interpolation": "bicubic", "resize_mode": "shortest"}


def png(seed: int) -> bytes:
    pixels = np.random.default_rng(seed).integers(0, 256, (16, 16, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def make_dataset(root: Path, count: int = 50, broken: dict[str, bytes | None] | None = None) -> list[CaptionRecord]:
    """results/download/coco with ``count`` images; ``broken`` replaces bytes by key, None leaves the image out."""
    records = [
        CaptionRecord(str(at), f"{at:03d}.png", [f"picture number {at}", "a dog"], "dev" if at % 2 else "test")
        for at in range(count)
    ]

    def build(folder: Path) -> None:
        write_records(folder, records)
        write_regions(
            folder,
            [
                # two boxes, or three where the number is even: one more than the student takes
                RegionsRecord(record.image, 32, 32, BOXES[: 3 - at % 2], ["a", "b", "c"][: 3 - at % 2])
                for at, record in enumerate(records)
            ],
        )
        with zipfile.ZipFile(folder / "images.zip", "w") as archive:
            for at, record in enumerate(records):
                data = (broken or {}).get(record.image, png(at))
                if data is not None:
                    archive.writestr(record.image, data)

    artifact.publish(layout.download(root, "coco"), build)
    return records


@pytest.fixture(name="png")
def png_maker() -> Callable[[int], bytes]:
    return png


@pytest.fixture(name="make_dataset")
def dataset_maker() -> Callable[..., list[CaptionRecord]]:
    return make_dataset


@pytest.fixture
def project(tmp_path: Path) -> Path:
    make_dataset(tmp_path)

    def build(folder: Path) -> None:
        torch.manual_seed(0)
        save_teacher(folder, CLIP(**CONFIG), CONFIG, PREPROCESS, None)

    artifact.publish(layout.pretrain(tmp_path, "clip"), build)
    return tmp_path


@pytest.fixture
def params() -> Params:
    return Params.model_validate(
        {"features": {"shard_rows": 8, "batch_size": 4}, "pretrain": {"student": {"regions": {"most": 3}}}}
    )
