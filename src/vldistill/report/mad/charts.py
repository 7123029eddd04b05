"""MAD's charts: accuracy against the size of the training subset, gain against what the student has not seen."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

from vldistill.evaluate.mad.chief import CHIEF
from vldistill.evaluate.mad.data import REFERENCES
from vldistill.evaluate.mad.effects import BASELINE, METHOD_ARM
from vldistill.evaluate.mad.statistics import DEV, GAPS, IN_DOMAIN, SHIFTED, Difference, Mean
from vldistill.evaluate.mad.summary import Summary
from vldistill.report import svg
from vldistill.report.mad import names
from vldistill.report.mad.score_tables import MAIN
from vldistill.report.page import Chart

TONES = {"mad": "a", "nkd": "b", "baseline": "d", "teacher": "c", "blind": "blind", "majority": "majority"}
OTHER = "efghibc"
GAP_TONES = "abcde"
NAMED = 4
"""Up to so many arms that are not drawn are named in the caption."""
SIDES = {"in domain": IN_DOMAIN, "under shift": SHIFTED, "dev": dict.fromkeys(CHIEF, DEV)}
READABLE = 9
"""More lines than these cannot be told apart: then each group of arms has charts of its own."""
GROUPS: dict[str, Sequence[str]] = {
    "": MAIN,
    "parts of MAD": ("nkd_alike", "nkd_trainable", "ts", "cw", "mad_af"),
    "controls of these parts": (
        *("random_token", "argmin_token", "constant_weight", "mad_constant_weight", "shuffled_targets", "undistilled"),
    ),
    "other ways to use the teacher, and baselines of other accuracies": (
        *("embeddings_init", "projected_input", "stopped_25", "stopped_50", "smoothed"),
        *("baseline_matching", "mad_matching"),
    ),
    "students of a chosen gap": tuple(arm for pair in GAPS.values() for arm in pair if arm not in MAIN),
}
"""What a group is called -> its arms; MAD and the baseline are drawn in each."""


def accuracy(summary: Summary, task: str) -> list[Chart]:
    """Charts in domain and under shift: a line with its band for each arm, through the sizes it was run at.

    All arms are in one pair of charts if they can be told apart there, else each of `GROUPS` has its own.
    """
    by_side = {side: _by_arm(summary, task, subsets[task]) for side, subsets in SIDES.items()}
    shown = {side: _drawn(found) for side, found in by_side.items()}
    arms = list(dict.fromkeys(arm for drawn in shown.values() for arm in drawn))
    groups: dict[str, Sequence[str]] = {"": arms}
    if len(arms) > READABLE:
        named = {arm for group in GROUPS.values() for arm in group}
        groups = {**GROUPS, "other arms": [arm for arm in arms if arm not in named]}
    return [
        _accuracy(
            task,
            side,
            {arm: drawn[arm] for arm in drawn if arm in members or arm in (METHOD_ARM, BASELINE)},
            group,
            [] if group else sorted(by_side[side].keys() - drawn.keys(), key=names.place_of),
        )
        for group, members in groups.items()
        for side, drawn in shown.items()
        if drawn.keys() & set(members)
    ]


def _by_arm(summary: Summary, task: str, subset: str) -> dict[str, list[Mean]]:
    found: dict[str, list[Mean]] = {}
    for mean in summary.means:
        if (mean.place.task, mean.place.subset, mean.place.metric) == (task, subset, CHIEF[task]):
            found.setdefault(mean.arm, []).append(mean)
    return found


def _drawn(by_arm: Mapping[str, list[Mean]]) -> dict[str, list[Mean]]:
    if len({mean.place.fraction for found in by_arm.values() for mean in found}) == 1:
        # all arms would lie on one another
        return {arm: found for arm, found in by_arm.items() if arm in MAIN}
    # a single point is no curve, and there may be many on the size that all controls are run at
    return {arm: found for arm, found in by_arm.items() if len(found) > 1}


def _accuracy(task: str, side: str, drawn: Mapping[str, Sequence[Mean]], group: str, left_out: Sequence[str]) -> Chart:
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
        for arm in sorted(order, key=lambda arm: arm == METHOD_ARM)
    ]
    title = f"{names.task(task)}, {side}" + (f", {group}" if group else "")
    means = [mean for found in drawn.values() for mean in found]
    fractions = sorted({mean.place.fraction for mean in means})
    chart = svg.lines(
        lines,
        label=title,
        x_axis="training data, logarithmic",
        y_axis=f"{names.metric(CHIEF[task])}, %",
        named=[(math.log10(fraction), f"{fraction} %") for fraction in fractions],
        width=450,
        height=290,
    )
    n = sorted({mean.items for mean in means})
    counted = f"{n[0]:,}" if len(n) == 1 else f"{n[0]:,} to {n[-1]:,}"
    subset = names.subset(means[0].place.subset)
    caption = f"{title}: {subset}, n = {counted}. Bands: two-level bootstrap interval, within 0 to 100."
    if left_out:
        told = "; ".join(map(names.arm, left_out)) if len(left_out) <= NAMED else f"{len(left_out)} arms"
        caption += f" Run at one size only, and in the tables alone: {told}."
    return Chart(chart, caption, [(svg.key(tones[arm]), names.arm(arm)) for arm in sorted(drawn, key=names.place_of)])


def _tones(arms: Iterable[str]) -> dict[str, str]:
    fixed = {arm: TONES[arm] for arm in arms if arm in TONES}
    rest = iter(tone for tone in OTHER if tone not in fixed.values())
    return {arm: fixed.get(arm) or next(rest, "control") for arm in sorted(arms, key=names.place_of)}


def gap(summary: Summary) -> list[Chart]:
    """MAD's gain against the share of synonyms unseen: a chart for each set of items, a line for each size."""
    by_set: dict[tuple[str, str], dict[int, list[tuple[int, Difference]]]] = {}
    for share, found in sorted(summary.gap.items()):
        for one in found:
            lines = by_set.setdefault((one.place.task, one.place.subset), {})
            lines.setdefault(one.place.fraction, []).append((share, one))
    order = sorted(by_set, key=lambda place: (list(CHIEF).index(place[0]), IN_DOMAIN[place[0]] != place[1]))
    return [_gap(task, subset, by_set[task, subset], sorted(summary.gap)) for task, subset in order]


def _gap(
    task: str, subset: str, by_size: Mapping[int, Sequence[tuple[int, Difference]]], shares: Sequence[int]
) -> Chart:
    tones = dict(zip(sorted(by_size), GAP_TONES, strict=False))
    labels = {size: f"{names.task(task)}, {size} %, {names.subset(subset)}" for size in sorted(by_size)}
    lines = [
        svg.Line(
            labels[size],
            [(share, one.value) for share, one in points],
            tones.get(size, "control"),
            band=[(one.low, one.high) for _, one in points],
            marked=True,
        )
        for size, points in sorted(by_size.items())
    ]
    title = f"{names.task(task)}, {names.subset(subset)}"
    chart = svg.lines(
        lines,
        label=f"{title}: MAD minus baseline by the share of synonyms unseen",
        x_axis="synonyms the student has not seen",
        y_axis="MAD minus baseline, points",
        named=[(share, f"{share} %") for share in shares],
        zero=True,
        width=450,
        height=290,
    )
    caption = (
        f"{title}: MAD minus baseline, both on the same student, by the size of the training subset. "
        "Bands: two-level bootstrap interval of the difference."
    )
    return Chart(chart, caption, [(svg.key(tones.get(size, "control")), f"{size} %") for size in labels])
