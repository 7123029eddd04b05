"""Controls: what they predict is known by hand or by an independent count."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vldistill.errors import InputError
from vldistill.evaluate.ids import official_id
from vldistill.evaluate.predict import controls

keys = st.lists(st.text(min_size=1, max_size=6), min_size=2, max_size=30, unique=True)


@given(keys, st.integers(0, 5))
def test_no_image_keeps_its_own_and_each_is_used_once(images: list[str], seed: int) -> None:
    other = controls.shuffled_images(images, seed)
    assert set(other) == set(images) == set(other.values())
    assert all(image != replaced for image, replaced in other.items())


def test_the_shuffle_ignores_the_order_of_items_but_not_the_seed() -> None:
    images = [f"image-{number}" for number in range(50)]
    assert controls.shuffled_images(images, 0) == controls.shuffled_images(images[::-1], 0)
    assert controls.shuffled_images(images, 0) != controls.shuffled_images(images, 1)


def test_one_image_cannot_be_shuffled() -> None:
    with pytest.raises(InputError, match="at least two"):
        controls.shuffled_images(["a", "a"], 0)


def test_majority_is_taken_within_a_question_type() -> None:
    training = [
        ("how many", ["two", "two", "three"]),
        ("what", ["red"] * 3 + ["blue"] * 2),
        ("what", ["blue"] * 3),
        ("is it", ["yes", "no"]),
    ]
    answers, table = controls.majority_answers(training, ["what", "how many", "is it", "where is"])
    assert table == {"how many": "two", "what": "blue", "is it": "no"}
    assert answers == ["blue", "two", "no", "blue"]


def test_no_training_answers_is_an_error() -> None:
    with pytest.raises(InputError, match="no training answers"):
        controls.majority_answers([], ["what"])


def test_most_common_and_random_captions() -> None:
    pool = ["b", "a", "b", "c"]
    assert controls.most_common_caption(pool) == "b"
    ids = [str(number) for number in range(300)]
    drawn = controls.random_captions(pool, ids, 0)
    assert drawn == controls.random_captions(pool[::-1], ids, 0)
    assert controls.random_captions(pool, ["7"], 0) == [drawn[7]]
    assert set(drawn) == {"a", "b", "c"}


def test_nearest_caption_is_by_cosine_not_by_length() -> None:
    images = np.array([[1.0, 0.1], [0.0, 2.0]])
    texts = np.array([[100.0, 100.0], [0.5, 0.0], [0.0, 0.01]])
    assert controls.nearest_captions(images, texts, ["diagonal", "right", "up"], chunk=1) == ["right", "up"]
    with pytest.raises(ValueError, match="3 text features for 1"):
        controls.nearest_captions(images, texts, ["one"])


def test_ids_are_numbers_only_where_nothing_is_lost() -> None:
    assert official_id("12") == 12
    assert [official_id(item) for item in ("012", "a1", "²")] == ["012", "a1", "²"]
