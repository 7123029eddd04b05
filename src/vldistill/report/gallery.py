"""Test images with what the model says about them, chosen by a rule and not by hand.

The order of the sha256 of the image key (or question id) is a draw that nobody can steer: the first N images are shown,
right or wrong, and apart from them the first N questions that were answered wrongly.
"""

from __future__ import annotations

import base64
import hashlib
import io
import zipfile
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vldistill import layout
from vldistill.errors import InputError
from vldistill.files import read_jsonl

SMALL = 128  # px; images narrower than this are shown with visible pixels instead of blurred
PER_IMAGE = 6  # questions shown below one image


@dataclass(frozen=True)
class Asked:
    """A question, what the model answered, the answer most annotators gave, and the accuracy of the answer in 0..1."""

    question: str
    answer: str
    truth: str
    score: float


@dataclass(frozen=True)
class Picture:
    """One image of the gallery."""

    key: str
    source: str
    pixelated: bool
    caption: str | None
    references: tuple[str, ...]
    asked: tuple[Asked, ...]
    domain: str | None


def rank(name: str) -> str:
    """The place of ``name`` in the draw."""
    return hashlib.sha256(name.encode("utf-8")).hexdigest()


def answers(root: Path, task: str, cell: str) -> dict[str, dict[str, Any]]:
    """Scored items of a cell by id, {} if the cell was not evaluated on ``task``.

    Raises:
        InputError: an item lacks its id, prediction or scores.
    """
    path = layout.score_vlkd(root) / "items" / task / f"{cell}.jsonl"
    if not path.is_file():
        return {}
    found = {}
    for number, item in enumerate(read_jsonl(path), start=1):
        for field in ("id", "prediction", "scores"):
            if not isinstance(item, dict) or field not in item:
                raise InputError(
                    "the field is missing",
                    file=path,
                    record=f"line {number}",
                    field=field,
                    action="Run again: vldistill evaluate vlkd score",
                )
        found[str(item["id"])] = item
    return found


def accuracy(scores: Mapping[str, Any]) -> float:
    """The item's VQA accuracy in 0..1, whatever its scale; the official variant where there are several."""
    for name in ("official", "accuracy", *scores):
        value = scores.get(name)
        if isinstance(value, int | float):
            return float(value) / 100 if value > 1 else float(value)
    return 0.0


def pictures(root: Path, cell: str, split: str, count: int, width: int) -> list[Picture]:
    """The first ``count`` images of the split of COCO, in the order of the draw, with captions and questions."""
    captions = {str(r["image"]): r for r in _records(root, "coco") if r["split"] == split and r.get("image")}
    said = answers(root, "coco", cell)
    asked = _asked(root, cell, split)
    keys = [key for key in sorted(captions, key=rank) if str(captions[key]["id"]) in said or key in asked][:count]
    with Images(root, "coco", width) as images:
        return [
            Picture(
                key,
                *images.data(key),
                caption=_prediction(said.get(str(captions[key]["id"]))),
                references=tuple(captions[key]["captions"][:2]),
                asked=tuple(asked.get(key, ())[:PER_IMAGE]),
                domain=captions[key].get("domain"),
            )
            for key in keys
        ]


def failures(root: Path, cell: str, split: str, count: int, width: int) -> list[Picture]:
    """The first ``count`` wrongly answered questions (accuracy 0) in the order of the draw, one image each."""
    scored = answers(root, "vqav2", cell)
    wrong = [
        record
        for record in _records(root, "vqav2")
        if record["split"] == split
        and str(record["id"]) in scored
        and accuracy(scored[str(record["id"])]["scores"]) == 0
    ]
    chosen = sorted(wrong, key=lambda record: rank(str(record["id"])))[:count]
    said = answers(root, "coco", cell)
    captions = {str(r["image"]): r for r in _records(root, "coco") if r.get("image")}
    with Images(root, "coco", width) as images:
        return [
            Picture(
                str(record["image"]),
                *images.data(str(record["image"])),
                caption=_prediction(said.get(str(captions.get(record["image"], {}).get("id")))),
                references=(),
                asked=(_one(record, scored[str(record["id"])]),),
                domain=None,
            )
            for record in chosen
        ]


def _prediction(item: Mapping[str, Any] | None) -> str | None:
    return None if item is None else str(item["prediction"])


