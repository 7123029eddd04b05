"""Text metrics and retrieval on cases worked out by hand, and retrieval against random tie-breaking."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vldistill.evaluate.metrics.retrieval import recall_at_k
from vldistill.evaluate.metrics.text import exact_match, rouge, token_f1


def test_rouge_stems_and_is_per_item() -> None:
    scores = rouge(["the dogs ran", "nothing", ""], ["the dog ran home", "else", "a"])
    # stems: the dog ran | the dog ran home: precision 3/3, recall 3/4
    assert scores[0]["rouge1"] == pytest.approx(6 / 7)
    assert scores[0]["rouge2"] == pytest.approx(2 * 1 * (2 / 3) / (1 + 2 / 3))
    assert scores[0]["rougeL"] == pytest.approx(6 / 7)
    assert scores[1] == scores[2] == {"rouge1": 0, "rouge2": 0, "rougeL": 0, "rougeLsum": 0}
    with pytest.raises(ValueError, match="zip"):
        rouge(["a"], [])


def test_exact_match_and_f1() -> None:
    assert exact_match(["The red Ball.", "red"], ["red ball", "blue"]) == [1.0, 0.0]
    assert token_f1(["the red red ball", "", "x"], ["red ball", "the", ""]) == pytest.approx([0.8, 1.0, 0.0])


def test_recall_with_several_captions_an_image() -> None:
    owner = [0, 0, 1, 2]
    similarity = np.array([[0.1, 0.9, 0.3, 0.2], [0.8, 0.1, 0.7, 0.2], [0.5, 0.6, 0.7, 0.1]])
    found = recall_at_k(similarity, owner, ks=(1, 2, 4))
    assert found["metrics"] == pytest.approx(
        {
            "i2t_R@1": 1 / 3,
            "i2t_R@2": 2 / 3,
            "i2t_R@4": 1.0,
            "t2i_R@1": 1 / 4 + 1 / 8,
            "t2i_R@2": 3 / 4 - 1 / 4,
            "t2i_R@4": 1.0,
            "images": 3,
            "captions": 4,
        }
    )
    assert found["i2t"][1] == [1.0, 0.0, 0.0]


def test_a_collapsed_encoder_scores_as_chance() -> None:
    found = recall_at_k(np.zeros((20, 20)), range(20), ks=(1, 5))
    assert found["metrics"]["i2t_R@1"] == pytest.approx(1 / 20)
    assert found["metrics"]["t2i_R@5"] == pytest.approx(5 / 20)


@settings(max_examples=15)
@given(st.integers(0, 10_000))
def test_ties_count_with_the_probability_of_a_random_order(seed: int) -> None:
    rng = np.random.default_rng(seed)
    images, captions = 3, 8
    owner = np.concatenate([np.arange(images), rng.integers(0, images, captions - images)])
    similarity = rng.integers(0, 3, (images, captions)).astype(float)
    found = recall_at_k(similarity, owner, ks=(1, 2, 3))
    draws = 3000
    hits = {k: np.zeros(images) for k in (1, 2, 3)}
    for _ in range(draws):
        order = np.lexsort((rng.random(similarity.shape), -similarity), axis=1)
        for k, counted in hits.items():
            counted += (owner[order[:, :k]] == np.arange(images)[:, None]).any(axis=1)
    for k, counted in hits.items():
        assert found["i2t"][k] == pytest.approx((counted / draws).tolist(), abs=0.05)


@pytest.mark.parametrize(
    ("similarity", "owner", "message"),
    [
        (np.zeros((2, 3)), [0, 1], "does not fit"),
        (np.zeros((2, 2)), [0, 0], "every image needs a caption"),
        (np.array([[0.0, np.nan], [0, 0]]), [0, 1], "NaN"),
    ],
)
def test_bad_retrieval_input(similarity: np.ndarray, owner: list[int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        recall_at_k(similarity, owner)
