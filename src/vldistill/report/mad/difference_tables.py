"""What arms of MAD differ by: gains, controls, the matched baseline, the gap-size curve, and the bars on them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import cast

from vldistill.evaluate.mad.bars import Bar
from vldistill.evaluate.mad.effects import DRAWN_TO, EFFECTS, METHOD_ARM, RATES, besides
from vldistill.evaluate.mad.statistics import IN_DOMAIN, SHIFTED, Difference, Family, Matched
from vldistill.evaluate.mad.summary import Summary
from vldistill.params.mad import Mad
from vldistill.params.mad_grid import Task
from vldistill.report.mad import names
from vldistill.report.mad.columns import (
    ENDS,
    ON_DEV_NOTE,
    Row,
    chief_means,
    count_cell,
    difference_cell,
    end_cells,
    p_cell,
    pill,
    where,
)
from vldistill.report.table import Cell, Table

CORRECTED = (
    "from, to: two-level bootstrap interval of the paired difference (seeds; images, or VCR\u2019s movies). p: of the "
    "same resamples, two-sided, corrected by Holm over the rows of this table."
)
ARM_FAMILIES = ("arms", "on_dev")
"""Families of differences that are not MAD's alone."""
OUTCOMES = [("wins", "items won"), ("losses", "lost"), ("n", "n"), ("seeds", "seeds")]
EXTRAPOLATED = "extrapolated"
MARKS = RATES_MARK, DRAWN_MARK, OTHER_MARK = "\u00a7", "\u00b6", "*"
"""At a control whose two arms differ in more than the named switch; none of them has a meaning elsewhere."""


def gains(summary: Summary, family: Family, title: str, level: float) -> Table:
    """The differences of one family at every place."""
    found = [one for one in summary.differences if one.family == family]
    rows = [
        {
            "task": Cell(names.task(one.place.task)),
            "fraction": Cell(f"{one.place.fraction} %"),
            "subset": Cell(names.subset(one.place.subset)),
            **({"metric": Cell(names.metric(one.place.metric))} if family == "more" else {}),
            **({"arm": Cell(names.arm(one.arm))} if family in ARM_FAMILIES else {}),
            "value": difference_cell(one),
            **end_cells(one),
            "holm": p_cell(one.holm),
            "shown": verdict(one, level),
            **_outcomes(one),
        }
        for one in found
    ]
    columns = [("task", "task"), ("fraction", "training data"), ("subset", "items")]
    columns += [("metric", "metric")] if family == "more" else []
    columns += [("arm", "arm")] if family in ARM_FAMILIES else []
    columns += [("value", "difference"), *ENDS, ("holm", "p"), ("shown", "above 0"), *OUTCOMES]
    marked = (ON_DEV_NOTE,) if family == "on_dev" else ()
    return Table(f"mad_{family}", title, columns, rows, ("task",), (CORRECTED, *marked))


def controls(summary: Summary, level: float, mad: Mad) -> Table:
    """Each part of MAD against what must do worse if the part matters.

    Args:
        summary: all statistics.
        level: of the intervals.
        mad: tells in what more than its switch an arm differs from its control: a mark at its row, and a note.
    """
    effects = {(effect.arm, effect.other): effect for effect in EFFECTS}
    found = sorted(
        (one for one in summary.differences if one.family == "effects"),
        key=lambda one: (one.place.task, one.place.fraction, list(IN_DOMAIN.values()).count(one.place.subset) == 0),
    )
    more = [
        _marked(besides(effects[one.arm, one.other], mad, cast(Task, one.place.task), one.place.fraction))
        for one in found
    ]
    rows = [
        {
            "where": Cell(where(one)),
            "about": Cell(one.about.replace("'", "\u2019")),
            "pair": Cell(
                f"{one.arm} \u2212 {one.other}{''.join(mark for mark in MARKS if mark in marks)}",
                title=f"{names.arm(one.arm)} minus {names.arm(one.other)}",
            ),
            "value": difference_cell(one),
            **end_cells(one),
            "holm": p_cell(one.holm),
            "shown": verdict(one, level),
            "n": count_cell(one.items),
            "seeds": count_cell(one.seeds),
        }
        for one, marks in zip(found, more, strict=True)
    ]
    columns = [("where", "items"), ("about", "effect of"), ("pair", "arm \u2212 control"), ("value", "points"), *ENDS]
    columns += [("holm", "p"), ("shown", "effect"), ("n", "n"), ("seeds", "seeds")]
    notes = (
        CORRECTED,
        "shown: the interval lies above 0 and p is below one minus the level. Not shown is no proof that there is no "
        "effect. opposite: the interval lies below 0, and p likewise.",
        *_besides_notes(more),
    )
    return Table("mad_controls", "Every part of MAD against its control", columns, rows, ("where",), notes)


def _marked(options: Sequence[str]) -> dict[str, list[str]]:
    """The marks of a row, each with the options that it stands for (`besides`)."""
    found: dict[str, list[str]] = {}
    for option in options:
        mark = RATES_MARK if option in RATES else DRAWN_MARK if option == DRAWN_TO else OTHER_MARK
        found.setdefault(mark, []).append(option)
    return found


