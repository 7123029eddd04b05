"""Changed answer priors: training and in-domain test alike, the shifted test reversed, no image across."""

import random
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vldistill.split.priors import TypedQuestion, deal, draw, majority

pairs = st.tuples(st.sampled_from(["is", "how many", "what"]), st.sampled_from("abcdef"))
pools = st.lists(pairs, max_size=120).map(
    lambda drawn: [TypedQuestion(str(number), kind, answer) for number, (kind, answer) in enumerate(drawn)]
)


def test_the_majority_answer_does_not_depend_on_the_order():
    assert majority(["Red", "blue", "red "]) == "red"
    assert majority(["b", "a"]) == majority(["a", "b"]) == "a"


@given(pools, st.integers(0, 9), st.randoms())
def test_sides_are_of_about_equal_weight_whatever_the_order(items, seed, rng):
    shuffled = rng.sample(items, len(items))
    sides = deal(items, seed)
    assert sides == deal(shuffled, seed)
    for kind in {item.question_type for item in items}:
        counts = Counter(item.answer for item in items if item.question_type == kind)
        weight = sum(count if sides[kind, answer] else -count for answer, count in counts.items())
        assert abs(weight) <= max(counts.values())


@given(pools, st.floats(0.05, 0.95), st.integers(0, 9), st.randoms())
def test_each_type_has_the_asked_share_and_as_many_items_as_possible(items, share, seed, rng):
    sides = deal(items, seed)
    ids = draw(items, sides, share, seed)
    assert ids == draw(rng.sample(items, len(items)), sides, share, seed)
    assert len(ids) == len(set(ids))
    kept = [item for item in items if item.id in set(ids)]
    for kind in {item.question_type for item in items}:
        there = Counter(sides[item.question_type, item.answer] for item in items if item.question_type == kind)
        taken = Counter(sides[item.question_type, item.answer] for item in kept if item.question_type == kind)
        total = min(there[True] / share, there[False] / (1 - share))
        assert taken[True] == pytest.approx(total * share, abs=1) and taken[True] <= there[True]
        assert taken[False] == pytest.approx(total * (1 - share), abs=1) and taken[False] <= there[False]


def typical(count, seed):
    """Questions as VQA has them: yes or no, numbers with a frequent one, many other answers with a long tail."""
    rng = random.Random(seed)
    kinds = {
        "is the": (["yes", "no"], [0.55, 0.45]),
        "how many": (["1", "2", "3", "4"], [0.5, 0.3, 0.15, 0.05]),
        "what color": (["red", "blue", "white", "black", "green"], [0.3, 0.25, 0.2, 0.15, 0.1]),
    }
    return [
        TypedQuestion(f"{seed}-{number}", kind, rng.choices(*kinds[kind])[0])
        for number, kind in enumerate(rng.choices(list(kinds), [0.4, 0.2, 0.4], k=count))
    ]


def test_both_tests_keep_two_thousand_of_five_thousand_questions():
    train, test = typical(8000, 1), typical(5000, 2)
    sides = deal(train, 0)
    kept = {name: draw(test, sides, share, 0) for name, share in (("iid", 0.85), ("shift", 0.15))}
    assert all(len(ids) >= 2000 for ids in kept.values())
    answer = {item.id: item for item in test}
    for name, ids in kept.items():
        of_a = sum(sides[answer[i].question_type, answer[i].answer] for i in ids) / len(ids)
        assert of_a == pytest.approx(0.85 if name == "iid" else 0.15, abs=0.01)


def test_a_prior_learned_in_training_helps_in_domain_and_hurts_under_shift():
    train, test = typical(8000, 1), typical(5000, 2)
    sides = deal(train, 0)
    by_id = {item.id: item for item in (*train, *test)}
    learned = {}
    for identity in draw(train, sides, 0.85, 0):
        learned.setdefault(by_id[identity].question_type, Counter())[by_id[identity].answer] += 1
    guess = {kind: counts.most_common(1)[0][0] for kind, counts in learned.items()}
    right = {
        share: sum(guess[by_id[i].question_type] == by_id[i].answer for i in ids) / len(ids)
        for share in (0.85, 0.15)
        if (ids := draw(test, sides, share, 0))
    }
    assert right[0.85] > 0.5 > 0.2 > right[0.15]


def test_a_type_of_one_answer_has_no_prior_to_change():
    items = [TypedQuestion(str(number), "what", "a") for number in range(9)]
    assert draw(items, deal(items, 0), 0.85, 0) == []
