"""Accuracy of labels: the share of equal ones, also by true label."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vldistill.errors import InputError
from vldistill.evaluate.metrics.accuracy import score_labels

LABELS = st.sampled_from(["contradiction", "entailment", "neutral"])


@given(st.lists(LABELS, min_size=1, max_size=30), st.data())
def test_is_the_share_of_equal_labels(targets: list[str], data: st.DataObject) -> None:
    given_labels = [data.draw(st.sampled_from(sorted(set(targets)))) for _ in targets]
    found = score_labels(dict(enumerate(targets)), dict(enumerate(given_labels)))
    right = [one == other for one, other in zip(targets, given_labels, strict=True)]
    assert found["metrics"] == {"accuracy": pytest.approx(100 * sum(right) / len(right)), "n": len(right)}
    assert list(found["per_item"].values()) == [100.0 * hit for hit in right]
    assert sum(part["n"] for part in found["per_label"].values()) == len(targets)
    parts = sum(part["n"] * part["accuracy"] for part in found["per_label"].values())
    assert parts == pytest.approx(found["metrics"]["accuracy"] * len(targets))


@pytest.mark.parametrize(
    ("predictions", "message"),
    [
        ({}, "without a label"),
        ({"a": "yes", "b": "no"}, "not in the items"),
        ({"a": "maybe"}, "record a: 'maybe' is none"),
    ],
)
def test_bad_predictions_are_named(predictions: dict[str, str], message: str) -> None:
    with pytest.raises(InputError, match=message):
        score_labels({"a": "yes"}, predictions)
