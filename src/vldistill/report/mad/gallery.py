"""Test items where MAD and the baseline differ, with the words and the region that the teacher would choose.

As in the other gallery nobody picks: of the items that one arm gets right and the other does not, the first in the
order of the sha256 of the id are shown. The choice is that of `vldistill.distill.mad.targets.pick`, made from the
frozen teacher's vectors alone; in training it decides which states are drawn to the teacher, in prediction it plays no
part.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from vldistill import layout
from vldistill.artifact import read_manifest
from vldistill.cells import MadCell
from vldistill.distill.mad.key import RECORDS, record_set
from vldistill.errors import InputError
from vldistill.evaluate.items import Item, read_items
from vldistill.evaluate.mad.data import READERS, TEACHER, MadRecord
from vldistill.evaluate.mad.effects import BASELINE, METHOD_ARM
from vldistill.features.sentences import spelled, untagged
from vldistill.files import read_jsonl
from vldistill.params import Params
from vldistill.params.features import VcrText
from vldistill.params.mad import SELECTIONS
from vldistill.records import ChoiceRecord, EntailmentRecord, RegionsRecord, read_regions
from vldistill.report.gallery import Thumbnails, rank
from vldistill.report.mad import names
from vldistill.report.mad.drawing import Box, Drawing, draw
from vldistill.report.mad.found import Found, few_of, in_domain

if TYPE_CHECKING:
    from vldistill.report.mad.choice import Choice

GATED = ("flickr30k", "vcr")
"""Sets of images under terms that forbid passing them on (data/registry.csv, which a test holds this to)."""
SHORT = {METHOD_ARM: "MAD", BASELINE: "baseline", TEACHER: "teacher\u2019s head"}


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
    """One item with its picture as a data URI.

    Attributes:
        words: of the teacher's text.
        boxes: the regions that were weighed, the whole picture first.
        drawing: the picture with their frames.
        confidence: what the item would weigh in MAD's training, by the trained student; None where it is not on file.
    """

    key: str
    source: str
    pixelated: bool
    question: str
    truth: str
    said: tuple[Said, ...]
    words: tuple[Word, ...]
    boxes: tuple[Box, ...]
    drawing: Drawing
    confidence: float | None

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
        better = {key: item.scores[metric] - other[key].scores[metric] for key, item in mine.items()}
        for title, sign in (("MAD right, baseline wrong", 1), ("baseline right, MAD wrong", -1)):
            ids = sorted((key for key, by in better.items() if by * sign > 0), key=rank)
            if ids:
                where = f"{names.task(task)}, {cells[0].fraction} %, {title} ({len(ids)} of {len(better)} items)"
                made[where] = maker.examples(ids[:each], mine, other)
    return made


def _scored(root: Path, cell: MadCell) -> dict[str, Item] | None:
    name = f"{in_domain(cell.task)[0]}/{cell.name}.jsonl"
    folder = layout.score_items_mad(root, cell.task)
    return read_items(folder / name) if name in read_manifest(folder)["files"] else None


class _ExampleMaker:
    """Makes the examples of one task."""

    def __init__(self, params: Params, root: Path, cell: MadCell) -> None:
        self.params, self.root, self.cell, self.task = params, root, cell, cell.task
        self.images = RECORDS[cell.task][1]
        self.width = params.report.image_width
        self.options = params.distill.mad.options_of(cell.arm, cell.task, cell.fraction)

    def examples(self, ids: Sequence[str], mine: Mapping[str, Item], other: Mapping[str, Item]) -> list[Example]:
        """The items ``ids``, by the scored items of MAD and the baseline."""
        by_id = {record.id: record for record in READERS[self.task](self._records) if record.id in set(ids)}
        records = [by_id[key] for key in ids]
        regions = read_regions(layout.download(self.root, self.images))
        chances = {arm: self._chances(arm, mine, ids) for arm in (METHOD_ARM, BASELINE, TEACHER)}
        made = []
        with Thumbnails(self.root, self.images, self.width) as thumbnails:
            for record, choice in zip(records, self._choices(records, regions), strict=True):
                key, boxes = record.id, regions[record.image]
                source, pixelated = thumbnails.data(record.image)
                shown = _SHOWN[self.task](record, mine[key], other[key], self.params.features.vcr_text)
                said = [
                    Said(SHORT[arm], answer, scores > 0, chances[arm].get(key))
                    for arm, answer, scores in (
                        (METHOD_ARM, shown.mine, mine[key].scores[in_domain(self.task)[1]]),
                        (BASELINE, shown.other, other[key].scores[in_domain(self.task)[1]]),
                    )
                ]
                if key in chances[TEACHER]:
                    said.append(Said(SHORT[TEACHER], "", False, chances[TEACHER][key]))
                weighed = () if choice is None else _boxes(boxes, choice)
                made.append(
                    Example(
                        key=key,
                        source=source,
                        pixelated=pixelated,
                        question=shown.question,
                        truth=shown.truth,
                        said=tuple(said),
                        words=_words(shown.words, choice),
                        boxes=weighed,
                        drawing=draw(boxes.width, boxes.height, weighed),
                        confidence=self._confidence(chances[TEACHER].get(key), chances[METHOD_ARM].get(key)),
                    )
                )
        return made

    @property
    def _records(self) -> Path:
        return layout.download(self.root, record_set(self.params, self.root, self.task))

    def _chances(self, arm: str, scored: Mapping[str, Item], ids: Sequence[str]) -> dict[str, float]:
        """What an arm gave the right answer of each item; {} where predictions do not tell (VQA) or are not there."""
        name = f"{in_domain(self.task)[0]}/{replace(self.cell, arm=arm).name}.jsonl"
        folder = layout.predict_mad(self.root, self.task)
        if self.task == "vqa" or name not in read_manifest(folder)["files"]:
            return {}
        wanted, found = set(ids), {}
        for row in read_jsonl(folder / name):
            if row["id"] in wanted:
                target = scored[row["id"]].target
                found[row["id"]] = float(row["scores"][target["answer"] if isinstance(target, dict) else target])
        return found

    def _choices(self, records: Sequence[MadRecord], regions: Mapping[str, RegionsRecord]) -> Sequence[Choice | None]:
        if not (self.options.weight and self.options.target in SELECTIONS):
            return [None] * len(records)
        # torch is imported with it, and only where MAD was run
        from vldistill.report.mad.choice import choices

        return choices(self.params, self.root, self.cell, records, regions)

    def _confidence(self, teacher: float | None, student: float | None) -> float | None:
        if teacher is None or student is None or not self.options.weight:
            return None
        from vldistill.report.mad.choice import weight_of  # as above

        return weight_of(teacher, student, self.options.confidence)


def _words(shown: Sequence[str], choice: Choice | None) -> tuple[Word, ...]:
    if choice is None:
        return tuple(Word(word) for word in shown)
    return tuple(Word(word, choice.words.get(at), at in choice.chosen) for at, word in enumerate(shown))


def _boxes(record: RegionsRecord, choice: Choice) -> tuple[Box, ...]:
    """The whole picture and the boxes that were weighed."""
    corners = [[0.0, 0.0, float(record.width), float(record.height)], *record.boxes]
    labels = ["whole picture", *(name or f"region {at}" for at, name in enumerate(record.names, start=1))]
    return tuple(
        Box(x1, y1, x2 - x1, y2 - y1, label, weight, at == choice.region)
        for at, ((x1, y1, x2, y2), label, weight) in enumerate(zip(corners, labels, choice.regions, strict=False))
    )


@dataclass(frozen=True)
class _Shown:
    """One item in words: ``words`` are those of the text that the teacher reads, as they are shown."""

    question: str
    words: Sequence[str]
    truth: str
    mine: str
    other: str


def _sentence(record: MadRecord, mine: Item, other: Item, vcr_text: VcrText) -> _Shown:
    """SNLI-VE and VQA."""
    text = record.hypothesis if isinstance(record, EntailmentRecord) else str(getattr(record, "question", ""))
    return _Shown("", text.split(), str(mine.target), str(mine.prediction), str(other.prediction))


def _choice_question(record: MadRecord, mine: Item, other: Item, vcr_text: VcrText) -> _Shown:
    """VCR: the words are those of the right answer, behind the question's where the teacher reads these."""
    from vldistill.distill.mad.items import student_text  # as `report.mad.choice`

    if not isinstance(record, ChoiceRecord) or record.answer_label is None:
        raise InputError("no question with a public answer", record=record.id, action="Score again")
    answers = [spelled(answer, record.objects) for answer in record.answers]
    whole = vcr_text == "question_choice"
    read = [*(record.question if whole else []), *record.answers[record.answer_label]]
    return _Shown(
        question="" if whole else spelled(record.question, record.objects),
        words=[untagged(word, record.objects) for word in student_text(read).split()],
        truth=answers[record.answer_label],
        mine=answers[mine.prediction["answer"]],
        other=answers[other.prediction["answer"]],
    )


_SHOWN: dict[str, Callable[..., _Shown]] = {"snli_ve": _sentence, "vcr": _choice_question, "vqa": _sentence}
