"""Intervals, paired differences and corrected p-values for numbers that come from a few seeds and many items.

Items of one image are not independent, and neither are seeds of one item, so the bootstrap draws on two levels:
seeds, and groups of items (images). Everything is deterministic for a given ``seed``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

RESAMPLES = 10_000
CHUNK = 1 << 21  # drawn indices held in memory at once


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
    sums, counts = _grouped(table, groups)
    means = _resampled(sums, counts, resamples, np.random.default_rng(seed))
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
    first, second = (np.atleast_2d(np.asarray(value, dtype=np.float64)) for value in (a, b))
    if first.shape != second.shape:
        raise ValueError(f"paired values have shapes {first.shape} and {second.shape}")
    table = _checked(first - second)
    sums, counts = _grouped(table, groups)
    means = _resampled(sums, counts, resamples, np.random.default_rng(seed))
    per_item = table.mean(axis=0)
    one_side = min(int(np.count_nonzero(means <= 0)), int(np.count_nonzero(means >= 0)))
    return Paired(
        difference=_interval(float(table.mean()), means, sums.shape[1], level),
        p=float(min(1.0, max(2 * one_side, 1) / resamples)),
        wins=int(np.count_nonzero(per_item > 0)),
        ties=int(np.count_nonzero(per_item == 0)),
        losses=int(np.count_nonzero(per_item < 0)),
        seeds=len(table),
        groups=sums.shape[1],
        items=table.shape[1],
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


def _checked(table: NDArray[np.float64]) -> NDArray[np.float64]:
    if table.size == 0:
        raise ValueError("there is no value")
    if not np.isfinite(table).all():
        raise ValueError("a value is not finite")
    return table


def _grouped(
    table: NDArray[np.float64], groups: Sequence[Any] | None
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Sums [S, G] and sizes [G] of the groups."""
    if groups is None:
        return table, np.ones(table.shape[1])
    if len(groups) != table.shape[1]:
        raise ValueError(f"{len(groups)} groups for {table.shape[1]} items")
    index = {group: position for position, group in enumerate(dict.fromkeys(groups))}
    member = np.array([index[group] for group in groups])
    sums = np.stack([np.bincount(member, weights=row, minlength=len(index)) for row in table])
    counts = np.bincount(member, minlength=len(index))
    return sums.astype(np.float64), counts.astype(np.float64)


def _resampled(
    sums: NDArray[np.float64], counts: NDArray[np.float64], resamples: int, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Means [resamples] of the table with seeds and groups drawn anew."""
    seeds, groups = sums.shape
    means = np.empty(resamples)
    step = max(1, CHUNK // groups)
    for start in range(0, resamples, step):
        size = min(step, resamples - start)
        drawn = rng.integers(0, groups, size=(size, groups), dtype=np.int32)
        chosen = rng.multinomial(seeds, np.full(seeds, 1 / seeds), size=size) / seeds
        totals = sum(chosen[:, row] * sums[row][drawn].sum(axis=1) for row in range(seeds))
        means[start : start + size] = totals / counts[drawn].sum(axis=1)
    return means


def _interval(mean: float, means: NDArray[np.float64], n: int, level: float) -> Interval:
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return Interval(mean, float(low), float(high), n, level)
