"""Small JSON files for ``dvc plots``: loss curves and the arms' headline numbers, one flat record a point."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from vldistill.report.curves import Curve
from vldistill.report.numbers import Numbers


def curve_records(curves: Sequence[Curve], seed: int = 0) -> list[dict[str, Any]]:
    """Records {arm, term, step, value} of one seed of every arm."""
    return [
        {"arm": curve.cell.arm, "term": curve.term, "step": step, "value": value}
        for curve in curves
        if curve.cell.seed == seed
        for step, value in curve.points
    ]


def arm_records(numbers: Numbers) -> list[dict[str, Any]]:
    """Records {arm, measure, value} of every trained arm, means over its seeds."""
    found = []
    for measure in numbers.measures:
        for arm in numbers.trained:
            estimate = numbers.get(measure, arm)
            if estimate is not None:
                found.append({"arm": arm, "measure": measure.label, "value": round(estimate.value, 4)})
    return found
