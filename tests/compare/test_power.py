"""The number of seeds that is said to be enough is enough, and not far more than enough."""

from __future__ import annotations

import numpy as np
import pytest

from vldistill.compare.power import MOST_SEEDS, seeds_needed
from vldistill.stats import paired_difference

GROUPS = np.repeat(np.arange(120), 2)


def world(rng: np.random.Generator, seeds: int, effect: float, of_seeds: float, of_groups: float) -> np.ndarray:
    """Differences [seeds, 240] with a component of each kind."""
    shared = rng.normal(0, of_groups, 120)[GROUPS]
    return effect + rng.normal(0, of_seeds, (seeds, 1)) + shared + rng.normal(0, 1.0, (seeds, 240))


@pytest.mark.parametrize(("of_seeds", "of_groups"), [(0.5, 0.5), (0.3, 1.5), (0.0, 0.5)])
def test_so_many_seeds_resolve_the_difference(of_seeds: float, of_groups: float) -> None:
    rng = np.random.default_rng(0)
    groups = GROUPS.tolist()
    effect = 0.55
    # components from many seeds, so that the formula is tested and not their estimate
    observed = world(rng, 60, 0.0, of_seeds, of_groups)
    found = seeds_needed(observed, np.zeros_like(observed), effect, groups)
    assert found.seeds is not None
    assert found.between_seeds == pytest.approx(of_seeds, abs=0.12)

    def resolved(seeds: int) -> float:
        runs = [world(rng, seeds, effect, of_seeds, of_groups) for _ in range(200)]
        intervals = [paired_difference(a, np.zeros_like(a), groups, resamples=400).difference for a in runs]
        return float(np.mean([interval.low > 0 for interval in intervals]))

    # 0.8 asked for; three standard errors of 200 runs are 0.085, and one seed more is a coarse step
    assert resolved(found.seeds) >= 0.715
    if found.seeds > 6:
        assert resolved(found.seeds // 2) < 0.8


def test_more_seeds_do_not_help_where_the_items_are_the_limit() -> None:
    observed = world(np.random.default_rng(1), 5, 0.0, 0.1, 3.0)
    found = seeds_needed(observed, np.zeros_like(observed), 0.3, GROUPS.tolist())
    assert found.seeds is None
    assert found.cautious is None
    assert found.smallest > 0.3
    above = seeds_needed(observed, np.zeros_like(observed), 1.05 * found.smallest, GROUPS.tolist())
    assert above.seeds is not None
    assert above.seeds <= MOST_SEEDS


def test_few_seeds_are_not_trusted_about_their_own_variance() -> None:
    observed = world(np.random.default_rng(2), 3, 0.0, 0.4, 0.5)
    found = seeds_needed(observed, np.zeros_like(observed), 0.4, GROUPS.tolist())
    many = seeds_needed(np.tile(observed, (20, 1)), np.zeros((60, 240)), 0.4, GROUPS.tolist())
    assert found.seeds is not None
    assert found.cautious is not None
    assert many.seeds is not None
    assert many.cautious is not None
    assert found.cautious > 2 * found.seeds
    assert many.cautious <= 2 * many.seeds


def test_smaller_differences_and_more_power_take_more_seeds() -> None:
    observed = world(np.random.default_rng(3), 6, 0.0, 0.5, 0.2)
    nothing = np.zeros_like(observed)
    counts = [seeds_needed(observed, nothing, size, GROUPS.tolist()).seeds for size in (1.5, 1.0, 0.7, 0.5, 0.4)]
    assert counts == sorted(counts, key=lambda seeds: seeds or 0)
    low, high = (seeds_needed(observed, nothing, 0.5, GROUPS.tolist(), power=power).seeds for power in (0.5, 0.95))
    assert (low or 0) < (high or 0)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: seeds_needed([[1.0, 2.0]], [[1.0, 1.0]], 1.0), "1 seeds and 2 groups"),
        (lambda: seeds_needed([[1.0, 2.0]] * 2, [[1.0, 1.0]] * 2, 1.0, ["a", "a"]), "2 seeds and 1 groups"),
        (lambda: seeds_needed([[1.0, 2.0]] * 2, [[1.0, 1.0]] * 2, 0.0), "above 0"),
        (lambda: seeds_needed([[1.0, 2.0]] * 2, [[1.0]] * 2, 1.0), "shapes"),
    ],
)
def test_bad_input(call, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()