def _besides_notes(more: Sequence[Mapping[str, Sequence[str]]]) -> list[str]:
    """What the marks of all rows stand for."""
    others = sorted({option for marks in more for option in marks.get(OTHER_MARK, ())})
    told = {
        RATES_MARK: "the two differ in learning rate or embedding rate, too: each has the settings of its kind.",
        DRAWN_MARK: "the two differ in what a state is drawn to, too: [CLS] to the teacher\u2019s vector of the whole "
        "text or image, a chosen token or region to that of itself alone (distill.mad.scope).",
        OTHER_MARK: f"the two differ in more options: {', '.join(f'distill.mad.{option}' for option in others)}.",
    }
    return [f"{mark}: {told[mark]}" for mark in MARKS if any(mark in marks for marks in more)]


def matched(summary: Summary) -> Table:
    """MAD under shift against what the baseline has there where it is as accurate in domain."""
    counted = {
        (mean.place.task, mean.place.fraction): mean
        for mean in chief_means(summary)
        if mean.arm == METHOD_ARM and mean.place.subset == SHIFTED[mean.place.task]
    }
    rows = [
        {
            "where": Cell(f"{names.task(one.task)}, {one.fraction} %"),
            "in_domain": Cell(number=one.in_domain),
            "shifted": Cell(number=one.shifted),
            "line": Cell(number=one.line),
            "place": pill(EXTRAPOLATED) if one.extrapolated else Cell("between its points"),
            "value": Cell(number=one.value, signed=True),
            "low": Cell(number=one.low, signed=True),
            "high": Cell(number=one.high, signed=True),
            "p": p_cell(one.p),
            "shown": pill("shown" if one.low > 0 else "not shown"),
            "n": count_cell(counted[one.task, one.fraction].items),
            "seeds": count_cell(counted[one.task, one.fraction].seeds),
        }
        for one in summary.matched
    ]
    columns = [("where", "task"), ("in_domain", "MAD unshifted"), ("shifted", "MAD shifted"), ("line", "line there")]
    columns += [("place", "that is"), ("value", "above the line"), *ENDS, ("p", "p"), ("shown", "above it")]
    columns += [("n", "n"), ("seeds", "seeds")]
    notes = (
        "A model that fits less may lose less under shift, and one that is better in domain is often better there. "
        "The line runs through the baseline: as it is, stopped early, with smoothed labels, and trained on more data, "
        "all on MAD\u2019s items. Only what lies above it is a gain under shift. Extrapolated: MAD\u2019s unshifted "
        "score lies outside its points. n: shifted items of each seed.",
        *(_points(one) for one in summary.matched),
    )
    return Table("mad_matched", "Above the matched baseline, percent", columns, rows, ("where",), notes)


def _points(one: Matched) -> str:
    points = "; ".join(
        f"{names.arm(point.arm)}{f' on {point.fraction} %' if point.fraction != one.fraction else ''} "
        f"{point.in_domain:.1f}, {point.shifted:.1f}"
        for point in one.points
    )
    outside = f"; {EXTRAPOLATED} to MAD\u2019s {one.in_domain:.1f}" if one.extrapolated else ""
    return f"{names.task(one.task)}, {one.fraction} %, points of the line (unshifted, shifted): {points}{outside}."


def gap(summary: Summary) -> Table:
    """MAD's gain by the share of the synonyms that the student has not seen."""
    rows = [
        {
            "where": Cell(where(one)),
            "share": Cell(f"{share} %"),
            "value": difference_cell(one),
            **end_cells(one),
            **_outcomes(one),
        }
        for share, found in sorted(summary.gap.items())
        for one in found
    ]
    rows.sort(key=lambda row: row["where"].text)
    columns = [("where", "items"), ("share", "synonyms unseen"), ("value", "MAD minus baseline"), *ENDS, *OUTCOMES]
    note = "At 0 % there is nothing to teach: the interval should hold 0. Both arms start from the same student."
    return Table("mad_gap", "Gain by what the student has not seen, points", columns, rows, ("where",), (note,))


def bars(requirements: Sequence[Bar]) -> Table:
    """The requirements, met or not."""
    rows = []
    for bar in requirements:
        said = "not measured" if bar.met is None else "met" if bar.met else "not met"
        rows.append(
            {
                "where": Cell(names.where_asked(bar.name), title=bar.name),
                "asked": Cell(bar.requirement.replace(" -", " \u2212")),
                "value": Cell(number=bar.value, signed=True),
                "low": Cell(number=bar.low, signed=True),
                "high": Cell(number=bar.high, signed=True),
                "half": Cell(number=bar.half_width),
                "met": pill(said, EXTRAPOLATED if bar.extrapolated else ""),
            }
        )
    columns = [("where", "task, data"), ("asked", "asked"), ("value", "measured"), *ENDS]
    columns += [("half", "half-width"), ("met", "verdict")]
    note = "Corrected p: by Holm over the gains claimed here, not over all rows of the table of gains below."
    return Table("mad_bars", "What MAD must show, points", columns, rows, ("where",), notes=(note,))


def verdict(one: Difference, level: float) -> Cell:
    """Whether a difference above 0 is shown, after Holm."""
    if one.holm < 1 - level and (one.low > 0 or one.high < 0):
        return pill("shown" if one.low > 0 else "opposite")
    return pill("not shown")


def _outcomes(one: Difference) -> Row:
    return {
        "wins": count_cell(one.wins),
        "losses": count_cell(one.losses),
        "n": count_cell(one.items),
        "seeds": count_cell(one.seeds),
    }
