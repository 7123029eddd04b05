"""The hypothesis-only classifier: finds a cue in the wording, needs no seed, and is fast."""

import random
import time

import pytest

from vldistill.split.hypothesis import HypothesisOnly, hard

CUES = {"entailment": "outside", "neutral": "tall", "contradiction": "sleeping"}


def pairs(count, seed, strength=0.7):
    """Hypotheses whose label shows by a word in ``strength`` of them, by another label's word in the rest."""
    rng = random.Random(seed)
    made = []
    for number in range(count):
        label = rng.choice(list(CUES))
        cue = CUES[label] if rng.random() < strength else rng.choice([c for k, c in CUES.items() if k != label])
        filler = [f"word{rng.randrange(400)}" for _ in range(6)]
        made.append((f"{seed}-{number}", " ".join([*filler[:3], cue, *filler[3:]]), label))
    return made


def test_the_hard_part_is_where_the_cue_lies():
    test = pairs(1500, 2)
    ids = set(hard([pair[1:] for pair in pairs(1500, 1)], test))
    lying = {name for name, text, label in test if CUES[label] not in text.split()}
    assert len(ids & lying) > 0.9 * len(lying)
    assert len(ids - lying) < 0.1 * len(test)  # 400 filler words tempt it


def test_it_is_deterministic_and_independent_of_the_order_of_training():
    train, test = [pair[1:] for pair in pairs(600, 1)], pairs(400, 2)
    ids = hard(train, test)
    assert ids == hard(train, test) == hard(train[::-1], test)
    assert ids != hard(train[:60], test)


def test_pairs_of_words_count():
    train = [("not red", "a"), ("red not", "b")] * 5
    assert HypothesisOnly(*map(list, zip(*train, strict=True))).predict(["not red", "red not"]) == ["a", "b"]


@pytest.mark.slow
def test_five_thousand_items_take_less_than_five_seconds():
    train, test = [pair[1:] for pair in pairs(5000, 1)], pairs(5000, 2)
    start = time.process_time()
    hard(train, test)
    assert time.process_time() - start < 5


def test_without_training_items_nothing_is_known():
    assert hard([], [("1", "a", "neutral")]) == ["1"]
    assert hard([("a", "neutral")], []) == []
    with pytest.raises(ValueError, match="nothing to fit"):
        HypothesisOnly([], [])
