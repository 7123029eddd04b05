"""Test images with what the model says about them, chosen by a rule and not by hand.

The order of the sha256 of the image key (or question id) is a draw that nobody can steer: the first N images are shown,
right or wrong, and apart from them the first N questions that were answered wrongly.
"""

from __future__ import annotations

import base64
import hashlib
import io
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vldistill import layout
from vldistill.evaluate.items import Item, read_items
from vldistill.images import open_images
from vldistill.records import QuestionRecord, read_captions, read_questions

SMALL = 128  # px; images narrower than this are shown with visible pixels instead of blurred
PER_IMAGE = 6  # questions shown below one image


@dataclass(frozen=True)
class AnsweredQuestion:
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
    questions: tuple[AnsweredQuestion, ...]
    domain: str | None


def rank(name: str) -> str:
    """The place of ``name`` in the draw."""
    return hashlib.sha256(name.encode("utf-8")).hexdigest()


def answers(root: Path, task: str, cell: str) -> dict[str, Item]:
    """Scored items of a cell by id, {} if the cell was not evaluated on ``task``.

    Raises:
        InputError: as `vldistill.evaluate.items.read_items`.
    """
    path = layout.score_vlkd(root) / "items" / task / f"{cell}.jsonl"
    return read_items(path) if path.is_file() else {}


def accuracy(scores: Mapping[str, Any]) -> float:
    """The item's VQA accuracy in 0..1, whatever its scale; the official variant where there are several."""
    for name in ("official", "accuracy", *scores):
        value = scores.get(name)
        if isinstance(value, int | float):
            return float(value) / 100 if value > 1 else float(value)
    return 0.0


def pictures(root: Path, cell: str, split: str, count: int, width: int) -> list[Picture]:
    """The first ``count`` images of the split of COCO, in the order of the draw, with captions and questions."""
    captions = {r.image: r for r in read_captions(layout.download(root, "coco")) if r.split == split}
    said = answers(root, "coco", cell)
    answered = _answered_questions(root, cell, split)
    keys = [key for key in sorted(captions, key=rank) if captions[key].id in said or key in answered][:count]
    with Thumbnails(root, "coco", width) as images:
        return [
            Picture(
                key,
                *images.data(key),
                caption=_prediction(said.get(captions[key].id)),
                references=tuple(captions[key].captions[:2]),
                questions=tuple(answered.get(key, ())[:PER_IMAGE]),
                domain=captions[key].domain,
            )
            for key in keys
        ]


def failures(root: Path, cell: str, split: str, count: int, width: int) -> list[Picture]:
    """The first ``count`` wrongly answered questions (accuracy 0) in the order of the draw, one image each."""
    scored = answers(root, "vqav2", cell)
    wrong = [
        record
        for record in read_questions(layout.download(root, "vqav2"))
        if record.split == split and record.id in scored and accuracy(scored[record.id].scores) == 0
    ]
    chosen = sorted(wrong, key=lambda record: rank(record.id))[:count]
    said = answers(root, "coco", cell)
    caption_of = {record.image: record.id for record in read_captions(layout.download(root, "coco"))}
    with Thumbnails(root, "coco", width) as images:
        return [
            Picture(
                record.image,
                *images.data(record.image),
                caption=_prediction(said.get(caption_of.get(record.image, ""))),
                references=(),
                questions=(_one(record, scored[record.id]),),
                domain=None,
            )
            for record in chosen
        ]


def _prediction(item: Item | None) -> str | None:
    return None if item is None else str(item.prediction)


def _answered_questions(root: Path, cell: str, split: str) -> dict[str, list[AnsweredQuestion]]:
    """Questions on COCO images by image key: those about the image and those that need a fact."""
    found: dict[str, list[AnsweredQuestion]] = defaultdict(list)
    for task in ("vqav2", "okvqa"):
        scored = answers(root, task, cell)
        if not scored:
            continue
        for record in read_questions(layout.download(root, task)):
            if record.split == split and record.id in scored:
                found[record.image].append(_one(record, scored[record.id]))
    return found


def _one(record: QuestionRecord, item: Item) -> AnsweredQuestion:
    truth = Counter(record.answers).most_common(1)
    return AnsweredQuestion(record.question, str(item.prediction), truth[0][0] if truth else "", accuracy(item.scores))


class Thumbnails:
    """The stored images of a data set as data URIs, scaled down to ``width`` px where they are wider.

    Raises:
        InputError: there is no archive, no such image, or it cannot be decoded.
    """

    def __init__(self, root: Path, dataset: str, width: int) -> None:
        self.images, self.width = open_images(layout.download(root, dataset)), width

    def __enter__(self) -> Thumbnails:
        return self

    def __exit__(self, *_: object) -> None:
        self.images.close()

    def data(self, key: str) -> tuple[str, bool]:
        """The image as a data URI, and whether its pixels are meant to be seen."""
        image = self.images.read(key)
        if image.width > self.width:
            image.thumbnail((self.width, self.width))
        out = io.BytesIO()
        kind = "PNG" if image.width <= SMALL else "JPEG"
        image.save(out, kind, **({"optimize": True} if kind == "PNG" else {"quality": 85}))
        return f"data:image/{kind.lower()};base64,{base64.b64encode(out.getvalue()).decode()}", image.width <= SMALL


def right_and_answered(shown: Iterable[Picture]) -> tuple[float, int]:
    """Sum of accuracies and number of the questions of ``shown``, for the sentence above the gallery."""
    answered = [one for picture in shown for one in picture.questions]
    return sum(one.score for one in answered), len(answered)


def domain_pictures(root: Path, cell: str, split: str, domains: Sequence[str], each: int, width: int) -> list[Picture]:
    """The first ``each`` NoCaps images of every domain, in the order of the draw."""
    said = answers(root, "nocaps", cell)
    if not said:
        return []
    records = [r for r in read_captions(layout.download(root, "nocaps")) if r.split == split and r.id in said]
    ordered = sorted(records, key=lambda record: rank(record.image))
    chosen = [r for domain in domains for r in [r for r in ordered if r.domain == domain][:each]]
    with Thumbnails(root, "nocaps", width) as images:
        return [
            Picture(
                record.image,
                *images.data(record.image),
                caption=_prediction(said[record.id]),
                references=tuple(record.captions[:2]),
                questions=(),
                domain=record.domain,
            )
            for record in chosen
        ]
