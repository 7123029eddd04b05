"""Reading scores.jsonl: tidy rows, one number each, with everything that says what the number is."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vldistill.errors import InputError
from vldistill.files import read_jsonl
from vldistill.stats import seed_interval

TEXT = ("method", "task", "split", "arm", "metric", "unit", "subset")
NUMBERS = ("value", "low", "high")
UNITS = ("percent", "fraction", "loss")
AGAIN = "Run the stage evaluate again: vldistill evaluate vlkd score"


@dataclass(frozen=True)
class Row:
    """One score.

    ``value`` is in percent for the units percent and fraction (a fraction times 100), raw for a loss; ``low`` and
    ``high`` are the ends of its interval over images, where one was drawn.
    """

    method: str
    task: str
    split: str
    arm: str
    seed: int | None
    control: str | None
    metric: str
    variant: str | None
    value: float | None
    unit: str
    n: int
    subset: str
    group: str | None
    low: float | None = None
    high: float | None = None
    note: str | None = None


@dataclass(frozen=True)
class Estimate:
    """A mean over seeds with its interval; ``values`` are the seeds' numbers, in seed order.

    The interval is over seeds; of a single number it is the one over images, where there is one.
    """

    value: float
    low: float | None
    high: float | None
    values: tuple[float, ...]
    seeds: tuple[int | None, ...]
    n: int


def read(path: Path) -> tuple[list[Row], list[dict[str, Any]]]:
    """All rows of a scores.jsonl, checked, and the same as they stand in the file.

    Raises:
        InputError: the file is missing or empty, or a row lacks a field or holds a wrong type; names row and field.
    """
    records = read_jsonl(path)
    if not records:
        raise InputError("no scores in it", file=path, action=AGAIN)
    return [_row(record, path, number) for number, record in enumerate(records, start=1)], records


def _row(record: Any, path: Path, number: int) -> Row:
    def refuse(problem: str, field: str | None = None) -> InputError:
        return InputError(problem, file=path, record=f"row {number}", field=field, action=AGAIN)

    if not isinstance(record, dict):
        raise refuse("a JSON object is expected")
    for field in (*TEXT, "value", "n"):
        if field not in record:
            raise refuse("the field is missing", field)
    for field in TEXT:
        if not isinstance(record[field], str) or not record[field]:
            raise refuse(f"text is expected, not {record[field]!r}", field)
    if record["unit"] not in UNITS:
        raise refuse(f"{record['unit']!r} is none of {', '.join(UNITS)}", "unit")
    for field in ("control", "variant", "group"):
        if not isinstance(record.get(field), str | None):
            raise refuse(f"text or null is expected, not {record[field]!r}", field)
    for field, may_be_null in (("n", False), ("seed", True)):
        value = record.get(field)
        if isinstance(value, bool) or (not isinstance(value, int) and not (may_be_null and value is None)):
            raise refuse(f"a whole number is expected, not {value!r}", field)
    for field in NUMBERS:
        value = record.get(field)
        if value is not None and (isinstance(value, bool) or not isinstance(value, int | float)):
            raise refuse(f"a number or null is expected, not {value!r}", field)
        if value is not None and not math.isfinite(value):
            raise refuse(f"a finite number is expected, not {value!r}", field)
    scale = 100 if record["unit"] == "fraction" else 1
    numbers: dict[str, Any] = {name: None if record.get(name) is None else record[name] * scale for name in NUMBERS}
    optional: dict[str, Any] = {field: record.get(field) for field in ("seed", "control", "variant", "group")}
    texts = {field: record[field] for field in TEXT}
    return Row(**texts, **numbers, **optional, n=record["n"], note=record.get("reason"))


def select(rows: Iterable[Row], **wanted: Any) -> list[Row]:
    """The rows whose fields equal ``wanted``; a tuple or list stands for any of its members."""

    def fits(row: Row) -> bool:
        for field, value in wanted.items():
            given = getattr(row, field)
            if given not in value if isinstance(value, tuple | list) else given != value:
                return False
        return True

    return [row for row in rows if fits(row)]


def interval(values: Sequence[float], level: float) -> tuple[float | None, float | None]:
    """Student's t interval of the mean over seeds; None for fewer than two."""
    if len(values) < 2:
        return None, None
    found = seed_interval(values, level=level)
    return found.low, found.high


def estimate(rows: Sequence[Row], level: float) -> Estimate | None:
    """Mean over the seeds of ``rows``, which must be one row a seed; None if there is no value among them.

    Raises:
        InputError: two rows of one seed, hence numbers of two kinds mixed up.
    """
    valued = sorted(
        (row for row in rows if row.value is not None), key=lambda row: (row.seed is not None, row.seed or 0)
    )
    if not valued:
        return None
    seeds = tuple(row.seed for row in valued)
    if len(set(seeds)) < len(seeds):
        row = valued[0]
        what = f"{row.task}/{row.split}/{row.arm}/{row.control}/{row.metric}/{row.variant}/{row.subset}"
        raise InputError(f"more than one score of one seed for {what}", file="scores.jsonl", action=AGAIN)
    values = tuple(float(row.value) for row in valued if row.value is not None)
    low, high = interval(values, level) if len(values) > 1 else (valued[0].low, valued[0].high)
    return Estimate(math.fsum(values) / len(values), low, high, values, seeds, min(row.n for row in valued))


def difference(first: Estimate, second: Estimate, level: float) -> Estimate:
    """``first`` minus ``second``: seed by seed where both have the same seeds, else the difference of the means.

    A control without seeds (a majority answer, say) is the same number for every seed of ``first``.
    """
    if first.seeds == second.seeds:
        values = tuple(a - b for a, b in zip(first.values, second.values, strict=True))
    elif len(second.values) == 1:
        values = tuple(a - second.values[0] for a in first.values)
    else:
        return Estimate(first.value - second.value, None, None, (), (), min(first.n, second.n))
    low, high = interval(values, level)
    return Estimate(math.fsum(values) / len(values), low, high, values, first.seeds, min(first.n, second.n))
