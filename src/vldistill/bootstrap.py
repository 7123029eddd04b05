"""The two-level bootstrap: seeds, and groups of items such as images, drawn anew.

Items of one image are not independent, and neither are seeds of one item, so both levels are drawn.

S seeds drawn with replacement vary by (S - 1)/S of the variance of their mean only, which makes intervals from two or
three seeds too short (the narrowness bias of Hesterberg 2015). So a resample's departure from the mean of the seeds is
stretched by sqrt(S/(S - 1)); one seed has none. The tails are not Student's: where the part of the seeds is the larger
one, intervals from three seeds still cover less than they claim (docs/compare.md).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

CHUNK = 1 << 21  # drawn indices held in memory at once
BLOCK = 128  # resamples multiplied at once
KEPT = 1 << 25  # draws of at most so many bytes are kept: a report compares the same seeds and items many times

Draw = tuple[int, NDArray[np.uint8], NDArray[np.float64]]


def resampled_means(
    sums: NDArray[np.float64], counts: NDArray[np.float64], resamples: int, seed: int
) -> NDArray[np.float64]:
    """Means [resamples] of seeds and groups drawn anew, from the sums [S, G] and sizes [G] of the groups."""
    seeds, groups = sums.shape
    chunks = draws(seeds, groups, resamples, seed)
    return np.concatenate([weighted_means(weights, chosen, sums, counts) for _, weights, chosen in chunks])


def draws(seeds: int, groups: int, resamples: int, seed: int) -> Iterator[Draw]:
    """Resamples in chunks: number of the first, how often each group is drawn [size, G], weights of seeds [size, S]."""
    if resamples * groups <= KEPT:
        yield from _kept_draws(seeds, groups, resamples, seed)
    else:
        yield from _drawn(seeds, groups, resamples, seed)


@lru_cache(maxsize=4)
def _kept_draws(seeds: int, groups: int, resamples: int, seed: int) -> list[Draw]:
    return list(_drawn(seeds, groups, resamples, seed))


def _drawn(seeds: int, groups: int, resamples: int, seed: int) -> Iterator[Draw]:
    rng = np.random.default_rng(seed)
    step = max(1, CHUNK // groups)
    stretch = float(np.sqrt(seeds / (seeds - 1))) if seeds > 1 else 1.0
    for start in range(0, resamples, step):
        size = min(step, resamples - start)
        drawn = rng.integers(0, groups, size=(size, groups), dtype=np.int32)
        cells = drawn + groups * np.arange(size)[:, None]
        # a group is drawn once on average: 255 times never happens
        weights = np.bincount(cells.ravel(), minlength=size * groups).reshape(size, groups).astype(np.uint8)
        often = rng.multinomial(seeds, np.full(seeds, 1 / seeds), size=size).astype(np.float64)
        # exactly 1 where a seed is drawn once, and S in sum
        yield start, weights, 1 + (often - 1) * stretch


def weighted_means(
    weights: NDArray[np.uint8], chosen: NDArray[np.float64], sums: NDArray[np.float64], counts: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Means [size] of one chunk of draws. Whole-number sums stay exact, so that a difference of 0 is one."""
    columns = np.vstack([sums, counts]).T
    # a few rows at a time: their numbers as floats stay in the processor's cache
    blocks = [weights[at : at + BLOCK].astype(np.float64) @ columns for at in range(0, len(weights), BLOCK)]
    totals = np.concatenate(blocks)
    # 0 / 0 where a resample holds no item is the caller's to refuse
    with np.errstate(invalid="ignore"):
        means: NDArray[np.float64] = (totals[:, :-1] * chosen).sum(axis=1) / (len(sums) * totals[:, -1])
    return means


def group_sums(
    table: NDArray[np.float64], groups: Sequence[Any] | None
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Sums [S, G] and sizes [G] of the groups."""
    if groups is None:
        return table, np.ones(table.shape[1])
    return named_sums(table, groups, list(dict.fromkeys(groups)))


def named_sums(
    table: NDArray[np.float64], groups: Sequence[Any], names: Sequence[Any]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Sums [..., G] and sizes [G] of the groups ``names`` of a table [..., N]; a group may be empty."""
    if len(groups) != table.shape[-1]:
        raise ValueError(f"{len(groups)} groups for {table.shape[-1]} items")
    index = {group: position for position, group in enumerate(names)}
    member = np.array([index[group] for group in groups])
    rows = table.reshape(-1, table.shape[-1])
    sums = np.stack([np.bincount(member, weights=row, minlength=len(index)) for row in rows]).astype(np.float64)
    counts = np.bincount(member, minlength=len(index)).astype(np.float64)
    return sums.reshape(*table.shape[:-1], len(index)), counts
