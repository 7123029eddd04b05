"""Test items where MAD and the baseline differ, with the token and the region that the teacher would choose.

As in the other gallery nobody picks: of the items that one arm gets right and the other does not, the first in the
order of the sha256 of the id are shown. The choice is that of `vldistill.distill.mad.targets`, made from the frozen
teacher's vectors alone; in training it decides which states are drawn to the teacher, in prediction it plays no part.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vldistill import layout
from vldistill.artifact import read_manifest
from vldistill.cells import MadCell
from vldistill.distill.mad.key import CLIP, RECORDS, record_set
from vldistill.errors import InputError
from vldistill.evaluate.mad.data import READERS, TEACHER, MadRecord
from vldistill.evaluate.mad.statistics import BASELINE, METHOD_ARM
from vldistill.features.sentences import spelled, untagged
from vldistill.features.store import Store, open_store, sentence_key
from vldistill.files import read_jsonl
from vldistill.params import Params
from vldistill.params.mad import SELECTIONS
from vldistill.records import ChoiceRecord, EntailmentRecord, RegionsRecord, read_regions
from vldistill.report.gallery import Thumbnails, rank
from vldistill.report.mad import names
from vldistill.report.mad.found import Found, few_of, in_domain

GATED = ("flickr30k", "vcr")
"""Sets of images under terms that forbid passing them on (data/registry.csv, which a test holds this to)."""
SHORT = {METHOD_ARM: "MAD", BASELINE: "baseline", TEACHER: "teacher\u2019s head"}


@dataclass(frozen=True)
class Box:
    """A region in pixels of the picture, and the cosine of CLIP's vectors of it and of the text."""

    x: float
    y: float
    width: float
    height: float
    name: str
    weight: float
    chosen: bool


@dataclass(frozen=True)
class Word:
    """A word of the teacher's text; a content word has the cosine of CLIP's vectors of it and of the image."""

    text: str
    weight: float | None = None
    chosen: bool = False


@dataclass(frozen=True)
class Said:
    """What an arm said, whether it is right, and the chance it gave the right answer, where that is on file."""

    who: str
    answer: str
    right: bool
    chance: float | None


@dataclass(frozen=True)
class Example:
    """One item with its picture of ``width`` x ``height``, as a data URI."""

    key: str
    source: str
    pixelated: bool
    width: int
    height: int
    question: str
    truth: str
    said: tuple[Said, ...]
    words: tuple[Word, ...]
    boxes: tuple[Box, ...]

    @property
    def region(self) -> Box | None:
        """The chosen region."""
        return next((box for box in self.boxes if box.chosen), None)


def withheld(params: Params, tasks: Sequence[str]) -> list[str]:
    """Those of the tasks whose items are not shown: their images, and VCR's texts, may not be passed on."""
    free = params.download.source == "world" or params.report.gated
    return [] if free else [task for task in tasks if RECORDS[task][1] in GATED]


def galleries(params: Params, root: Path, found: Found) -> dict[str, list[Example]]:
    """Items of every task that MAD alone gets right, and those that the baseline alone gets right, by title."""
    made: dict[str, list[Example]] = {}
    each = params.report.gallery // 4
    hidden = withheld(params, found.tasks)
    for task in found.tasks if each else ():
        if task in hidden:
            continue
        cells = [MadCell(task, few_of(found.results, task), arm, 0) for arm in (METHOD_ARM, BASELINE)]
        if not set(cells) <= set(found.cells):
            continue
        maker = _ExampleMaker(params, root, cells[0])
        mine, other = (_scored(root, cell) for cell in cells)
        if mine is None or other is None:
            continue
        metric = in_domain(task)[1]
        better = {key: item["scores"][metric] - other[key]["scores"][metric] for key, item in mine.items()}
        for title, sign in (("MAD right, baseline wrong", 1), ("baseline right, MAD wrong", -1)):
            ids = sorted((key for key, by in better.items() if by * sign > 0), key=rank)
            if ids:
                where = f"{names.task(task)}, {cells[0].fraction} %, {title} ({len(ids)} of {len(better)} items)"
                made[where] = maker.examples(ids[:each], mine, other)
    return made


def _scored(root: Path, cell: MadCell) -> dict[str, dict[str, Any]] | None:
    name = f"{in_domain(cell.task)[0]}/{cell.name}.jsonl"
    folder = layout.score_items_mad(root, cell.task)
    if name not in read_manifest(folder)["files"]:
        return None
    return {str(item["id"]): item for item in read_jsonl(folder / name)}


