"""What the papers report (data/reference/papers.csv), beside our numbers of the same benchmark."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from vldistill.errors import InputError
from vldistill.report.names import task as task_name
from vldistill.report.numbers import Numbers
from vldistill.report.table import Cell, Table, of

FIELDS = ("method", "teacher", "task", "split", "metric", "value", "unit", "setting", "source")
OURS = {"BLEU-4": "Bleu_4"}  # names that differ between the papers and the scorers
ACTION = "Restore it from the repository: git checkout -- data/reference/papers.csv"


@dataclass(frozen=True)
class Reported:
    """One number of a paper, in percent."""

    method: str
    teacher: str
    task: str
    split: str
    metric: str
    value: float
    setting: str
    source: str


def read(path: Path) -> list[Reported]:
    """The reported numbers.

    Raises:
        InputError: the file is missing, lacks a column, or a value is no number; names the line.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (FileNotFoundError, UnicodeDecodeError):
        raise InputError("missing or not UTF-8", file=path, action=ACTION) from None
    reader = csv.DictReader(text.splitlines())
    if missing := [name for name in FIELDS if name not in (reader.fieldnames or ())]:
        raise InputError("the column is missing", file=path, record="line 1", field=missing[0], action=ACTION)
    found = []
    for number, record in enumerate(reader, start=2):
        try:
            value = float(record["value"])
        except (TypeError, ValueError):
            raise InputError(
                f"a number is expected, not {record['value']!r}",
                file=path,
                record=f"line {number}",
                field="value",
                action=ACTION,
            ) from None
        texts = {name: record[name] for name in FIELDS if name not in ("value", "unit")}
        found.append(Reported(value=value, **texts))
    return found


def table(reported: Sequence[Reported], numbers: Numbers, *, comparable: bool, teacher: str) -> Table:
    """Reported numbers with ours of the same benchmark and metric in the last columns.

    Args:
        reported: of one method.
        numbers: ours.
        comparable: whether our data and weights are the paper's; False marks every number of ours.
        teacher: our teacher, as printed.
    """
    rows = []
    for entry in reported:
        measure = numbers.measure(entry.task, OURS.get(entry.metric, entry.metric))
        # numbers of val stand for test-dev nowhere: a number is set beside the split it was measured on only
        ours = numbers.get(measure) if entry.split != "test-dev" else None
        rows.append(
            {
                "task": Cell(task_name(entry.task)),
                "split": Cell(entry.split),
                "metric": Cell(entry.metric),
                "teacher": Cell(entry.teacher),
                "reported": Cell(number=entry.value, title=entry.source),
                "ours": of(ours, mark="" if comparable else "\u2021"),
                "our_teacher": Cell(teacher if ours else "\u2013"),
                "our_n": Cell(number=ours.n, digits=0) if ours else Cell(),
            }
        )
    notes = [f"Reported: {', '.join(dict.fromkeys(entry.source for entry in reported))}; zero-shot."]
    if not comparable:
        notes.append(
            "\u2021 Not comparable: our number is of a miniature experiment (see the head of the page), the reported "
            "one of photographs with CLIP and BART-large. They stand side by side to show which "
            "benchmark each row belongs to."
        )
    return Table(
        "papers",
        "Numbers the paper reports, and ours",
        [
            ("task", "benchmark"),
            ("split", "split"),
            ("metric", "metric"),
            ("teacher", "teacher"),
            ("reported", "reported"),
            ("ours", "ours"),
            ("our_teacher", "our teacher"),
            ("our_n", "our n"),
        ],
        rows,
        head=("task",),
        notes=tuple(notes),
    )
