"""Texts as JSON lines: ``corpus.jsonl`` {id, text, kind}; ``{train,dev,test}.jsonl`` of the two tasks.

Reading: {id, document, question, answer}; summary: {id, document, summary}.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

from vldistill.errors import InputError
from vldistill.files import read_jsonl
from vldistill.records.fields import Row, Unique
from vldistill.records.places import find
from vldistill.records.types import SPLITS, TextRecord

CORPUS = "corpus.jsonl"


def read_corpus(folder: Path) -> list[TextRecord]:
    """Read a text corpus.

    Raises:
        InputError: names file, line and field.
    """
    return _read(
        find(folder, CORPUS), lambda row: TextRecord(row.text("id"), row.text("text"), None, row.text("kind"), "train")
    )


def read_reading(folder: Path) -> list[TextRecord]:
    """Read the reading task: text = document and question, target = answer; raises as `read_corpus`."""

    def record(split: str, row: Row) -> TextRecord:
        text = f"{row.text('document')} question: {row.text('question')}"
        return TextRecord(row.text("id"), text, row.text("answer"), "reading", split)

    return _read_task(folder, record)


def read_summary(folder: Path) -> list[TextRecord]:
    """Read the summary task: text = document, target = summary; raises as `read_corpus`."""

    def record(split: str, row: Row) -> TextRecord:
        return TextRecord(row.text("id"), row.text("document"), row.text("summary"), "summary", split)

    return _read_task(folder, record)


def _read_task(folder: Path, record: Callable[[str, Row], TextRecord]) -> list[TextRecord]:
    ids = Unique()
    return [made for split in SPLITS for made in _read(find(folder, f"{split}.jsonl"), partial(record, split), ids)]


def _read(file: Path, record: Callable[[Row], TextRecord], ids: Unique | None = None) -> list[TextRecord]:
    ids = ids or Unique()
    records = []
    for number, value in enumerate(read_jsonl(file), start=1):
        row = Row(value, file, f"line {number}")
        made = record(row)
        ids.add(row, "id", made.id)
        records.append(made)
    if not records:
        raise InputError("holds no records", file=file, action="Fetch or make the file again")
    return records
