"""Intervals cover as often as they claim, pairs and groups are respected, corrections equal their definition."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.stats import bootstrap

from vldistill.bootstrap import group_sums, resampled_means
from vldistill.stats import (
    Shift,
    above_line,
    bootstrap_mean,
    holm,
    paired_difference,
    seed_interval,
    uneven_difference,
)

NAN = float("nan")


def test_intervals_of_grouped_items_cover_and_naive_ones_do_not() -> None:
    rng = np.random.default_rng(0)
    groups = np.repeat(np.arange(60), 5)
    covered = naive = 0
    runs = 400
    for run in range(runs):
        values = rng.normal(0, 1, 60)[groups] + rng.normal(0, 0.3, 300)
        interval = bootstrap_mean(values, groups.tolist(), resamples=600, seed=run)
        covered += interval.low <= 0 <= interval.high
        interval = bootstrap_mean(values, resamples=600, seed=run)
        naive += interval.low <= 0 <= interval.high
    # 95 % nominal; four standard errors of 400 runs are 4.4 points, the percentile bootstrap loses about one
    assert 0.90 <= covered / runs <= 0.985
    assert naive / runs < 0.75


def test_two_levels_cover_where_seeds_vary() -> None:
    rng = np.random.default_rng(1)
    covered = 0
    runs = 300
    for run in range(runs):
        effect = rng.normal(0, 0.5, (8, 1)) + rng.normal(0, 0.5, (1, 60))
        a = effect + rng.normal(0, 0.5, (8, 60))
        interval = paired_difference(a, np.zeros_like(a), resamples=500, seed=run).difference
        covered += interval.low <= 0 <= interval.high
    assert 0.87 <= covered / runs <= 0.99


def plain_interval(table: NDArray[np.float64]) -> tuple[float, float]:
    """Both levels drawn with replacement and nothing stretched."""
    rng = np.random.default_rng(0)
    seeds = rng.multinomial(len(table), np.full(len(table), 1 / len(table)), size=500) / len(table)
    items = rng.multinomial(60, np.full(60, 1 / 60), size=500) / 60
    low, high = np.quantile((seeds @ table * items).sum(axis=1), [0.025, 0.975])
    return float(low), float(high)


@pytest.mark.parametrize(("ratio", "least", "gain"), [(1.0, 0.91, 0.01), (2.0, 0.86, 0.025)])
def test_three_seeds_are_covered_better_where_they_vary(ratio: float, least: float, gain: float) -> None:
    """``ratio``: the standard error of the mean that comes from seeds, over that from items."""
    rng = np.random.default_rng(11)
    plain = stretched = 0
    runs = 1000
    for _ in range(runs):
        table = rng.normal(0, ratio * np.sqrt(3 / 60), (3, 1)) + rng.normal(0, 1, (1, 60)) + rng.normal(0, 0.3, (3, 60))
        low, high = plain_interval(table)
        plain += low <= 0 <= high
        found = paired_difference(table, np.zeros_like(table), resamples=500).difference
        stretched += found.low <= 0 <= found.high
    # a standard error is about one point for each, and far less for their difference: both see the same tables
    assert stretched / runs >= least
    assert (stretched - plain) / runs >= gain


def test_the_spread_of_drawn_seeds_is_the_variance_of_their_mean() -> None:
    table = np.array([[1.0], [4.0], [10.0]]) * np.ones((3, 50))
    means = resampled_means(*group_sums(table, None), resamples=20_000, seed=0)
    assert means.mean() == pytest.approx(5, abs=0.1)
    assert means.var() == pytest.approx(np.var([1.0, 4.0, 10.0], ddof=1) / 3, rel=0.03)
    one = paired_difference(table[:1], np.zeros((1, 50)), resamples=100).difference
    assert (one.low, one.high) == (1.0, 1.0)


def test_one_seed_is_drawn_as_before() -> None:
    values = np.random.default_rng(12).random((1, 80))
    groups = list(np.arange(80) // 2)
    one = paired_difference(values, np.zeros((1, 80)), groups, resamples=300).difference
    assert one == bootstrap_mean(values[0], groups, resamples=300)


def test_false_alarms_are_as_rare_as_p_says() -> None:
    rng = np.random.default_rng(2)
    p_values = [paired_difference(rng.normal(size=80), rng.normal(size=80), resamples=500).p for _ in range(400)]
    assert 0.02 <= np.mean(np.array(p_values) < 0.05) <= 0.10


def test_agrees_with_scipy_on_one_level() -> None:
    values = np.random.default_rng(3).exponential(size=200)
    ours = bootstrap_mean(values)
    theirs = bootstrap((values,), np.mean, method="percentile", n_resamples=10_000, rng=4).confidence_interval
    assert (ours.low, ours.high) == pytest.approx(tuple(theirs), abs=0.01)
    assert ours.mean == pytest.approx(values.mean())


def test_uneven_groups_keep_the_item_mean() -> None:
    values = np.array([1.0] * 9 + [0.0])
    interval = bootstrap_mean(values, ["big"] * 9 + ["small"], resamples=2000)
    assert (interval.mean, interval.n) == (pytest.approx(0.9), 2)
    # two groups: both ends are the all-big and the all-small resamples
    assert (interval.low, interval.high) == (0.0, 1.0)


def test_pairing_counts_and_certainty() -> None:
    base = np.random.default_rng(5).random((3, 50))
    better = base + 0.1
    better[:, :5] = base[:, :5]
    better[:, 5:8] = base[:, 5:8] - 0.2
    pair = paired_difference(better, base, list(range(50)))
    assert (pair.wins, pair.ties, pair.losses) == (42, 5, 3)
    assert pair.difference.low > 0
    assert pair.p <= 0.01
    assert (pair.seeds, pair.groups, pair.items) == (3, 50, 50)
    swapped = paired_difference(base, better, list(range(50)))
    assert swapped.difference.mean == pytest.approx(-pair.difference.mean)
    assert (swapped.wins, swapped.losses) == (3, 42)
    equal = paired_difference(base, base)
    assert (equal.p, equal.difference.low, equal.difference.high) == (1.0, 0.0, 0.0)


def test_same_seed_same_interval() -> None:
    values = np.random.default_rng(6).random(40)
    assert bootstrap_mean(values, seed=1) == bootstrap_mean(values, seed=1)
    assert bootstrap_mean(values, seed=1) != bootstrap_mean(values, seed=2)


@settings(max_examples=60)
@given(st.lists(st.floats(-100, 100), min_size=1, max_size=30), st.integers(1, 5))
def test_means_are_exact_and_inside(values: list[float], kinds: int) -> None:
    groups = [index % kinds for index in range(len(values))]
    interval = bootstrap_mean(values, groups, resamples=100)
    assert interval.mean == pytest.approx(float(np.mean(values)))
    assert min(values) - 1e-9 <= interval.low <= interval.high <= max(values) + 1e-9


def plain_two_levels(table: np.ndarray, groups: np.ndarray, resamples: int, seed: int) -> np.ndarray:
    """The bootstrap as its definition says it, item by item: seeds and groups drawn with replacement; what the drawn
    seeds differ from all seeds by is stretched."""
    rng = np.random.default_rng(seed)
    names = list(dict.fromkeys(groups.tolist()))
    drawn = rng.integers(0, len(names), size=(resamples, len(names)), dtype=np.int32)
    often = rng.multinomial(len(table), np.full(len(table), 1 / len(table)), size=resamples)
    means = []
    for row in range(resamples):
        items = np.concatenate([np.flatnonzero(groups == names[group]) for group in drawn[row]])
        every = table[:, items].mean()
        drawn_seeds = np.repeat(table, often[row], axis=0)[:, items].mean()
        means.append(every + np.sqrt(len(table) / max(len(table) - 1, 1)) * (drawn_seeds - every))
    return np.array(means)


@settings(max_examples=25)
@given(st.integers(1, 4), st.integers(1, 40), st.integers(1, 12), st.integers(0, 99))
def test_counts_and_products_equal_the_definition(seeds: int, items: int, kinds: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    a, b = rng.random((2, seeds, items)).round(2)
    groups = rng.integers(0, kinds, items)
    means = plain_two_levels(a - b, groups, 200, seed)
    found = paired_difference(a, b, groups.tolist(), resamples=200, seed=seed)
    assert (found.difference.low, found.difference.high) == pytest.approx(tuple(np.quantile(means, [0.025, 0.975])))


def test_gaps_at_one_seed_leave_its_mean_and_win_nothing() -> None:
    rng = np.random.default_rng(13)
    base = rng.random((3, 40))
    better = base + 0.1
    gaps = rng.random((3, 40)) < 0.3
    gaps[0] = False
    base[gaps] = better[gaps] = np.nan
    found = uneven_difference(better, base, resamples=200)
    assert found.difference.mean == pytest.approx(0.1)
    assert found.items == round((~gaps).sum() / 3)
    assert (found.wins, found.ties, found.losses) == ((~gaps).any(axis=0).sum(), 0, 0)
    full = rng.random((2, 3, 40))
    assert uneven_difference(*full, resamples=200) == paired_difference(*full, resamples=200)


def test_many_groups_are_drawn_in_chunks_as_few_are() -> None:
    values = np.random.default_rng(8).random(5000)
    # 10,000 resamples of 5,000 groups are too many to keep; both paths give the same draws
    drawn = bootstrap_mean(values, seed=1)
    assert drawn == bootstrap_mean(values, seed=1)
    assert drawn.high - drawn.low == pytest.approx(2 * 1.96 * values.std() / np.sqrt(5000), rel=0.03)


def trajectory(rng: np.random.Generator, above: float, items: int = 300, seeds: int = 3) -> tuple[Shift, list[Shift]]:
    """Five baseline points with shifted = 0.5 in-domain + 0.1 in the mean, and a method ``above`` that line."""
    seen, luck = rng.normal(0, 0.3, (2, items)), rng.normal(0, 0.01, (seeds, 1))

    def point(accuracy: float, extra: float) -> Shift:
        noise = rng.normal(0, 0.2, (2, seeds, items))
        return Shift(accuracy + seen[0] + luck + noise[0], 0.5 * accuracy + 0.1 + extra + seen[1] + luck + noise[1])

    return point(0.75, above), [point(accuracy, 0.0) for accuracy in (0.5, 0.6, 0.65, 0.7, 0.72)]


def test_a_method_on_the_baseline_line_gains_nothing_and_one_above_it_does() -> None:
    rng = np.random.default_rng(9)
    items = list(range(300))
    on_line = [above_line(*trajectory(rng, 0.0), items, items, resamples=400) for _ in range(150)]
    covered = np.mean([found.above.low <= 0 <= found.above.high for found in on_line])
    assert covered >= 0.9
    assert all(found.extrapolated for found in on_line)
    assert np.mean([found.above.mean for found in on_line]) == pytest.approx(0, abs=0.01)
    above = [above_line(*trajectory(rng, 0.1), items, items, resamples=400) for _ in range(30)]
    assert np.mean([found.above.low > 0 for found in above]) > 0.9
    assert np.mean([found.above.mean for found in above]) == pytest.approx(0.1, abs=0.02)
    assert np.mean([found.slope for found in above]) == pytest.approx(0.5, abs=0.1)


def test_a_gain_under_shift_that_is_mere_under_fitting_is_none() -> None:
    # the baseline loses under shift what it learns in domain; the method is an early baseline, and better under shift
    points = [Shift(np.full((2, 10), x), np.full((2, 10), 0.9 - x)) for x in (0.5, 0.6, 0.7)]
    items = list(range(10))
    found = above_line(Shift(np.full((2, 10), 0.55), np.full((2, 10), 0.35)), points, items, items, resamples=50)
    assert found.above.mean == pytest.approx(0)
    assert (found.slope, found.line) == (pytest.approx(-1), pytest.approx(0.35))
    assert not found.extrapolated


def test_a_group_on_both_sides_is_drawn_as_one() -> None:
    rng = np.random.default_rng(10)
    models = rng.random((4, 2, 40))
    # under shift every item scores as in domain, so every resample of every point lies on the diagonal
    method, *points = [Shift(values, values) for values in models]
    items = [f"image {index // 2}" for index in range(40)]
    found = above_line(method, points, items, items, resamples=200)
    assert (found.above.low, found.above.high) == (pytest.approx(0, abs=1e-9), pytest.approx(0, abs=1e-9))
    apart = above_line(method, points, items, [f"other {name}" for name in items], resamples=200)
    assert apart.above.high - apart.above.low > 0.01


def test_seed_interval() -> None:
    t = seed_interval([1.0, 2.0, 3.0])
    # half width = 4.3027 * 1 / sqrt(3), from a table of Student's t with two degrees of freedom
    assert (t.low, t.high) == pytest.approx((2 - 2.48414, 2 + 2.48414), abs=1e-4)
    spread = seed_interval([1.0, 2.0, 4.0], how="range")
    assert (spread.low, spread.high, spread.n) == (1.0, 4.0, 3)
    assert seed_interval([5.0]).n == 1
    assert seed_interval([5.0]).low == 5.0


def test_holm_example() -> None:
    corrected = holm({"a": 0.01, "b": 0.04, "c": 0.03, "d": 0.005})
    assert corrected == pytest.approx({"a": 0.03, "b": 0.06, "c": 0.06, "d": 0.02})
    assert list(corrected) == ["a", "b", "c", "d"]
    assert holm({}) == {}


@given(st.dictionaries(st.integers(), st.floats(0, 1), max_size=8), st.floats(0.001, 0.2))
def test_holm_rejects_as_its_definition_says(p_values: dict[int, float], level: float) -> None:
    corrected = holm(p_values)
    rejected = set()
    for rank, key in enumerate(sorted(p_values, key=lambda name: p_values[name])):
        if p_values[key] * (len(p_values) - rank) > level:
            break
        rejected.add(key)
    assert {key for key, p in corrected.items() if p <= level} == rejected


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: bootstrap_mean([]), "no value"),
        (lambda: bootstrap_mean([float("nan")]), "not finite"),
        (lambda: bootstrap_mean([1.0], ["a", "b"]), "2 groups for 1 items"),
        (lambda: paired_difference([1.0, 2.0], [1.0]), "shapes"),
        (lambda: uneven_difference([[1.0, NAN], [NAN, NAN]], [[1.0, NAN], [NAN, NAN]]), "a seed has no item"),
        (lambda: uneven_difference([[1.0, 2.0]], [[1.0, NAN]]), "lacks items"),
        (lambda: seed_interval([]), "no value"),
        (lambda: above_line(Shift([1.0], [1.0]), [Shift([1.0], [1.0])], "a", "a"), "line takes two"),
        (lambda: above_line(Shift([1.0], [1.0]), [Shift([1.0], [1.0])] * 2, "a", "a"), "one in-domain mean"),
        (lambda: above_line(Shift([1.0], [[1.0], [1.0]]), [Shift([1.0], [[1.0]] * 2)] * 2, "a", "a"), "1 seeds in"),
        (
            lambda: above_line(Shift([1.0], [1.0]), [Shift([x], [x]) for x in (0.1, 0.2)], "a", "b"),
            "too few",
        ),
        (lambda: holm({"a": 1.5}), "between 0 and 1"),
    ],
)
def test_bad_input(call, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()
