"""Properties of span corruption."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from vldistill.models.infilling import bart_source, draw_spans, t5_pair

cases = {
    "length": st.integers(0, 60),
    "ratio": st.floats(0.0, 1.0),
    "span": st.floats(0.5, 6.0),
    "seed": st.integers(0, 2**32 - 1),
    "empty": st.booleans(),
}


@given(**cases)
def test_spans_are_disjoint_and_within_budget(length: int, ratio: float, span: float, seed: int, empty: bool) -> None:
    spans = draw_spans(length, np.random.default_rng(seed), mask_ratio=ratio, span=span, empty=empty)
    assert all(0 <= start <= stop <= length for start, stop in spans)
    assert all(before[1] < after[0] for before, after in pairwise(spans))
    masked = sum(stop - start for start, stop in spans)
    assert masked <= max(1, round(ratio * length))
    if not empty and ratio > 0 and length:
        assert masked == max(1, round(ratio * length))
    assert bool(spans) == bool(ratio > 0 and length)


@given(**cases)
def test_bart_source_keeps_what_is_not_masked(length: int, ratio: float, span: float, seed: int, empty: bool) -> None:
    ids = list(range(100, 100 + length))
    spans = draw_spans(length, np.random.default_rng(seed), mask_ratio=ratio, span=span, empty=empty)
    source = bart_source(ids, spans, 4)
    hidden = {at for start, stop in spans for at in range(start, stop)}
    assert [token for token in source if token != 4] == [token for at, token in enumerate(ids) if at not in hidden]
    assert source.count(4) == len(spans)


@given(**cases)
def test_t5_pair_loses_nothing(length: int, ratio: float, span: float, seed: int, empty: bool) -> None:
    ids = list(range(100, 100 + length))
    spans = draw_spans(length, np.random.default_rng(seed), mask_ratio=ratio, span=span, empty=empty)
    source, target = t5_pair(ids, spans, [10, 11, 12, 13])
    assert sorted(token for token in source + target if token >= 100) == ids
    assert sum(token < 100 for token in target) == sum(token < 100 for token in source) + 1


def test_positions_are_masked_about_equally_often() -> None:
    rng = np.random.default_rng(0)
    hits = np.zeros(20)
    for _ in range(4000):
        for start, stop in draw_spans(20, rng, mask_ratio=0.3, span=3.0, empty=True):
            hits[start:stop] += 1
    share = hits / 4000
    # fewer spans can cover the first and the last tokens, whatever the rule; inside, all are alike
    assert np.ptp(share[3:-3]) < 0.15 * share.mean()
    assert share.min() > 0.3 * share.mean()
