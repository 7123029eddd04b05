"""Columns and cells that MAD's tables share."""

from __future__ import annotations

from collections.abc import Iterable

from vldistill.evaluate.mad.chief import CHIEF
from vldistill.evaluate.mad.statistics import Difference, Mean
from vldistill.evaluate.mad.summary import Summary
from vldistill.report.mad import names
from vldistill.report.table import Cell

Row = dict[str, Cell]
ENDS = [("low", "from"), ("high", "to")]
ON_DEV_NOTE = (
    "\u2021: settings chosen by accuracy on the whole dev set, more labels than a small training subset has: not the "
    "headline."
)
PILLS = {"shown": "good", "met": "good", "opposite": "bad", "not met": "bad"}
"""Verdict -> its tone; all others are plain."""


def where(one: Difference | Mean) -> str:
    """A place in words."""
    return f"{names.task(one.place.task)}, {one.place.fraction} %, {names.subset(one.place.subset)}"


def chief_means(summary: Summary) -> Iterable[Mean]:
    """Means of each task's chief score, in the order of tables."""
    found = (mean for mean in summary.means if mean.place.metric == CHIEF[mean.place.task])
    return sorted(
        found, key=lambda mean: (list(CHIEF).index(mean.place.task), mean.place.fraction, names.place_of(mean.arm))
    )


def difference_cell(one: Difference) -> Cell:
    """A difference with its sign, and a dagger where it rests on one seed."""
    return Cell(number=one.value, signed=True, mark="" if one.seeds > 1 else "\u2020", title=f"n = {one.items}")


def end_cells(one: Difference) -> Row:
    """The cells of `ENDS`."""
    return {"low": Cell(number=one.low, signed=True), "high": Cell(number=one.high, signed=True)}


def pill(said: str, more: str = "") -> Cell:
    """A verdict, and what else must be known of it."""
    return Cell(f"{said}, {more}" if more else said, tone=f"pill {PILLS.get(said, 'plain')}")


def count_cell(value: int) -> Cell:
    """A whole number."""
    return Cell(number=value, digits=0)


def p_cell(value: float) -> Cell:
    """A p-value."""
    return Cell(number=value, digits=4 if value < 0.01 else 3)
