"""MAD's charts: accuracy against the size of the training subset, gain against what the student has not seen."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from vldistill.evaluate.mad.chief import CHIEF
from vldistill.evaluate.mad.data import REFERENCES
from vldistill.evaluate.mad.statistics import DEV, IN_DOMAIN, SHIFTED, Mean
from vldistill.evaluate.mad.summary import Summary
from vldistill.report import svg
from vldistill.report.mad import names
from vldistill.report.mad.score_tables import MAIN
from vldistill.report.page import Chart

TONES = {"mad": "a", "nkd": "b", "baseline": "d", "teacher": "c", "blind": "blind", "majority": "majority"}
OTHER = "efghi"
NAMED = 4
"""Up to so many arms that are not drawn are named in the caption."""
SIDES = {"in domain": IN_DOMAIN, "under shift": SHIFTED, "dev": dict.fromkeys(CHIEF, DEV)}


def accuracy(summary: Summary, task: str) -> list[Chart]:
    """A chart in domain and one under shift: a line with its band for each arm, through the sizes it was run at."""
    return [made for side, subsets in SIDES.items() if (made := _accuracy(summary, task, side, subsets[task]))]


def _accuracy(summary: Summary, task: str, side: str, subset: str) -> Chart | None:
    by_arm: dict[str, list[Mean]] = {}
    for mean in summary.means:
        if (mean.place.task, mean.place.subset, mean.place.metric) == (task, subset, CHIEF[task]):
            by_arm.setdefault(mean.arm, []).append(mean)
    fractions = sorted({mean.place.fraction for found in by_arm.values() for mean in found})
    if len(fractions) == 1:  # all arms would lie on one another
        drawn = {arm: found for arm, found in by_arm.items() if arm in MAIN}
    else:  # a single point is no curve, and there may be many on the size that all controls are run at
        drawn = {arm: found for arm, found in by_arm.items() if len(found) > 1}
    if not drawn:
        return None
    tones = _tones(drawn)
    # MAD last, on top; references have no band, for theirs hides the arms'
    order = sorted(drawn, key=names.place_of, reverse=True)
    lines = [
        svg.Line(
            names.arm(arm),
            [(math.log10(mean.place.fraction), mean.value) for mean in drawn[arm]],
            tones[arm],
            thin=arm in REFERENCES,
            # stretched for few seeds, an interval may leave the scale
            band=() if arm in REFERENCES else [(max(0.0, mean.low), min(100.0, mean.high)) for mean in drawn[arm]],
            marked=True,
        )
        for arm in sorted(order, key=lambda arm: arm == "mad")
    ]
    title = f"{names.task(task)}, {side}"
    ticks = [(math.log10(fraction), f"{fraction} %") for fraction in fractions]
    chart = svg.lines(
        lines,
        label=title,
        x_axis="training data, logarithmic",
        y_axis=f"{names.metric(CHIEF[task])}, %",
        named=ticks,
        width=450,
        height=290,
    )
    n = sorted({mean.items for found in drawn.values() for mean in found})
    counted = f"{n[0]:,}" if len(n) == 1 else f"{n[0]:,} to {n[-1]:,}"
    caption = f"{title}: {names.subset(subset)}, n = {counted}. Bands: two-level bootstrap interval, within 0 to 100."
    if left_out := sorted(by_arm.keys() - drawn.keys(), key=names.place_of):
        told = "; ".join(map(names.arm, left_out)) if len(left_out) <= NAMED else f"{len(left_out)} arms"
        caption += f" Run at one size only, and in the table of every arm alone: {told}."
    return Chart(chart, caption, [(svg.key(tones[arm]), names.arm(arm)) for arm in sorted(drawn, key=names.place_of)])


def _tones(arms: Iterable[str]) -> dict[str, str]:
    rest = iter(OTHER)
    return {arm: TONES.get(arm) or next(rest, "control") for arm in sorted(arms, key=names.place_of)}


def gap(summary: Summary) -> Chart | None:
    """MAD's gain against the share of synonyms unseen, a line for each set of items."""
    by_place: dict[str, list[tuple[int, float, float, float]]] = {}
    for share, found in sorted(summary.gap.items()):
        for one in found:
            label = f"{names.task(one.place.task)}, {one.place.fraction} %, {names.subset(one.place.subset)}"
            by_place.setdefault(label, []).append((share, one.value, one.low, one.high))
    if not by_place:
        return None
    tones = dict(zip(by_place, "ab" + OTHER, strict=False))
    lines = [
        svg.Line(
            label,
            [(share, value) for share, value, _, _ in points],
            tones.get(label, "control"),
            band=[(low, high) for _, _, low, high in points],
            marked=True,
        )
        for label, points in by_place.items()
    ]
    shares: Sequence[int] = sorted(summary.gap)
    chart = svg.lines(
        lines,
        label="MAD minus baseline by the share of synonyms unseen",
        x_axis="synonyms the student has not seen",
        y_axis="MAD minus baseline, points",
        named=[(share, f"{share} %") for share in shares],
        zero=True,
        width=560,
        height=300,
    )
    caption = "MAD minus baseline, both on the same student. Bands: two-level bootstrap interval of the difference."
    return Chart(chart, caption, [(svg.key(tones.get(label, "control")), label) for label in by_place])
