"""The records a task is evaluated on: those of the split's id list, in its order."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Protocol, TypeVar

from vldistill import layout
from vldistill.artifact import absence
from vldistill.errors import InputError
from vldistill.files import read_json
from vldistill.params.evaluate import TEXT_TASKS
from vldistill.records.types import (
    CaptionRecord,
    QuestionRecord,
    TextRecord,
    read_captions,
    read_questions,
    read_texts,
)


class Identified(Protocol):
    """Anything that an id list can name."""

    @property
    def id(self) -> str:
        """Unique in its data set."""


R = TypeVar("R", bound=Identified)


def listed(records: Iterable[R], path: Path, *, limit: int = 0) -> list[R]:
    """The records that an id list names, in its order.

    Args:
        records: of the task's data set.
        path: the list's file.
        limit: at most this many, the first; 0 = all.

    Raises:
        InputError: there is no such list, or it names a record that is not there.
    """
    ids = read_json(path)["ids"]
    known = {record.id: record for record in records}
    for item in ids:
        if item not in known:
            raise InputError(
                "the id list names an item that the records lack",
                file=path,
                record=item,
                action=f"Make the split again: vldistill split {path.parent.name}",
            )
    chosen = [known[item] for item in ids]
    return chosen[:limit] if limit else chosen


class Data:
    """Records of one project, each set read once.

    Args:
        root: project root.
        split: ``test`` or ``dev``.
        limit: at most this many items of each task; 0 = all.
    """

    def __init__(self, root: str | Path, split: str, limit: int = 0) -> None:
        self.root, self.split, self.limit = Path(root), split, limit
        self._captions: dict[str, list[CaptionRecord]] = {}
        self._questions: dict[str, list[QuestionRecord]] = {}
        self._texts: dict[str, list[TextRecord]] = {}

    def all_captions(self, dataset: str) -> list[CaptionRecord]:
        """Every record of a caption set, whatever its split."""
        if dataset not in self._captions:
            self._captions[dataset] = read_captions(layout.download(self.root, dataset))
        return self._captions[dataset]

    def all_questions(self, dataset: str) -> list[QuestionRecord]:
        """Every record of a question set, whatever its split."""
        if dataset not in self._questions:
            self._questions[dataset] = read_questions(layout.download(self.root, dataset))
        return self._questions[dataset]

    def all_texts(self, dataset: str) -> list[TextRecord]:
        """Every record of a text set, whatever its split."""
        if dataset not in self._texts:
            self._texts[dataset] = read_texts(layout.download(self.root, dataset))
        return self._texts[dataset]

    def captions(self, task: str) -> list[CaptionRecord]:
        """The evaluated captions of coco or nocaps."""
        return self._chosen(self.all_captions(task), task)

    def questions(self, task: str) -> list[QuestionRecord]:
        """The evaluated questions."""
        return self._chosen(self.all_questions(task), task)

    def texts(self, task: str) -> list[TextRecord]:
        """The evaluated items of a text task."""
        return self._chosen(self.all_texts(task), task)

    def held_out(self, spell: Callable[[TextRecord], str]) -> list[tuple[str, str]]:
        """Id and text of documents that neither language model nor replay has read.

        These are the items of the text tasks, spelled with their targets by ``spell``: the corpus has documents of the
        same kinds, but is read whole by language model and replay. An absent task has none.
        """
        there = [task for task in TEXT_TASKS if absence(layout.download(self.root, task)) is None]
        found = [(record.id, spell(record)) for task in there for record in self.texts(task)]
        if not found:
            raise InputError(
                f"no item of split {self.split} in any text task",
                file=layout.split(self.root, TEXT_TASKS[0], self.split),
                action="Keep items of reading or summary, or drop the task corpus from evaluate.vlkd.tasks",
            )
        return found[: self.limit] if self.limit else found

    def _chosen(self, records: Sequence[R], task: str) -> list[R]:
        return listed(records, layout.split(self.root, task, self.split), limit=self.limit)
