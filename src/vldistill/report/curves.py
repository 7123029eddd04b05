"""Loss curves, one panel a term, from the metrics.jsonl of each distilled cell."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vldistill.cells import Cell
from vldistill.errors import InputError
from vldistill.files import read_jsonl
from vldistill.report import svg
from vldistill.report.names import words

TONES = "abcdefghij"
POINTS = 150  # a curve is thinned to about so many points: the page stays small after a run of 100,000 steps
NOT_TERMS = ("step", "learning_rate", "gradient_norm")
ACTION = "Distil the cell again: vldistill distill vlkd"


@dataclass(frozen=True)
class Curve:
    """One term of one cell over the optimiser steps: (step, mean value since the line before)."""

    cell: Cell
    term: str
    points: tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class Panel:
    """One chart of the page."""

    title: str
    chart: str


def read(folder: Path, cells: Sequence[Cell]) -> list[Curve]:
    """The curves of every cell; a cell without a metric log (published weights, say) has none.

    Args:
        folder: results/distill/vlkd.
        cells: which cells.

    Raises:
        InputError: a line has no step, or holds something that is no number.
    """
    found = []
    for cell in cells:
        path = folder / cell.name / "metrics.jsonl"
        if not path.is_file():
            continue
        lines = read_jsonl(path)
        for number, line in enumerate(lines, start=1):
            _check(line, path, number)
        terms = dict.fromkeys(name for line in lines for name in line if name not in NOT_TERMS)
        for term in terms:
            points = [(float(line["step"]), float(line[term])) for line in lines if term in line]
            found.append(Curve(cell, term, tuple(_thinned(points))))
    return found


def _check(line: Any, path: Path, number: int) -> None:
    if not isinstance(line, dict) or "step" not in line:
        raise InputError("the step is missing", file=path, record=f"line {number}", field="step", action=ACTION)
    for name, value in line.items():
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise InputError(
                f"a number is expected, not {value!r}", file=path, record=f"line {number}", field=name, action=ACTION
            )


def _thinned(points: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """Means of equal runs of points where there are more than ``POINTS``."""
    width = -(-len(points) // POINTS)
    chunks = [points[start : start + width] for start in range(0, len(points), width)]
    return [(chunk[-1][0], sum(value for _, value in chunk) / len(chunk)) for chunk in chunks]


def tones(arms: Sequence[str]) -> dict[str, str]:
    """A colour for each arm: the first ten are told apart, further ones are grey."""
    return {arm: TONES[index] if index < len(TONES) else "control" for index, arm in enumerate(arms)}


def panels(curves: Sequence[Curve], arms: Sequence[str], headline: str) -> list[Panel]:
    """One panel a term, the total first; each arm's first seed, and thin lines for the headline's other seeds."""
    colours = tones(arms)
    drawn = [curve for curve in curves if len(curve.points) > 1]
    first = {arm: min((c.cell.seed for c in drawn if c.cell.arm == arm), default=0) for arm in arms}
    wanted = [c for c in drawn if c.cell.arm == headline or c.cell.seed == first.get(c.cell.arm)]
    names = sorted({curve.term for curve in wanted}, key=lambda name: (name != "loss", _is_norm(name), name))
    made = []
    for name in names:
        lines = [
            svg.Line(
                f"{words(curve.cell.arm)}, seed {curve.cell.seed}",
                curve.points,
                colours.get(curve.cell.arm, "control"),
                thin=curve.cell.arm != headline or curve.cell.seed != first[headline],
            )
            # the headline last, on top
            for curve in sorted(wanted, key=lambda c: c.cell.arm == headline)
            if curve.term == name
        ]
        title = title_of(name)
        chart = svg.lines(lines, label=f"{title} over steps", x_axis="step", y_axis=_axis(name))
        made.append(Panel(title, chart))
    return made


def _is_norm(name: str) -> bool:
    return "norm" in name


def _axis(name: str) -> str:
    return "gradient norm" if _is_norm(name) else "loss"


def title_of(name: str) -> str:
    """A term's name for readers."""
    if _is_norm(name):
        return f"Gradient norm, {words(name.removeprefix('gradient_norm').strip('/_. '))}"
    return {"loss": "Weighted sum of all terms", "replay": "Text replay"}.get(name, words(name))
