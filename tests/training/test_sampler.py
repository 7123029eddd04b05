"""The sampler as a closed form: each example once an epoch, any step without the ones before it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vldistill.training.sampler import Sampler

sizes = st.integers(1, 300)
batches = st.integers(1, 40)


@settings(max_examples=60)
@given(sizes, batches, st.integers(0, 5), st.booleans(), st.integers(0, 3))
def test_an_epoch_yields_each_example_once(size: int, batch: int, seed: int, buckets: bool, epoch: int) -> None:
    lengths = np.random.default_rng(0).integers(1, 9, size).tolist() if buckets else None
    sampler = Sampler(size, batch, seed, lengths=lengths, full_only=False)
    first = epoch * sampler.per_epoch
    seen = np.concatenate([sampler.batch(step) for step in range(first, first + sampler.per_epoch)])
    assert sorted(seen.tolist()) == list(range(size))


@settings(max_examples=60)
@given(sizes, batches, st.booleans())
def test_full_batches_only_and_no_example_twice(size: int, batch: int, buckets: bool) -> None:
    lengths = list(range(size)) if buckets else None
    sampler = Sampler(size, batch, 0, lengths=lengths)
    parts = [sampler.batch(step) for step in range(sampler.per_epoch)]
    assert {len(part) for part in parts} == {min(batch, size)}
    seen = np.concatenate(parts)
    assert len(set(seen.tolist())) == len(seen)


def test_any_step_without_the_ones_before() -> None:
    walked = Sampler(100, 7, 3)
    steps = [walked.batch(step).tolist() for step in range(60)]
    assert Sampler(100, 7, 3).batch(59).tolist() == steps[59]
    assert Sampler(100, 7, 4).batch(59).tolist() != steps[59]


def test_epochs_differ_in_order() -> None:
    sampler = Sampler(50, 50, 0)
    assert sampler.epoch(1) == 1 and sampler.batch(0).tolist() != sampler.batch(1).tolist()


def test_buckets_hold_similar_lengths() -> None:
    lengths = np.random.default_rng(1).integers(1, 100, 2000)
    inside = [np.ptp(lengths[Sampler(2000, 20, 0, lengths=lengths.tolist()).batch(s)]) for s in range(20)]
    assert np.mean(inside) < 10 < np.mean([np.ptp(lengths[Sampler(2000, 20, 0).batch(s)]) for s in range(20)])


def test_the_longest_are_not_left_out_of_every_epoch() -> None:
    lengths = list(range(100))
    sampler = Sampler(100, 32, 0, lengths=lengths)
    seen = np.concatenate([sampler.batch(step) for step in range(10 * sampler.per_epoch)])
    counts = np.bincount(seen, minlength=100)
    assert counts.min() >= 7 and counts.sum() == 10 * 96


def test_bad_input() -> None:
    with pytest.raises(ValueError, match="at least one"):
        Sampler(0, 4, 0)
    with pytest.raises(ValueError, match="2 lengths for 3"):
        Sampler(3, 2, 0, lengths=[1, 2])