class _ExampleMaker:
    """Makes the examples of one task."""

    def __init__(self, params: Params, root: Path, cell: MadCell) -> None:
        self.params, self.root, self.cell, self.task = params, root, cell, cell.task
        self.images = RECORDS[cell.task][1]
        self.width, self.tagged_as = params.report.image_width, params.features.tagged_as
        options = params.distill.mad.options_of(cell.arm, cell.task, cell.fraction)
        self.chosen_by_teacher = bool(options.weight) and options.target in SELECTIONS

    def examples(self, ids: Sequence[str], mine: Mapping[str, Any], other: Mapping[str, Any]) -> list[Example]:
        """The items ``ids``, by the scored items of MAD and the baseline."""
        records = {record.id: record for record in READERS[self.task](self._records) if record.id in set(ids)}
        regions = read_regions(layout.download(self.root, self.images))
        features = open_store(layout.features(self.root, CLIP, self.images))
        texts = open_store(layout.features(self.root, CLIP, layout.TEXTS))
        chances = {arm: self._chances(arm, mine, ids) for arm in (METHOD_ARM, BASELINE, TEACHER)}
        made = []
        with Thumbnails(self.root, self.images, self.width) as thumbnails:
            for key in ids:
                record = records[key]
                source, pixelated = thumbnails.data(record.image)
                boxes = regions[record.image]
                shown = _SHOWN[self.task](record, boxes, mine[key], other[key], self.tagged_as)
                said = [
                    Said(SHORT[arm], answer, scores > 0, chances[arm].get(key))
                    for arm, answer, scores in (
                        (METHOD_ARM, shown.mine, mine[key]["scores"][in_domain(self.task)[1]]),
                        (BASELINE, shown.other, other[key]["scores"][in_domain(self.task)[1]]),
                    )
                ]
                if key in chances[TEACHER]:
                    said.append(Said(SHORT[TEACHER], "", False, chances[TEACHER][key]))
                words, drawn = self._choice(shown, record.image, boxes, features, texts)
                made.append(
                    Example(
                        key=key,
                        source=source,
                        pixelated=pixelated,
                        width=boxes.width,
                        height=boxes.height,
                        question=shown.question,
                        truth=shown.truth,
                        said=tuple(said),
                        words=words,
                        boxes=drawn,
                    )
                )
        return made

    @property
    def _records(self) -> Path:
        return layout.download(self.root, record_set(self.params, self.root, self.task))

    def _chances(self, arm: str, scored: Mapping[str, Any], ids: Sequence[str]) -> dict[str, float]:
        """What an arm gave the right answer of each item; {} where predictions do not tell (VQA) or are not there."""
        name = f"{in_domain(self.task)[0]}/{arm}-f{self.cell.fraction}-s{self.cell.seed}.jsonl"
        folder = layout.predict_mad(self.root, self.task)
        if self.task == "vqa" or name not in read_manifest(folder)["files"]:
            return {}
        wanted, found = set(ids), {}
        for row in read_jsonl(folder / name):
            if row["id"] in wanted:
                target = scored[row["id"]]["target"]
                found[row["id"]] = float(row["scores"][target["answer"] if isinstance(target, dict) else target])
        return found

    def _choice(
        self, shown: _Shown, image: str, record: RegionsRecord, features: Store, texts: Store
    ) -> tuple[tuple[Word, ...], tuple[Box, ...]]:
        if not self.chosen_by_teacher:
            return tuple(Word(word) for word in shown.words), ()
        # torch is imported with it, and only where MAD was run
        from vldistill.distill.mad.inputs import REGION_POOLED
        from vldistill.distill.mad.targets import content_words

        regions = _unit(features.get(REGION_POOLED, [image])[0])
        text = _unit(texts.get("text", [sentence_key(shown.teacher_text)]))[0]
        first = sum(len(segment.split()) for segment in shown.texts[:-1])
        content = [(number - first, word) for number, word in content_words(shown.texts)]
        weights = _unit(texts.get("text", [sentence_key(word) for _, word in content])) @ regions[0]
        by_number = {number: float(weight) for (number, _), weight in zip(content, weights, strict=True)}
        best = max(by_number, key=by_number.__getitem__, default=None)
        words = tuple(Word(word, by_number.get(at), at == best) for at, word in enumerate(shown.words))
        return words, _boxes(record, regions @ text)


def _boxes(record: RegionsRecord, weights: NDArray[np.float32]) -> tuple[Box, ...]:
    """The whole picture and the boxes that the student sees, the first of the best one chosen."""
    corners = [[0.0, 0.0, float(record.width), float(record.height)], *record.boxes][: len(weights)]
    labels = ["whole picture", *(name or f"region {at}" for at, name in enumerate(record.names, start=1))]
    best = int(weights[: len(corners)].argmax())
    return tuple(
        Box(x1, y1, x2 - x1, y2 - y1, label, float(weight), at == best)
        for at, ((x1, y1, x2, y2), label, weight) in enumerate(zip(corners, labels, weights, strict=False))
    )


def _unit(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    unit: NDArray[np.float32] = vectors / np.linalg.norm(vectors, axis=-1, keepdims=True).clip(min=1e-12)
    return unit


@dataclass(frozen=True)
class _Shown:
    """One item in words: ``texts`` are the student's segments, ``words`` the last of them as it is shown."""

    question: str
    texts: Sequence[str]
    words: Sequence[str]
    teacher_text: str
    truth: str
    mine: str
    other: str


def _sentence(
    record: MadRecord, regions: RegionsRecord, mine: Mapping[str, Any], other: Mapping[str, Any], tagged_as: str
) -> _Shown:
    """SNLI-VE and VQA."""
    text = record.hypothesis if isinstance(record, EntailmentRecord) else str(getattr(record, "question", ""))
    said = str(mine["target"]), str(mine["prediction"]), str(other["prediction"])
    return _Shown("", [text], text.split(), text, *said)


def _choices(
    record: MadRecord, regions: RegionsRecord, mine: Mapping[str, Any], other: Mapping[str, Any], tagged_as: str
) -> _Shown:
    """VCR: the words are those of the right answer."""
    from vldistill.distill.mad.items import student_text  # as content_words

    if not isinstance(record, ChoiceRecord) or record.answer_label is None:
        raise InputError("no question with a public answer", record=record.id, action="Score again")
    answers = [spelled(answer, record.objects) for answer in record.answers]
    right = record.answers[record.answer_label]
    texts = [student_text(record.question), student_text(right)]
    return _Shown(
        question=spelled(record.question, record.objects),
        texts=texts,
        words=[untagged(word, record.objects) for word in texts[-1].split()],
        teacher_text=spelled(right, record.objects, tagged_as),
        truth=answers[record.answer_label],
        mine=answers[mine["prediction"]["answer"]],
        other=answers[other["prediction"]["answer"]],
    )


_SHOWN: dict[str, Callable[..., _Shown]] = {"snli_ve": _sentence, "vcr": _choices, "vqa": _sentence}
