"""Intervals, paired differences and corrected p-values for numbers that come from a few seeds and many items.

The resamples are those of `vldistill.bootstrap`. Everything is deterministic for a given ``seed``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vldistill.bootstrap import draws, group_sums, named_sums, resampled_means, weighted_means

RESAMPLES = 10_000


@dataclass(frozen=True)
class Interval:
    """An estimate with its interval; ``n`` is how many independent units (groups or seeds) it rests on."""

    mean: float
    low: float
    high: float
    n: int
    level: float = 0.95


@dataclass(frozen=True)
class Paired:
    """A paired difference (a minus b): interval, two-sided bootstrap p, and items won, tied and lost by a."""

    difference: Interval
    p: float
    wins: int
    ties: int
    losses: int
    seeds: int
    groups: int
    items: int


@dataclass(frozen=True)
class Shift:
    """What one model scores in domain [S, N] and under shift [S, M]: S seeds, any two sets of items."""

    in_domain: ArrayLike
    shifted: ArrayLike


@dataclass(frozen=True)
class AboveLine:
    """A method against the baseline line; see `above_line`.

    Attributes:
        above: shifted mean minus the line, with its interval; ``n`` counts groups.
        p: two-sided, as in `Paired`.
        in_domain, shifted: the method's means.
        line: the line at the method's in-domain mean.
        slope: of the line; below 0, the baseline loses under shift what it gains in domain.
        extrapolated: the method's in-domain mean lies outside the baseline's points.
    """

    above: Interval
    p: float
    in_domain: float
    shifted: float
    line: float
    slope: float
    extrapolated: bool


def bootstrap_mean(
    values: ArrayLike,
    groups: Sequence[Any] | None = None,
    *,
    resamples: int = RESAMPLES,
    level: float = 0.95,
    seed: int = 0,
) -> Interval:
    """Percentile interval of a mean over items, resampling groups.

    Args:
        values: [N] one value an item.
        groups: [N] each item's group, such as its image; None: every item is its own.
        resamples: bootstrap samples.
        level: coverage.
        seed: of the resampling.

    Raises:
        ValueError: there is no value, or a value is not finite.
    """
    table = _checked(np.asarray(values, dtype=np.float64)[None, :])
    sums, counts = group_sums(table, groups)
    means = resampled_means(sums, counts, resamples, seed)
    return _interval(float(table.mean()), means, sums.shape[1], level)


def paired_difference(
    a: ArrayLike,
    b: ArrayLike,
    groups: Sequence[Any] | None = None,
    *,
    resamples: int = RESAMPLES,
    level: float = 0.95,
    seed: int = 0,
) -> Paired:
    """Difference of two methods on the same seeds and items, with a two-level bootstrap (seeds, groups of items).

    The part of the seeds is stretched by sqrt(S/(S - 1)), as `vldistill.bootstrap` tells; with one seed the interval
    is that of `bootstrap_mean`.

    Args:
        a, b: [S, N] or [N], the same seeds in the same order and the same items.
        groups: [N] each item's group, such as its image.
        resamples, level, seed: as `bootstrap_mean`.

    Returns:
        The interval of mean(a - b); p = the share of resampled differences on the other side of 0, doubled, at least
        1 / resamples; wins, ties and losses of the items' means over seeds.

    Raises:
        ValueError: shapes differ, or a value is not finite.
    """
    table = paired_table(a, b)
    sums, counts = group_sums(table, groups)
    means = resampled_means(sums, counts, resamples, seed)
    per_item = table.mean(axis=0)
    return Paired(
        difference=_interval(float(table.mean()), means, sums.shape[1], level),
        p=_two_sided(means),
        wins=int(np.count_nonzero(per_item > 0)),
        ties=int(np.count_nonzero(per_item == 0)),
        losses=int(np.count_nonzero(per_item < 0)),
        seeds=len(table),
        groups=sums.shape[1],
        items=table.shape[1],
    )


def without_gaps(values: ArrayLike) -> NDArray[np.float64]:
    """[S, N] with NaN where a seed lacks an item -> the same without gaps: the same means of seeds, and to first order
    the same means of every resample.

    The mean of a part of the items is a ratio of two sums, both of which change in a resample; this is its Taylor
    linearisation, as used for domain means in survey statistics (Woodruff 1971).

    Raises:
        ValueError: a seed has no item, or an item no seed.
    """
    table = np.asarray(values, dtype=np.float64)
    there = np.isfinite(table)
    if there.all():
        return table
    if not (there.any(axis=0).all() and there.any(axis=1).all()):
        raise ValueError("a seed has no item, or an item no seed")
    means = np.nanmean(table, axis=1, keepdims=True)
    scale = there.shape[1] / there.sum(axis=1, keepdims=True)
    return np.where(there, means + (table - means) * scale, means)


def uneven_difference(
    a: ArrayLike,
    b: ArrayLike,
    groups: Sequence[Any] | None = None,
    *,
    resamples: int = RESAMPLES,
    level: float = 0.95,
    seed: int = 0,
) -> Paired:
    """`paired_difference` where seeds may have other items: NaN in both where a seed lacks one (`without_gaps`).

    Returns:
        Items that a seed lacks neither win nor lose there; ``items`` counts those of a seed, on average and rounded.

    Raises:
        ValueError: as `paired_difference`, or the gaps of a and b differ.
    """
    first, second = (np.atleast_2d(np.asarray(value, dtype=np.float64)) for value in (a, b))
    if first.shape == second.shape and (np.isnan(first) != np.isnan(second)).any():
        raise ValueError("one side lacks items that the other has")
    even = paired_difference(
        without_gaps(first), without_gaps(second), groups, resamples=resamples, level=level, seed=seed
    )
    per_item = np.nanmean(first - second, axis=0)
    return replace(
        even,
        wins=int(np.count_nonzero(per_item > 0)),
        ties=int(np.count_nonzero(per_item == 0)),
        losses=int(np.count_nonzero(per_item < 0)),
        items=round(float(np.isfinite(first).sum(axis=1).mean())),
    )


def above_line(
    method: Shift,
    baselines: Sequence[Shift],
    groups: Sequence[Any],
    shifted_groups: Sequence[Any],
    *,
    resamples: int = RESAMPLES,
    level: float = 0.95,
    seed: int = 0,
) -> AboveLine:
    """How far a method's shifted mean lies above what the baseline reaches at the same in-domain mean.

    A method that merely fits less may lose less under shift. So the baseline is evaluated at several points, stopped
    early or smoothed; a least-squares line through its points (in-domain mean, shifted mean) says what a given
    in-domain mean is worth under shift, and only what lies above it is the method's own: the effective robustness of
    Taori et al. 2020, on plain means. Points, line and method are drawn anew together: one draw of seeds, stretched as
    in `paired_difference`, and one of groups for all of them.

    Args:
        method: the method's values.
        baselines: the baseline's points, two or more, the same seeds and items as ``method``.
        groups: [N] each in-domain item's group.
        shifted_groups: [M] likewise under shift; a group on both sides, such as an image, is drawn as one.
        resamples, level, seed: as `bootstrap_mean`.

    Raises:
        ValueError: fewer than two points or all at one in-domain mean, shapes differ, a value is not finite, or the
            groups are too few to be resampled.
    """
    if len(baselines) < 2:
        raise ValueError(f"{len(baselines)} baseline points, but a line takes two")
    models = [method, *baselines]
    sides = [
        np.stack([_checked(np.atleast_2d(np.asarray(getattr(model, side), dtype=np.float64))) for model in models])
        for side in ("in_domain", "shifted")
    ]
    if sides[0].shape[1] != sides[1].shape[1]:
        raise ValueError(f"{sides[0].shape[1]} seeds in domain and {sides[1].shape[1]} under shift")
    names = list(dict.fromkeys([*groups, *shifted_groups]))
    tables = [named_sums(side, own, names) for side, own in zip(sides, (groups, shifted_groups), strict=True)]
    x, y = (np.moveaxis(side.mean(axis=(1, 2))[:, None], 0, 1) for side in sides)
    if np.ptp(x[:, 1:]) == 0:
        raise ValueError("all baseline points have one in-domain mean")
    line, slope = _line(x, y)
    drawn = [np.empty((resamples, len(models))) for _ in tables]
    for at, weights, chosen in draws(sides[0].shape[1], len(names), resamples, seed):
        for means, (sums, counts) in zip(drawn, tables, strict=True):
            for model, own in enumerate(sums):
                means[at : at + len(weights), model] = weighted_means(weights, chosen, own, counts)
    above = drawn[1][:, 0] - _line(*drawn)[0]
    if not np.isfinite(above).all():
        raise ValueError(f"{len(names)} groups are too few: a resample has no items, or no line")
    return AboveLine(
        above=_interval(float(y[0, 0] - line[0]), above, len(names), level),
        p=_two_sided(above),
        in_domain=float(x[0, 0]),
        shifted=float(y[0, 0]),
        line=float(line[0]),
        slope=float(slope[0]),
        extrapolated=bool(not x[0, 1:].min() <= x[0, 0] <= x[0, 1:].max()),
    )


def seed_interval(values: ArrayLike, *, how: Literal["t", "range"] = "t", level: float = 0.95) -> Interval:
    """Mean over seeds with Student's t interval, or with the smallest and largest value (``range``).

    One seed has no spread to estimate: both ends are then the value itself and ``n`` = 1 says so.

    Raises:
        ValueError: there is no value, or a value is not finite.
    """
    from scipy.stats import t

    seeds = _checked(np.atleast_2d(np.asarray(values, dtype=np.float64)))[0]
    mean, n = float(seeds.mean()), len(seeds)
    if how == "range" or n == 1:
        return Interval(mean, float(seeds.min()), float(seeds.max()), n, level)
    half = float(t.ppf(0.5 + level / 2, n - 1) * seeds.std(ddof=1) / np.sqrt(n))
    return Interval(mean, mean - half, mean + half, n, level)


def holm(p_values: Mapping[Any, float]) -> dict[Any, float]:
    """Holm-corrected p-values (Holm 1979) under the same keys: compare each with the family's level.

    Raises:
        ValueError: a p-value is not between 0 and 1.
    """
    if not all(0 <= p <= 1 for p in p_values.values()):
        raise ValueError("p-values lie between 0 and 1")
    corrected: dict[Any, float] = {}
    highest = 0.0
    for rank, key in enumerate(sorted(p_values, key=lambda name: p_values[name])):
        highest = max(highest, min(1.0, (len(p_values) - rank) * p_values[key]))
        corrected[key] = highest
    return {key: corrected[key] for key in p_values}


def paired_table(a: ArrayLike, b: ArrayLike) -> NDArray[np.float64]:
    """a - b as [S, N].

    Raises:
        ValueError: shapes differ, or a value is not finite.
    """
    first, second = (np.atleast_2d(np.asarray(value, dtype=np.float64)) for value in (a, b))
    if first.shape != second.shape:
        raise ValueError(f"paired values have shapes {first.shape} and {second.shape}")
    return _checked(first - second)


def _checked(table: NDArray[np.float64]) -> NDArray[np.float64]:
    if table.size == 0:
        raise ValueError("there is no value")
    if not np.isfinite(table).all():
        raise ValueError("a value is not finite")
    return table


def _interval(mean: float, means: NDArray[np.float64], n: int, level: float) -> Interval:
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return Interval(mean, float(low), float(high), n, level)


def _two_sided(means: NDArray[np.float64]) -> float:
    one_side = min(int(np.count_nonzero(means <= 0)), int(np.count_nonzero(means >= 0)))
    return float(min(1.0, max(2 * one_side, 1) / len(means)))


def _line(x: NDArray[np.float64], y: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Height [R] at x[:, 0] and slope [R] of the least-squares lines through the points x, y [R, 1:]."""
    centre_x, centre_y = x[:, 1:].mean(axis=1), y[:, 1:].mean(axis=1)
    off = x[:, 1:] - centre_x[:, None]
    with np.errstate(invalid="ignore", divide="ignore"):
        slope = (off * (y[:, 1:] - centre_y[:, None])).sum(axis=1) / (off**2).sum(axis=1)
    return centre_y + slope * (x[:, 0] - centre_x), slope
