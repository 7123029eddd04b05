"""A tiny project to pre-train on: coloured squares with captions, and short documents."""

from __future__ import annotations

import io
import random
import zipfile
from pathlib import Path

import pytest
from PIL import Image

from vldistill import artifact, layout
from vldistill.params import Params
from vldistill.records import CaptionRecord, TextRecord, write_records

COLORS = {"red": (220, 30, 30), "green": (30, 200, 30), "blue": (30, 30, 220), "yellow": (220, 220, 30)}
SIDES = ("left", "right")


def picture(color: str, side: str) -> bytes:
    image = Image.new("RGB", (16, 16), "white")
    left = 0 if side == "left" else 8
    image.paste(COLORS[color], (left, 0, left + 8, 16))
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def pairs(folder: Path) -> None:
    rng = random.Random(0)
    scenes = [(rng.choice(list(COLORS)), rng.choice(SIDES)) for _ in range(120)]
    records = [
        CaptionRecord(str(at), f"{at}.png", [f"{color} on the {side}", f"on the {side} : {color}"], "train")
        for at, (color, side) in enumerate(scenes)
    ]
    write_records(folder, records)
    with zipfile.ZipFile(folder / "images.zip", "w") as archive:
        for record, scene in zip(records, scenes, strict=True):
            archive.writestr(record.image, picture(*scene))


def documents(folder: Path) -> None:
    rng = random.Random(1)
    records = []
    for at in range(160):
        color = rng.choice(list(COLORS))
        kind = "direct" if at % 4 == 0 else "reading"
        told = "" if kind == "direct" else f"it is {color} . "
        records.append(TextRecord(str(at), f"{told}question: what color? answer: {color}", None, kind, "train"))
    write_records(folder, records)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    artifact.publish(layout.download(tmp_path, "cc3m"), pairs)
    artifact.publish(layout.download(tmp_path, "corpus"), documents)
    return tmp_path


@pytest.fixture
def params() -> Params:
    training = {
        "steps": 8,
        "batch_size": 16,
        "warmup": 2,
        "learning_rate": 0.002,
        "checkpoint_every": 3,
        "log_every": 4,
    }
    clip = {
        "tower": "vit", "embed_dim": 16, "image_size": 16, "patch_size": 8, "image_width": 32, "image_layers": 1,
        "text_width": 32, "text_layers": 1, "head_width": 16, "context_length": 12, "vocabulary": 400,
    }  # fmt: skip
    bart = {"width": 32, "encoder_layers": 1, "decoder_layers": 1, "heads": 2, "feedforward": 64, "positions": 48}
    return Params.model_validate(
        {
            "pretrain": {
                "clip": {"model": clip, "training": training},
                "language_model": {"model": bart, "training": training, "held_out": 40},
            }
        }
    )
