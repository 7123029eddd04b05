"""What the papers report (data/reference/papers.csv), beside our numbers of the same benchmark."""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from vldistill.errors import InputError
from vldistill.params.pretrain import Clip
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


def teacher(clip: Clip) -> str:
    """The teacher as papers.csv spells it (``ViT-B-16/openai`` is ``CLIP ViT-B/16``); another one by its own name."""
    if clip.source != "published":
        return "mini CLIP"
    found = re.fullmatch(r"(ViT-[A-Z])-(\d+)/openai", clip.published)
    return f"CLIP {found[1]}/{found[2]}" if found else clip.published


def table(reported: Sequence[Reported], numbers: Numbers, *, comparable: bool, teacher: str) -> Table:
    """Reported numbers, with ours in the row of the same benchmark, metric and teacher only.

    Args:
        reported: of one method.
        numbers: ours.
        comparable: whether our data and weights are the paper's; False marks every number of ours.
        teacher: our teacher, as printed; where the paper has no row of it, ours stand in rows of their own.
    """
    mark = "" if comparable else "\u2021"
    rows = []
    for benchmark in dict.fromkeys((entry.task, entry.split, entry.metric) for entry in reported):
        task, split, metric = benchmark
        measure = numbers.measure(task, OURS.get(metric, metric))
        # numbers of val stand for test-dev nowhere: a number is set beside the split it was measured on only
        ours = numbers.get(measure) if split != "test-dev" else None
        values = {entry.teacher: entry for entry in reported if (entry.task, entry.split, entry.metric) == benchmark}
        for name in [*values, *([teacher] if ours and teacher not in values else [])]:
            entry, own = values.get(name), ours if name == teacher else None
            rows.append(
                {
                    "task": Cell(task_name(task)),
                    "split": Cell(split if entry else numbers.split),
                    "metric": Cell(metric),
                    "teacher": Cell(name),
                    "reported": Cell(number=entry.value, title=entry.source) if entry else Cell(),
                    "ours": of(own, mark=mark),
                    "our_n": Cell(number=own.n, digits=0) if own else Cell(),
                }
            )
    notes = [f"Reported: {', '.join(dict.fromkeys(entry.source for entry in reported))}; zero-shot."]
    if not comparable:
        notes.append(
            "\u2021 Not comparable, for the reasons at the head of the page. Ours stand here to show which benchmark "
            "each number belongs to."
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
            ("our_n", "our n"),
        ],
        rows,
        head=("task",),
        notes=tuple(notes),
    )
