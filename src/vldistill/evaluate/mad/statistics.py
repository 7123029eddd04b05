"""The statistics of MAD's evaluation: means, paired differences, the matched baseline under shift, the gap-size curve.

Everything is a function of per-item scores and the same on every run. Seeds vary the training subset, initialisation
and order; what comes out is conditional on one world and one teacher. Accuracies are in percent, differences in points.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from vldistill.evaluate.mad.chief import CHIEF
from vldistill.evaluate.mad.data import BLIND, REFERENCES
from vldistill.evaluate.mad.effects import BASELINE, EFFECTS, METHOD_ARM, NAIVE
from vldistill.evaluate.mad.tables import Place, Results, Table
from vldistill.params.mad_arms import ON_DEV
from vldistill.stats import RESAMPLES, Shift, above_line, holm, paired_difference, seed_interval, uneven_difference

IN_DOMAIN = {"snli_ve": "test", "vcr": "test", "vqa": "iid"}
DEV = "dev"  # scored instead of all others where something is tuned
SHIFTED = {"snli_ve": "hard", "vcr": "rules", "vqa": "shift"}
UNSHIFTED = {"snli_ve": "test", "vcr": "rules_original", "vqa": "iid"}
"""What a shifted subset is held against: the original wording of the same items, where there is one."""
MORE: dict[str, tuple[tuple[str, str], ...]] = {
    "snli_ve": (),
    "vcr": (
        ("test", "QA->R"),
        ("test", "Q->AR"),
        ("rules_original", "Q->A"),
        ("singular", "Q->A"),
        ("singular_original", "Q->A"),
        ("plural", "Q->A"),
        ("plural_original", "Q->A"),
    ),
    "vqa": (("iid", "both"), ("shift", "both")),
}
"""Task -> further subsets and metrics that are printed, but are not what is claimed."""
REASONS = tuple((subset, metric) for subset in (SHIFTED["vcr"], UNSHIFTED["vcr"]) for metric in ("QA->R", "Q->AR"))
"""VCR's rationales under shift: printed beside its answers, no difference is tested."""
MATCHED = (BASELINE, "stopped_25", "stopped_50", "smoothed")
"""The baseline at in-domain accuracies up to its own; trained on more data, it also has points above that."""
GAPS = {
    0: ("mad_gap0", "baseline_gap0"),
    25: ("mad_gap25", "baseline_gap25"),
    50: ("mad_gap50", "baseline_gap50"),
    100: (METHOD_ARM, BASELINE),
}
"""Percent of the synonyms that the student has not seen -> MAD and baseline on a student of that kind."""
Family = Literal["gain", "over_naive", "blind", "effects", "arms", "more", "on_dev"]


@dataclass(frozen=True)
class Mean:
    """What an arm scores at a place.

    Attributes:
        value: mean over seeds.
        seed_low, seed_high: Student's t interval over seeds; both are the value where there is one seed.
        low, high: two-level bootstrap interval (seeds; images or movies).
    """

    place: Place
    arm: str
    value: float
    seed_low: float
    seed_high: float
    low: float
    high: float
    seeds: int
    groups: int
    items: int


@dataclass(frozen=True)
class Difference:
    """Arm minus other on the same seeds and items.

    Attributes:
        family: the comparisons that Holm's correction is made over.
        p: two-sided, of the two-level bootstrap; `holm` is the same, corrected.
        wins, ties, losses: items by their mean over seeds.
        about: what the difference is the effect of; empty where the names say it.
    """

    place: Place
    arm: str
    other: str
    family: Family
    value: float
    low: float
    high: float
    p: float
    holm: float
    wins: int
    ties: int
    losses: int
    seeds: int
    groups: int
    items: int
    about: str = ""


@dataclass(frozen=True)
class Point:
    """The baseline at one in-domain accuracy: its arm, its training data in percent, and its means on MAD's items."""

    arm: str
    fraction: int
    in_domain: float
    shifted: float


@dataclass(frozen=True)
class Matched:
    """MAD under shift against the line through the baseline's points (`vldistill.stats.above_line`).

    Attributes:
        value: shifted mean minus the line, with its interval.
        in_domain, shifted: MAD's means.
        line: the line at MAD's in-domain mean.
        extrapolated: MAD's in-domain mean lies outside the baseline's points.
        points: what the line runs through.
    """

    task: str
    fraction: int
    value: float
    low: float
    high: float
    p: float
    in_domain: float
    shifted: float
    line: float
    extrapolated: bool
    points: tuple[Point, ...]


