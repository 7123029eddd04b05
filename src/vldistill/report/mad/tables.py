"""MAD's tables: accuracy, shift, the matched baseline, controls, the gap-size curve, bars."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from vldistill.evaluate.mad.bars import Bar
from vldistill.evaluate.mad.data import REFERENCES
from vldistill.evaluate.mad.statistics import (
    BASELINE,
    CHIEF,
    DEV,
    IN_DOMAIN,
    METHOD_ARM,
    NAIVE,
    SHIFTED,
    UNSHIFTED,
    Difference,
    Family,
    Matched,
    Mean,
)
from vldistill.evaluate.mad.summary import Summary
from vldistill.report.mad import names
from vldistill.report.table import Cell, Table

Columns = list[tuple[str, str]]
Row = dict[str, Cell]
GRID = (BASELINE, NAIVE, METHOD_ARM)
MAIN = (*GRID, *REFERENCES)
"""The arms of the first tables; all others stand among the controls and in the table of every number."""
ENDS = [("low", "from"), ("high", "to")]
COUNTS = [("n", "n"), ("groups", "images or movies"), ("seeds", "seeds")]
SPREAD = (
    "\u00b1: half of the two-level bootstrap interval (seeds; images, or VCR\u2019s movies); its ends stand in the CSV "
    "file. n: test items of each seed. \u2020: one seed."
)
CORRECTED = (
    "from, to: two-level bootstrap interval of the paired difference (seeds; images, or VCR\u2019s movies). p: of the "
    "same resamples, two-sided, corrected by Holm over the rows of this table."
)


ON_DEV_NOTE = (
    "\u2021: settings chosen by accuracy on the whole dev set, more labels than a small training subset has: not the "
    "headline, whose settings are chosen inside the training subset (docs/tuning.md)."
)


def accuracy(summary: Summary, task: str, on_dev: Mapping[str, str]) -> Table:
    """What the main arms score on the unchanged test items of a task, and what they gain over the baseline.

    Args:
        summary: all statistics.
        task: whose items.
        on_dev: arm -> the arm with the settings that dev chooses; their scores make a marked column.
    """
    rows, gains = [], _against_baseline(summary)
    tuned = {(mean.place.fraction, mean.arm): mean for mean in _means(summary, task, [*on_dev.values()])}
    for mean in _means(summary, task, MAIN):
        gain = gains.get((task, mean.place.fraction, mean.arm))
        rows.append(
            {
                "fraction": Cell(f"{mean.place.fraction} %"),
                "arm": Cell(names.arm(mean.arm)),
                "value": _spread(mean),
                **({"on_dev": _on_dev(mean, on_dev, tuned)} if on_dev else {}),
                "over": _difference(gain) if gain else Cell(),
                **(_ends(gain) if gain else {}),
                **_counts(mean),
            }
        )
    return Table(
        f"mad_{task}",
        f"{names.chief_label(task)} on the evaluated items, percent",
        [
            ("fraction", "training data"),
            ("arm", "arm"),
            ("value", "score"),
            ("over", "minus baseline"),
            *ENDS,
            *([("on_dev", "tuned on dev\u2021")] if on_dev else []),
            *COUNTS,
        ],
        rows,
        head=("fraction", "arm"),
        notes=(
            SPREAD,
            "from, to: interval of the paired difference to the baseline, not corrected.",
            *([f"{ON_DEV_NOTE} the same: both choose the same settings."] if on_dev else []),
        ),
        emphasised=_of_method(rows),
    )


def _on_dev(mean: Mean, on_dev: Mapping[str, str], tuned: Mapping[tuple[int, str], Mean]) -> Cell:
    """The score of an arm with the settings that dev chooses."""
    own = on_dev.get(mean.arm)
    if own is None:
        return Cell()
    if own == mean.arm:
        return Cell("the same")
    found = tuned.get((mean.place.fraction, own))
    return replace(_spread(found), tone="faint") if found else Cell("not run")


def _against_baseline(summary: Summary) -> dict[tuple[str, int, str], Difference]:
    chosen = [one for one in summary.differences if one.other == BASELINE and one.family in ("gain", "arms")]
    return {
        (one.place.task, one.place.fraction, one.arm): one
        for one in chosen
        if one.place.subset in (IN_DOMAIN[one.place.task], DEV)
    }


def everything(summary: Summary) -> Table:
    """Every arm at every place, with both intervals."""
    rows = [
        {
            "task": Cell(names.task(mean.place.task)),
            "fraction": Cell(f"{mean.place.fraction} %"),
            "subset": Cell(names.subset(mean.place.subset)),
            "metric": Cell(names.metric(mean.place.metric)),
            "arm": Cell(names.arm(mean.arm)),
            "value": _spread(mean),
            "over_seeds": Cell(number=mean.value, low=mean.seed_low, high=mean.seed_high)
            if mean.seeds > 1
            else Cell("one seed"),
            **_counts(mean),
        }
        for mean in summary.means
    ]
    columns = [("task", "task"), ("fraction", "training data"), ("subset", "items"), ("metric", "metric")]
    columns += [("arm", "arm"), ("value", "score"), ("over_seeds", "score, over seeds"), *COUNTS]
    note = "over seeds: \u00b1 is half of Student\u2019s t interval over seeds alone."
    return Table("mad_all", "Every arm on every set of items, percent", columns, rows, ("task",), (SPREAD, note))


def shift(summary: Summary) -> Table:
    """Scores under shift beside those without it: the original wording of the same items, where there is one."""
    by_place = {(mean.place.task, mean.place.fraction, mean.place.subset, mean.arm): mean for mean in _chief(summary)}
    rows = []
    for (task, fraction, subset, arm), shifted in by_place.items():
        plain = by_place.get((task, fraction, UNSHIFTED[task], arm))
        if subset != SHIFTED[task] or arm not in GRID or plain is None:
            continue
        rows.append(
            {
                "task": Cell(names.task(task)),
                "fraction": Cell(f"{fraction} %"),
                "arm": Cell(names.arm(arm)),
                "plain": _spread(plain),
                "plain_n": _count(plain.items),
                "shifted": _spread(shifted),
                "n": _count(shifted.items),
                "change": Cell(number=shifted.value - plain.value, signed=True),
                "seeds": _count(shifted.seeds),
            }
        )
    columns = [
        ("task", "task"),
        ("fraction", "training data"),
        ("arm", "arm"),
        ("plain", "unshifted"),
        ("plain_n", "n unshifted"),
    ]
    columns += [("shifted", "shifted"), ("n", "n"), ("change", "change"), ("seeds", "seeds")]
    notes = (
        "VCR: shifted by the rules Rule-Singular and Rule-Plural; unshifted is the original wording of the same items. "
        "SNLI-VE: shifted are the test items that a classifier of the hypothesis alone, trained on the same subset, "
        "gets wrong; their wording is the original one, and unshifted is the whole test set. VQA: answer priors "
        "differ from training; unshifted are questions held out with the priors of training.",
        SPREAD,
    )
    return Table(
        "mad_shift", "Under shift, percent", columns, rows, ("task", "fraction"), notes, _of_method(rows)
    )  # fmt: skip


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
            "value": _difference(one),
            **_ends(one),
            "holm": _p(one.holm),
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


ARM_FAMILIES = ("arms", "on_dev")
"""Families of differences that are not MAD's alone."""
OUTCOMES = [("wins", "items won"), ("losses", "lost"), ("n", "n"), ("seeds", "seeds")]


