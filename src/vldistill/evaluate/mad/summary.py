"""What the report says about MAD: all statistics, the bars they are held against, and reliability warnings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from vldistill.evaluate.mad.bars import Bar, bars
from vldistill.evaluate.mad.reliability import reliability_warnings
from vldistill.evaluate.mad.statistics import (
    Difference,
    Draw,
    Matched,
    Mean,
    differences,
    gap_curve,
    matched,
    means,
    places,
    reasons,
)
from vldistill.evaluate.mad.tables import Results


@dataclass(frozen=True)
class Summary:
    """All statistics of one run.

    Attributes:
        means: what each arm scores at each place.
        differences: every comparison, corrected within its family.
        matched: MAD under shift against the matched baseline.
        gap: MAD's gain by the share of synonyms (percent) that the student has not seen.
        bars: the requirements, met or not.
        warnings: sentences, each a reason not to trust the headline.
    """

    means: list[Mean]
    differences: list[Difference]
    matched: list[Matched]
    gap: dict[int, list[Difference]]
    bars: list[Bar]
    warnings: list[str]


def summarise(
    results: Results, tasks: Sequence[str], draw: Draw | None = None, on_dev: Mapping[str, str] | None = None
) -> Summary:
    """All statistics of ``tasks``; deterministic.

    Args:
        results: per-item scores (`read_results`).
        tasks: in the order they are to be shown.
        draw: resamples and level; the default is 10,000 and 0.95.
        on_dev: arm -> the arm with the settings that dev chooses.
    """
    draw = draw or Draw()
    where = [*places(results, tasks), *reasons(results, tasks)]
    made = means(results, sorted(where, key=lambda place: (tasks.index(place.task), place.fraction)), draw)
    compared = differences(results, tasks, draw, on_dev)
    lines = matched(results, tasks, draw)
    gap = gap_curve(results, tasks, draw)
    requirements = bars(compared, lines, gap, level=draw.level)
    return Summary(made, compared, lines, gap, requirements, reliability_warnings(compared, gap, made))