@dataclass(frozen=True)
class Draw:
    """How intervals are drawn."""

    resamples: int = RESAMPLES
    level: float = 0.95


def chief(task: str, fraction: int, *, shifted: bool = False) -> Place:
    """The place of a task's chief score, in domain or under shift."""
    return Place(task, fraction, (SHIFTED if shifted else IN_DOMAIN)[task], CHIEF[task])


def is_chief(place: Place) -> bool:
    """Whether a place is a chief one, in domain, under shift or on dev."""
    return place.metric == CHIEF[place.task] and place.subset in (IN_DOMAIN[place.task], SHIFTED[place.task], DEV)


def places(results: Results, tasks: Sequence[str]) -> list[Place]:
    """All places where differences are tested, chief ones first."""
    found = []
    for task in tasks:
        for fraction in results.fractions(task):
            found += [chief(task, fraction), chief(task, fraction, shifted=True)]
            found.append(Place(task, fraction, DEV, CHIEF[task]))
            found += [Place(task, fraction, subset, metric) for subset, metric in MORE[task]]
    return found


def reasons(results: Results, tasks: Sequence[str]) -> list[Place]:
    """The places of `REASONS`."""
    sizes = results.fractions("vcr") if "vcr" in tasks else []
    return [Place("vcr", fraction, subset, metric) for fraction in sizes for subset, metric in REASONS]


def means(results: Results, where: Sequence[Place], draw: Draw) -> list[Mean]:
    """What each arm scores at each place."""
    return [_mean(results, place, arm, draw) for place in where for arm in results.arms(place)]


def _mean(results: Results, place: Place, arm: str, draw: Draw) -> Mean:
    tables = results.tables(place, [arm])
    assert tables is not None
    (table,) = tables
    over_seeds = seed_interval(table.means, level=draw.level)
    even = table.even
    both = paired_difference(
        even, np.zeros_like(even), table.groups, resamples=draw.resamples, level=draw.level
    ).difference
    low, high = over_seeds.low, over_seeds.high
    return Mean(place, arm, over_seeds.mean, low, high, both.low, both.high, len(table.seeds), both.n, table.items)


def differences(
    results: Results, tasks: Sequence[str], draw: Draw, on_dev: Mapping[str, str] | None = None
) -> list[Difference]:
    """Every comparison that is made, with p corrected within its family.

    - gain: MAD minus baseline at the chief places; over_naive: MAD minus naive distillation there.
    - blind: MAD minus the classifier that sees no image, at the chief places that are not shifted. Under shift such a
      classifier is weak by construction.
    - effects: every part of MAD against its control (`EFFECTS`), at the chief places.
    - arms: every other arm minus the baseline, at the chief places; references and arms tuned on dev are none of them.
    - on_dev: arms minus baseline at the chief places, both with the settings that dev chooses.
    - more: MAD minus baseline at all other places.

    Args:
        results: per-item scores.
        tasks: in the order they are to be shown.
        draw: how intervals are drawn.
        on_dev: arm -> the arm with the settings that dev chooses (`distill.mad.sweep.on_dev`).
    """
    tuned = dict(on_dev or {})
    base = tuned.get(BASELINE)
    # where dev chooses nothing else for both, the difference is the headline's
    pairs = [(own, base) for arm, own in tuned.items() if base and arm != BASELINE and (arm, BASELINE) != (own, base)]
    comparisons: list[tuple[Family, Place, str, str, str]] = []
    for place in places(results, tasks):
        arms = results.arms(place)
        if not is_chief(place):
            comparisons.append(("more", place, METHOD_ARM, BASELINE, ""))
            continue
        comparisons.append(("gain", place, METHOD_ARM, BASELINE, ""))
        comparisons.append(("over_naive", place, METHOD_ARM, NAIVE, ""))
        if place.subset != SHIFTED[place.task]:
            comparisons.append(("blind", place, METHOD_ARM, BLIND, ""))
        comparisons += [("effects", place, one.arm, one.other, one.about) for one in EFFECTS]
        others = [arm for arm in arms if arm not in (METHOD_ARM, BASELINE, *REFERENCES) and not arm.endswith(ON_DEV)]
        comparisons += [("arms", place, arm, BASELINE, "") for arm in others]
        comparisons += [("on_dev", place, arm, other, "") for arm, other in pairs]
    found = [made for one in comparisons if (made := _difference(results, *one, draw)) is not None]
    corrected: dict[int, float] = {}
    for family in {made.family for made in found}:
        corrected |= holm({number: made.p for number, made in enumerate(found) if made.family == family})
    return [replace(made, holm=corrected[number]) for number, made in enumerate(found)]