def controls(summary: Summary, level: float) -> Table:
    """Each part of MAD against what must do worse if the part matters."""
    rows = [
        {
            "where": Cell(where(one)),
            "about": Cell(one.about.replace("'", "\u2019")),
            "pair": Cell(f"{one.arm} \u2212 {one.other}", title=f"{names.arm(one.arm)} minus {names.arm(one.other)}"),
            "value": _difference(one),
            **_ends(one),
            "holm": _p(one.holm),
            "shown": verdict(one, level),
            "n": _count(one.items),
            "seeds": _count(one.seeds),
        }
        for one in sorted(
            (one for one in summary.differences if one.family == "effects"),
            key=lambda one: (one.place.task, one.place.fraction, list(IN_DOMAIN.values()).count(one.place.subset) == 0),
        )
    ]
    columns = [("where", "items"), ("about", "effect of"), ("pair", "arm \u2212 control"), ("value", "points"), *ENDS]
    columns += [("holm", "p"), ("shown", "effect"), ("n", "n"), ("seeds", "seeds")]
    notes = (
        CORRECTED,
        "shown: the interval lies above 0 and p is below one minus the level. Not shown is no proof that there is no "
        "effect. opposite: the interval lies below 0, and p likewise.",
    )
    return Table("mad_controls", "Every part of MAD against its control", columns, rows, ("where",), notes)