def _asked(root: Path, cell: str, split: str) -> dict[str, list[Asked]]:
    """Questions on COCO images by image key: those about the image and those that need a fact."""
    found: dict[str, list[Asked]] = defaultdict(list)
    for task in ("vqav2", "okvqa"):
        scored = answers(root, task, cell)
        if not scored:
            continue
        for record in _records(root, task):
            if record["split"] == split and str(record["id"]) in scored:
                found[str(record["image"])].append(_one(record, scored[str(record["id"])]))
    return found


def _one(record: Mapping[str, Any], item: Mapping[str, Any]) -> Asked:
    truth = Counter(str(answer) for answer in record["answers"]).most_common(1)
    return Asked(
        str(record["question"]), str(item["prediction"]), truth[0][0] if truth else "", accuracy(item["scores"])
    )


def _records(root: Path, dataset: str) -> list[dict[str, Any]]:
    path = layout.download(root, dataset) / "records.jsonl"
    records = read_jsonl(path)
    needed = ("id", "image", "split", "captions" if dataset in ("coco", "nocaps") else "answers")
    for number, record in enumerate(records, start=1):
        for field in needed:
            if not isinstance(record, dict) or field not in record:
                raise InputError(
                    "the field is missing",
                    file=path,
                    record=f"line {number}",
                    field=field,
                    action=f"Run again: vldistill download {dataset}",
                )
    return records


class Images:
    """The stored images of a data set as data URIs, scaled down to ``width`` px where they are wider."""

    def __init__(self, root: Path, dataset: str, width: int) -> None:
        self.path, self.width = layout.download(root, dataset) / "images.zip", width

    def __enter__(self) -> Images:
        try:
            self.archive = zipfile.ZipFile(self.path)
        except (FileNotFoundError, zipfile.BadZipFile) as error:
            raise InputError(
                f"no readable archive of images ({error})",
                file=self.path,
                action="Run the stage download again, or set report.gallery and report.failures to 0",
            ) from None
        return self

    def __exit__(self, *_: object) -> None:
        self.archive.close()

    def data(self, key: str) -> tuple[str, bool]:
        """The image as a data URI, and whether its pixels are meant to be seen.

        Raises:
            InputError: no such image, or not decodable.
        """
        from PIL import Image, ImageOps

        try:
            raw = self.archive.read(key)
            with Image.open(io.BytesIO(raw)) as opened:
                image = ImageOps.exif_transpose(opened).convert("RGB")
        except (KeyError, OSError, zipfile.BadZipFile) as error:
            raise InputError(
                f"the image cannot be read ({error})",
                file=self.path,
                record=key,
                action="Run the stage download again",
            ) from None
        if image.width > self.width:
            image.thumbnail((self.width, self.width))
        out = io.BytesIO()
        kind = "PNG" if image.width <= SMALL else "JPEG"
        image.save(out, kind, **({"optimize": True} if kind == "PNG" else {"quality": 85}))
        return f"data:image/{kind.lower()};base64,{base64.b64encode(out.getvalue()).decode()}", image.width <= SMALL


def right_and_asked(shown: Iterable[Picture]) -> tuple[float, int]:
    """Sum of accuracies and number of the questions of ``shown``, for the sentence above the gallery."""
    asked = [one for picture in shown for one in picture.asked]
    return sum(one.score for one in asked), len(asked)


def domain_pictures(root: Path, cell: str, split: str, domains: Sequence[str], each: int, width: int) -> list[Picture]:
    """The first ``each`` NoCaps images of every domain, in the order of the draw."""
    said = answers(root, "nocaps", cell)
    if not said:
        return []
    records = [r for r in _records(root, "nocaps") if r["split"] == split and str(r["id"]) in said]
    ordered = sorted(records, key=lambda record: rank(str(record["image"])))
    chosen = [r for domain in domains for r in [r for r in ordered if r.get("domain") == domain][:each]]
    with Images(root, "nocaps", width) as images:
        return [
            Picture(
                str(r["image"]),
                *images.data(str(r["image"])),
                caption=_prediction(said[str(r["id"])]),
                references=tuple(r["captions"][:2]),
                asked=(),
                domain=r["domain"],
            )
            for r in chosen
        ]
