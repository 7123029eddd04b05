"""How many seeds the next comparison needs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from vldistill.bootstrap import group_sums
from vldistill.stats import paired_table

MOST_SEEDS = 1000  # more than this nobody trains


@dataclass(frozen=True)
class Power:
    """What it takes to resolve a difference; see `seeds_needed`.

    Attributes:
        difference, power, level: what was asked for.
        seeds: the smallest number that does; None where no number up to `MOST_SEEDS` does.
        cautious: the same with the largest variance between seeds that the observed seeds do not exclude (one-sided
            80 % limit); None likewise. Few seeds tell little about their own variance, so the two may lie far apart.
        smallest: the difference that the present items resolve with any number of seeds; smaller ones need more items.
        between_seeds, between_groups, residual: standard deviations of the components.
    """

    difference: float
    power: float
    level: float
    seeds: int | None
    cautious: int | None
    smallest: float
    between_seeds: float
    between_groups: float
    residual: float


def seeds_needed(
    a: ArrayLike,
    b: ArrayLike,
    difference: float,
    groups: Sequence[Any] | None = None,
    *,
    power: float = 0.8,
    level: float = 0.95,
) -> Power:
    """How many seeds the next comparison on these items needs to resolve a true difference.

    A difference is resolved where the interval of `paired_difference` leaves out 0. With the variance components of
    a - b between seeds (s), between groups (g) and the rest (e), for S seeds and G groups,

        v(S) = s/S + g/G + e/(S G)          is the variance of the mean difference,
        w(S) = s/S + g/G + 3 e/(S G)        what the two-level bootstrap takes it for (Owen 2007, with the part of the
                                            seeds stretched as in `vldistill.stats`),

    and S seeds are enough if difference >= z(level) sqrt(w) + z(power) sqrt(v), z being normal quantiles.

    The components are those of a two-way layout without replication (mean squares of seeds, groups and rest), negative
    ones taken for 0; groups of unequal size by the linearised ratio of their sums and sizes.

    Args:
        a, b: [S, N] the same seeds in the same order and the same items, at least two seeds.
        difference: the true difference to resolve, above 0, in the unit of a and b.
        groups: [N] each item's group.
        power: the probability of resolving it.
        level: of the interval.

    Raises:
        ValueError: shapes differ, a value is not finite, fewer than two seeds or groups, or ``difference`` is not
            above 0.
    """
    from scipy.stats import chi2, norm

    if not difference > 0:
        raise ValueError("the difference to resolve is above 0")
    sums, counts = group_sums(paired_table(a, b), groups)
    seeds, n = sums.shape
    if min(seeds, n) < 2:
        raise ValueError(f"{seeds} seeds and {n} groups, but a variance takes two of each")
    mean = sums.sum() / (seeds * counts.sum())
    values = (sums - mean * counts) * n / counts.sum()
    rows, columns = values.mean(axis=1, keepdims=True), values.mean(axis=0, keepdims=True)
    rest = float(((values - rows - columns + values.mean()) ** 2).sum()) / ((seeds - 1) * (n - 1))
    of_seeds, of_groups = float(rows.var(ddof=1)), float(columns.var(ddof=1))
    between_seeds, between_groups = max(of_seeds - rest / n, 0.0), max(of_groups - rest / seeds, 0.0)
    upper = max(of_seeds * (seeds - 1) / float(chi2.ppf(0.2, seeds - 1)) - rest / n, 0.0)
    quantiles = float(norm.ppf(0.5 + level / 2)), float(norm.ppf(power))
    return Power(
        difference=difference,
        power=power,
        level=level,
        seeds=_enough(difference, (between_seeds, between_groups / n, rest / n), quantiles),
        cautious=_enough(difference, (upper, between_groups / n, rest / n), quantiles),
        smallest=sum(quantiles) * float(np.sqrt(between_groups / n)),
        between_seeds=float(np.sqrt(between_seeds)),
        between_groups=float(np.sqrt(between_groups)),
        residual=float(np.sqrt(rest)),
    )


def _enough(difference: float, components: tuple[float, float, float], quantiles: tuple[float, float]) -> int | None:
    """The smallest number of seeds, from two on; ``components`` are s, g/G and e/G of `seeds_needed`."""
    of_seeds, of_groups, rest = components
    seeds = np.arange(2, MOST_SEEDS + 1)
    true = of_seeds / seeds + of_groups + rest / seeds
    taken = of_seeds / seeds + of_groups + 3 * rest / seeds
    needed = quantiles[0] * np.sqrt(taken) + quantiles[1] * np.sqrt(true)
    enough = seeds[needed <= difference]
    return int(enough[0]) if len(enough) else None