def matched(summary: Summary) -> Table:
    """MAD under shift against what the baseline has there where it is as accurate in domain."""
    counted = {
        (mean.place.task, mean.place.fraction): mean
        for mean in _chief(summary)
        if mean.arm == METHOD_ARM and mean.place.subset == SHIFTED[mean.place.task]
    }
    rows = [
        {
            "where": Cell(f"{names.task(one.task)}, {one.fraction} %"),
            "in_domain": Cell(number=one.in_domain),
            "shifted": Cell(number=one.shifted),
            "line": Cell(number=one.line),
            "place": _pill(EXTRAPOLATED) if one.extrapolated else Cell("between its points"),
            "value": Cell(number=one.value, signed=True),
            "low": Cell(number=one.low, signed=True),
            "high": Cell(number=one.high, signed=True),
            "p": _p(one.p),
            "shown": _pill("shown" if one.low > 0 else "not shown"),
            "n": _count(counted[one.task, one.fraction].items),
            "seeds": _count(counted[one.task, one.fraction].seeds),
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
            "value": _difference(one),
            **_ends(one),
            **_outcomes(one),
        }
        for share, found in sorted(summary.gap.items())
        for one in found
    ]
    rows.sort(key=lambda row: row["where"].text)
    columns = [("where", "items"), ("share", "synonyms unseen"), ("value", "MAD minus baseline"), *ENDS, *OUTCOMES]
    note = "At 0 % there is nothing to teach: the interval should hold 0. Both arms start from the same student."
    return Table("mad_gap", "Gain by what the student has not seen, points", columns, rows, ("where",), (note,))


def bars(asked: Sequence[Bar]) -> Table:
    """The requirements, met or not."""
    rows = []
    for bar in asked:
        task, _, fraction = bar.name.partition(".f")
        place = f"{names.task(task)}, {fraction.partition('.')[0]} %" if fraction else "SNLI-VE, 10 %"
        said = "not measured" if bar.met is None else "met" if bar.met else "not met"
        rows.append(
            {
                "where": Cell(place, title=bar.name),
                "asked": Cell(bar.asked.replace(" -", " \u2212")),
                "value": Cell(number=bar.value, signed=True),
                "low": Cell(number=bar.low, signed=True),
                "high": Cell(number=bar.high, signed=True),
                "half": Cell(number=bar.half_width),
                "met": _pill(said, EXTRAPOLATED if bar.extrapolated else ""),
            }
        )
    columns = [("where", "task, data"), ("asked", "asked"), ("value", "measured"), *ENDS]
    columns += [("half", "half-width"), ("met", "verdict")]
    return Table("mad_bars", "What MAD must show, points", columns, rows, ("where",))


def verdict(one: Difference, level: float) -> Cell:
    """Whether a difference above 0 is shown, after Holm."""
    if one.holm < 1 - level and (one.low > 0 or one.high < 0):
        return _pill("shown" if one.low > 0 else "opposite")
    return _pill("not shown")


def where(one: Difference | Mean) -> str:
    """A place in words."""
    return f"{names.task(one.place.task)}, {one.place.fraction} %, {names.subset(one.place.subset)}"


PILLS = {"shown": "good", "met": "good", "opposite": "bad", "not met": "bad"}
EXTRAPOLATED = "extrapolated"


def _pill(said: str, more: str = "") -> Cell:
    return Cell(f"{said}, {more}" if more else said, tone=f"pill {PILLS.get(said, 'plain')}")


def _means(summary: Summary, task: str, arms: Sequence[str]) -> list[Mean]:
    found = [
        mean
        for mean in summary.means
        if (mean.place.task, mean.place.metric) == (task, CHIEF[task])
        and mean.place.subset in (IN_DOMAIN[task], DEV)
        and mean.arm in arms
    ]
    return sorted(found, key=lambda mean: (mean.place.fraction, names.place_of(mean.arm)))


def _chief(summary: Summary) -> Iterable[Mean]:
    found = (mean for mean in summary.means if mean.place.metric == CHIEF[mean.place.task])
    return sorted(
        found, key=lambda mean: (list(CHIEF).index(mean.place.task), mean.place.fraction, names.place_of(mean.arm))
    )


def _of_method(rows: Sequence[Row]) -> list[int]:
    return [number for number, row in enumerate(rows) if row["arm"].text == names.arm(METHOD_ARM)]


def _spread(mean: Mean) -> Cell:
    mark = "" if mean.seeds > 1 else "\u2020"
    return Cell(number=mean.value, low=mean.low, high=mean.high, mark=mark, title=f"n = {mean.items}, {where(mean)}")


def _difference(one: Difference) -> Cell:
    return Cell(number=one.value, signed=True, mark="" if one.seeds > 1 else "\u2020", title=f"n = {one.items}")


def _ends(one: Difference) -> Row:
    return {"low": Cell(number=one.low, signed=True), "high": Cell(number=one.high, signed=True)}


def _counts(mean: Mean) -> Row:
    return {"n": _count(mean.items), "groups": _count(mean.groups), "seeds": _count(mean.seeds)}


def _outcomes(one: Difference) -> Row:
    return {"wins": _count(one.wins), "losses": _count(one.losses), "n": _count(one.items), "seeds": _count(one.seeds)}


def _count(value: int) -> Cell:
    return Cell(number=value, digits=0)


def _p(value: float) -> Cell:
    return Cell(number=value, digits=4 if value < 0.01 else 3)
