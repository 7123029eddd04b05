"""The items MAD's cells are evaluated on, task by task.

A *set* is what is predicted, a *subset* what is scored: a part of a set's items, named by an id list. So the original
wording beside a shifted number needs no prediction of its own.

Predictions of a set are one JSON object an item, ``SET/CELL.jsonl``:

    snli_ve   {id, prediction, scores: {label: probability}}
    vcr       {id, scores: [4], rationale_scores: [4]}: probabilities of the choices, the rationale's given the right
              answer, in rewritten sets as it was rewritten
    vqa       {id, prediction, score}: the answer and its probability; ``SET/CELL.json`` is the official results file

Beside the sets stands what one cell says of the items without public labels, in the leaderboard's format (`BOARDS`).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from vldistill import layout
from vldistill.artifact import absence
from vldistill.distill.mad.key import RECORDS, record_set
from vldistill.evaluate.data import listed
from vldistill.params import Params
from vldistill.params.mad_grid import Task
from vldistill.records import (
    UNLABELLED,
    ChoiceRecord,
    EntailmentRecord,
    QuestionRecord,
    read_choices,
    read_entailments,
    read_questions,
)
from vldistill.split.mad import low_shot_name, rule_name
from vldistill.split.pronouns import RULES

MadRecord = EntailmentRecord | ChoiceRecord | QuestionRecord
READERS: dict[str, Callable[[Path], Sequence[MadRecord]]] = {
    "snli_ve": read_entailments,
    "vcr": read_choices,
    "vqa": read_questions,
}
MAJORITY, BLIND, TEACHER = REFERENCES = ("majority", "blind", "teacher")
"""What stands beside the arms: the most frequent answer, a classifier without the image, the teacher's head alone."""
BOARDS = {"vcr": "leaderboard.csv", "vqa": "leaderboard.json"}
"""Task -> the file with a cell's predictions of the official test part, as its leaderboard takes them."""
DECIMALS = 6  # of predicted scores: below that they depend on the machine


@dataclass(frozen=True)
class Subset:
    """What is scored: the items of the set ``of`` that the id list ``list`` names."""

    name: str
    of: str
    list: str


def subsets(params: Params, task: str, fraction: int, seed: int) -> list[Subset]:
    """The subsets a cell is scored on; none is shifted on dev, nor for VQA with its official priors."""
    changed = task == "vqa" and params.distill.mad.vqa_priors == "changed"
    if params.evaluate.mad.split == "dev":
        return [Subset("dev", "dev", "cp-dev" if changed else "dev")]
    if task == "snli_ve":
        return [Subset("test", "test", "test"), Subset("hard", "test", low_shot_name(fraction, seed, "hard"))]
    if changed:
        return [Subset("iid", "iid", "cp-iid"), Subset("shift", "shift", "cp-shift")]
    if task == "vqa":
        return [Subset("iid", "iid", "test")]
    rules = [
        Subset(name, of, rule_name(rule)) for rule in RULES for name, of in ((rule, rule), (f"{rule}_original", "test"))
    ]
    return [Subset("test", "test", "test"), *rules]


def group_of(record: MadRecord) -> str:
    """What may not be torn apart when items are resampled: the image, or VCR's movie."""
    return record.movie if isinstance(record, ChoiceRecord) else record.image


class MadData:
    """The records of one task, each read once.

    At most ``evaluate.mad.max_items`` of each set are taken. VCR's rewritten sets are those of the limited test set, so
    that a shifted number and the one of the original wording are of the same items.

    Args:
        params: the experiment.
        root: project root.
        task: snli_ve, vcr or vqa.
        unreadable: keys of images that could not be read: the sets go without their items.
    """

    def __init__(self, params: Params, root: str | Path, task: Task, unreadable: Collection[str] = ()) -> None:
        self.params, self.root, self.task = params, Path(root), task
        self.unreadable = frozenset(unreadable)

    @property
    def folder(self) -> Path:
        """The artifact of the task's records."""
        return layout.download(self.root, record_set(self.params, self.root, self.task))

    @property
    def absent(self) -> str | None:
        """Why there are no records; None where there are."""
        return absence(self.folder)

    @cached_property
    def records(self) -> Sequence[MadRecord]:
        """All records, whatever their split."""
        return READERS[self.task](self.folder)

    @property
    def sets(self) -> dict[str, list[Any]]:
        """What is predicted: set -> records; VCR's rewritten ones stand in folders of their own."""
        return self._sets[0]

    @property
    def left_out(self) -> list[str]:
        """Keys of the unreadable images that records of the sets are about."""
        return self._sets[1]

    @cached_property
    def _sets(self) -> tuple[dict[str, list[Any]], list[str]]:
        found: dict[str, list[Any]] = {}
        left_out = set()
        for subset in subsets(self.params, self.task, 0, 0):
            if subset.name != subset.of:
                continue
            path = self._list(subset.list)
            if subset.of in RULES:
                originals = {record.id for record in found["test"]}
                rewritten = listed(read_choices(path.with_suffix("")), path)
                found[subset.of] = [record for record in rewritten if record.id in originals]
                continue
            named = listed(self.records, path, limit=self.params.evaluate.mad.max_items)
            found[subset.of] = [record for record in named if record.image not in self.unreadable]
            left_out |= {record.image for record in named} & self.unreadable
        return found, sorted(left_out)

    def subset(self, subset: Subset) -> list[Any]:
        """The records that are scored, in the order of their set."""
        ids = {record.id for record in listed(self.records, self._list(subset.list))}
        return [record for record in self.sets[subset.of] if record.id in ids]

    @cached_property
    def unlabelled(self) -> list[Any]:
        """The records without public labels; VQA's are of VQA v2, whatever set the others are of."""
        folder = layout.download(self.root, RECORDS[self.task][0])
        records = self.records if folder == self.folder else READERS[self.task](folder)
        return listed(records, self._list(UNLABELLED))

    def named(self, name: str) -> list[Any]:
        """The records an id list names."""
        return listed(self.records, self._list(name))

    def _list(self, name: str) -> Path:
        return layout.split(self.root, self.task, name)
