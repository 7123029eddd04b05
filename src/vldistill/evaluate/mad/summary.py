"""What the report and ``metrics.json`` say about MAD: all statistics, the bars they are held against, and doubts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from vldistill.evaluate.mad.bars import Bar, bars
from vldistill.evaluate.mad.doubts import doubts
from vldistill.evaluate.mad.statistics import (
    DEV,
    SHIFTED,
    Difference,
    Draw,
    Matched,
    Mean,
    differences,
    gap_curve,
    matched,
    means,
    places,
)
from vldistill.evaluate.mad.tables import Results

HEADLINE_FRACTION = 10


@dataclass(frozen=True)
class Summary:
    """All statistics of one run.

    Attributes:
        means: what each arm scores at each place.
        differences: every comparison, corrected within its family.
        matched: MAD under shift against the matched baseline.
        gap: MAD's gain by the share of synonyms (percent) that the student has not seen.
        bars: the requirements, met or not.
        doubts: sentences, each a reason not to trust the headline.
    """

    means: list[Mean]
    differences: list[Difference]
    matched: list[Matched]
    gap: dict[int, list[Difference]]
    bars: list[Bar]
    doubts: list[str]


def summarise(results: Results, tasks: Sequence[str], draw: Draw | None = None) -> Summary:
    """All statistics of ``tasks``; deterministic.

    Args:
        results: per-item scores (`read_results`).
        tasks: in the order they are to be shown.
        draw: resamples and level; the default is 10,000 and 0.95.
    """
    draw = draw or Draw()
    made = means(results, places(results, tasks), draw)
    compared = differences(results, tasks, draw)
    lines = matched(results, tasks, draw)
    gap = gap_curve(results, tasks, draw)
    asked = bars(compared, lines, gap, level=draw.level)
    return Summary(made, compared, lines, gap, asked, doubts(made, compared, gap))


def headline(summary: Summary) -> dict[str, dict[str, float]]:
    """The few numbers for ``metrics.json``: MAD minus baseline at 10 %, in domain and under shift, and the bars."""
    tree: dict[str, dict[str, float]] = {}
    for one in summary.differences:
        on_test = one.family == "gain" and one.place.subset != DEV
        if on_test and one.place.fraction == HEADLINE_FRACTION:
            name = "shift_gain" if one.place.subset == SHIFTED[one.place.task] else "gain"
            tree.setdefault(one.place.task, {})[name] = one.value
    measured = [bar.met for bar in summary.bars if bar.met is not None]
    if measured:
        tree["mad_bars"] = {"held": float(sum(measured)), "measured": float(len(measured))}
    return tree
