"""The three kinds of records, and ``records.jsonl``."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from vldistill.files import read_jsonl, write_jsonl
from vldistill.records.fields import Row, Unique

SPLITS = ("train", "dev", "test")
RECORDS = "records.jsonl"


@dataclass(frozen=True, slots=True)
class CaptionRecord:
    """An image with its captions (cc3m, coco, nocaps).

    Attributes:
        id: unique in the data set; the official image id where there is one.
        image: key of the image in the set's ``images.zip``.
        captions: one or more.
        split: train, dev or test.
        domain: in-domain, near-domain or out-domain, where the set tells.
    """

    id: str
    image: str
    captions: list[str]
    split: str
    domain: str | None = None


@dataclass(frozen=True, slots=True)
class QuestionRecord:
    """A question on an image (vqav2, okvqa, domains).

    Attributes:
        id: the official question id.
        image: key of the image in ``images.zip`` of ``image_set``.
        image_set: coco or nocaps.
        question: as the file has it.
        answers: ten, one an annotator (OK-VQA: five annotators, each twice, stemmed).
        answer_type: yes/no, number or other.
        question_type: VQAv2's question prefix, or OK-VQA's category.
        split: train, dev or test.
        domain: the image's NoCaps domain, where it has one.
    """

    id: str
    image: str
    image_set: str
    question: str
    answers: list[str]
    answer_type: str
    question_type: str
    split: str
    domain: str | None = None


@dataclass(frozen=True, slots=True)
class TextRecord:
    """A text (corpus), or a text with the target that should follow it (reading, summary).

    Attributes:
        id: unique in the data set.
        text: the document; for reading the document and its question.
        target: the answer or summary; None in the corpus.
        kind: the kind of document; the task's name in the tasks.
        split: train, dev or test.
    """

    id: str
    text: str
    target: str | None
    kind: str
    split: str


Record = CaptionRecord | QuestionRecord | TextRecord
R = TypeVar("R", CaptionRecord, QuestionRecord, TextRecord)


def write_records(folder: Path, records: Iterable[Record]) -> int:
    """Write ``records.jsonl`` into ``folder``; returns how many."""
    return write_jsonl(
        folder / RECORDS, ({name: getattr(record, name) for name in record.__slots__} for record in records)
    )


def read_captions(folder: str | Path) -> list[CaptionRecord]:
    """The caption records of the artifact ``folder``.

    Raises:
        InputError: the file is missing or broken; names the line and the field.
    """
    return _read(folder, CaptionRecord)


def read_questions(folder: str | Path) -> list[QuestionRecord]:
    """The question records of the artifact ``folder``; raises as `read_captions`."""
    return _read(folder, QuestionRecord)


def read_texts(folder: str | Path) -> list[TextRecord]:
    """The text records of the artifact ``folder``; raises as `read_captions`."""
    return _read(folder, TextRecord)


def _optional_text(row: Row, field: str) -> str | None:
    return None if row.value.get(field) is None else row.get(field, str)


_READ: dict[str, Callable[[Row, str], Any]] = {
    "captions": Row.texts,
    "answers": Row.texts,
    "domain": _optional_text,
    "target": _optional_text,
    "split": lambda row, field: row.choice(field, SPLITS),
}


def _read(folder: str | Path, kind: type[R]) -> list[R]:
    file = Path(folder) / RECORDS
    ids = Unique()
    records = []
    for number, value in enumerate(read_jsonl(file), start=1):
        row = Row(value, file, f"line {number}")
        known = [field.name for field in dataclasses.fields(kind)]
        for field in row.value:
            if field not in known:
                raise row.error(f"unknown; a {kind.__name__} has {', '.join(known)}", field)
        values = {field: _READ.get(field, Row.text)(row, field) for field in known}
        ids.add(row, "id", values["id"])
        records.append(kind(**values))
    return records