def _difference(
    results: Results, family: Family, place: Place, arm: str, other: str, about: str, draw: Draw
) -> Difference | None:
    tables = results.tables(place, [arm, other])
    if tables is None:
        return None
    first, second = tables
    paired = uneven_difference(first.values, second.values, first.groups, resamples=draw.resamples, level=draw.level)
    return Difference(
        place=place,
        arm=arm,
        other=other,
        family=family,
        value=paired.difference.mean,
        low=paired.difference.low,
        high=paired.difference.high,
        p=paired.p,
        holm=paired.p,
        wins=paired.wins,
        ties=paired.ties,
        losses=paired.losses,
        seeds=paired.seeds,
        groups=paired.groups,
        items=paired.items,
        about=about,
    )


def matched(results: Results, tasks: Sequence[str], draw: Draw) -> list[Matched]:
    """MAD against the matched baseline at every size where the baseline has two points or more of that size.

    More points are those of the baseline trained on more data, on the same items and seeds, where they are there:
    without them the line would be extrapolated wherever MAD fits more than every baseline of its size.
    """
    pairs = [(task, fraction) for task in tasks for fraction in results.fractions(task)]
    return [made for task, fraction in pairs if (made := _matched(results, task, fraction, draw)) is not None]


def _matched(results: Results, task: str, fraction: int, draw: Draw) -> Matched | None:
    plain, shifted = (Place(task, fraction, where[task], CHIEF[task]) for where in (UNSHIFTED, SHIFTED))
    there = set(results.arms(plain)) & set(results.arms(shifted))
    arms = [arm for arm in MATCHED if arm in there]
    if METHOD_ARM not in there or len(arms) < 2:
        return None
    sides = [results.tables(place, [METHOD_ARM, *arms]) for place in (plain, shifted)]
    if sides[0] is None or sides[1] is None or sides[0][0].seeds != sides[1][0].seeds:
        return None
    method, *own = zip(sides[0], sides[1], strict=True)
    line = [((arm, fraction), tables) for arm, tables in zip(arms, own, strict=True)]
    line += _with_more_data(results, (plain, shifted), method)
    mine, *theirs = (Shift(one.even, other.even) for one, other in (method, *(tables for _, tables in line)))
    groups = [table.groups for table in method]
    try:
        found = above_line(mine, theirs, *groups, resamples=draw.resamples, level=draw.level)
    except ValueError:  # points or groups too much alike: not every resample has a line
        return None
    return Matched(
        task=task,
        fraction=fraction,
        value=found.above.mean,
        low=found.above.low,
        high=found.above.high,
        p=found.p,
        in_domain=found.in_domain,
        shifted=found.shifted,
        line=found.line,
        extrapolated=found.extrapolated,
        points=tuple(Point(*name, *(float(table.means.mean()) for table in tables)) for name, tables in line),
    )


def _with_more_data(
    results: Results, sides: tuple[Place, Place], like: tuple[Table, Table]
) -> list[tuple[tuple[str, int], tuple[Table, Table]]]:
    """The baseline trained on more data, on the items of ``like`` in domain and under shift, by arm and fraction."""
    found = []
    for fraction in (each for each in results.fractions(sides[0].task) if each > sides[0].fraction):
        plain, shifted = (
            results.on_items_of(table, place, BASELINE, fraction) for table, place in zip(like, sides, strict=True)
        )
        if plain is not None and shifted is not None:
            found.append(((BASELINE, fraction), (plain, shifted)))
    return found


def gap_curve(results: Results, tasks: Sequence[str], draw: Draw) -> dict[int, list[Difference]]:
    """MAD's gain at each chief place by the share of the synonyms that the student has not seen, in percent.

    The places are those where MAD was run on a student that has seen more than the usual one, the shares those of
    students that are there.
    """
    curve: dict[int, list[Difference]] = {share: [] for share in GAPS}
    for place in places(results, tasks):
        if not is_chief(place):
            continue
        found = {
            share: _difference(results, "arms", place, arm, other, "", draw) for share, (arm, other) in GAPS.items()
        }
        if any(made for share, made in found.items() if share < 100):
            for share, made in found.items():
                curve[share] += [made] if made else []
    return {share: found for share, found in curve.items() if found}
