"""VCR's rules: what becomes of a right answer's tag, of wrong answers, and which items are left out."""

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vldistill.records import ChoiceRecord
from vldistill.split.pronouns import rewrite

OBJECTS = ["person", "person", "person", "car"]


def item(right, *, question="What is [0] doing ?", wrong=("w .",) * 3, rationale="because .", name="val-0"):
    answers = [words(right), *(words(text) for text in wrong)]
    rationales = [words(rationale)] * 4
    return ChoiceRecord(name, "a.jpg", "m", OBJECTS, words(question), answers, 0, rationales, 0, "test")


def words(text):
    """`[0,1]` is a tag, everything else a word."""
    return [[int(n) for n in word[1:-1].split(",")] if word.startswith("[") else word for word in text.split()]


def text(tokens):
    return " ".join(token if isinstance(token, str) else f"[{','.join(map(str, token))}]" for token in tokens)


def right_of(record, rule="singular", classes=("person",)):
    made = rewrite(record, rule, classes)
    return made and text(made.answers[0])


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ("[0] is sad .", "He is sad ."),
        ("a dog runs to [0] .", "a dog runs to him ."),
        ("a dog looks at [0]", "a dog looks at him"),
        ("a dog takes [0] 's hat .", "a dog takes his hat ."),
        ("a dog takes [0] ' s hat .", "a dog takes his hat ."),
        ("[0] 's hat is red .", "His hat is red ."),
        ("[0] 's going home .", "He 's going home ."),
        ("[0] 's a waiter .", "He 's a waiter ."),
        ("it is late and [0] wants food .", "it is late and he wants food ."),
        ("because [0] likes [0] 's dog , [0] feeds it .", "because he likes his dog , he feeds it ."),
        ("a dog gives [0] food .", "a dog gives him food ."),
        ("the ball that [0] threw", "the ball that he threw"),
        ("it rains . [0] runs .", "it rains . He runs ."),
        ("a car [3] hits [0] .", "a car [3] hits him ."),
    ],
)
def test_the_pronouns_case_follows_its_neighbours(answer, expected):
    assert right_of(item(answer, rationale="he smiles")) == expected


def test_the_gender_is_what_the_texts_say_and_else_settled_by_the_id():
    assert right_of(item("[0] is sad .", rationale="her eyes are red")) == "She is sad ."
    assert right_of(item("a dog bites [0] and her hat .")) == "a dog bites her and her hat ."
    assert right_of(item("a dog takes [0] 's hat .", rationale="she cries")) == "a dog takes her hat ."
    drawn = [right_of(item("[0] is sad .", name=f"val-{number}")) for number in range(200)]
    assert set(drawn) == {"He is sad .", "She is sad ."} and 60 < drawn.count("He is sad .") < 140
    assert drawn == [right_of(item("[0] is sad .", name=f"val-{number}")) for number in range(200)]


def test_small_letters_stay_small():
    record = item("[0] is sad .", question="what is [0] doing ?", rationale="he cries")
    assert right_of(record) == "he is sad ."


@pytest.mark.parametrize(
    ("wrong", "expected"),
    [
        ("[1] is sad .", "[0] is sad ."),
        ("He is sad .", "[0] is sad ."),
        ("a dog bites her .", "a dog bites [0] ."),
        ("a dog bites her hat .", "a dog bites [0] 's hat ."),
        ("it gives her to him .", "it gives [0] to [0] ."),
        ("his hat is red .", "[0] 's hat is red ."),
        ("the hat is hers .", "the hat is [0] 's ."),
        ("[1] 's hat is red .", "[0] 's hat is red ."),
        ("[1,2] are sad , they cry .", "[1,2] are sad , they cry ."),
        ("[3] is red .", "[3] is red ."),
        ("[0] shot himself .", "[0] shot himself ."),
    ],
)
def test_wrong_answers_name_the_questions_person(wrong, expected):
    made = rewrite(item("[0] is sad .", wrong=(wrong,) * 3), "singular")
    assert [text(answer) for answer in made.answers[1:]] == [expected] * 3


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ("[0,1] are sad .", "They are sad ."),
        ("[1,0] are sad .", "They are sad ."),
        ("a dog bites [0,1] .", "a dog bites them ."),
        ("a dog takes [0,1] 's hats .", "a dog takes their hats ."),
    ],
)
def test_groups_become_they(answer, expected):
    record = item(answer, question="What are [0,1] doing ?", wrong=("They cry .", "[1,2] cry .", "their hats fly ."))
    made = rewrite(record, "plural")
    assert text(made.answers[0]) == expected
    assert [text(a) for a in made.answers[1:]] == ["[0,1] cry .", "[0,1] cry .", "[0,1] 's hats fly ."]


@pytest.mark.parametrize(
    ("question", "right", "singular", "plural"),
    [
        ("What is [0] doing ?", "[0] is sad .", True, False),
        ("What is [0] doing ?", "[1] is sad .", False, False),
        ("What is [0] doing ?", "he is sad .", False, False),
        ("What is [0] doing ?", "[0] hits [1] .", False, False),
        ("What is [0] doing with [1] ?", "[0] is sad .", False, False),
        ("What is [0] doing with [3] ?", "[0] is sad .", True, False),
        ("What is [0] doing with [0] 's hat ?", "[0] is sad .", True, False),
        ("What are [0,1] doing ?", "[0,1] are sad .", False, True),
        ("What are [0,1] doing ?", "[1,2] are sad .", False, False),
        ("What are [0,1] doing with [2] ?", "[0,1] are sad .", False, False),
        ("What are [0,3] doing ?", "[0,3] are sad .", False, False),
        ("What is that ?", "a dog .", False, False),
    ],
)
def test_which_items_fit(question, right, singular, plural):
    record = item(right, question=question)
    assert (rewrite(record, "singular") is not None) == singular
    assert (rewrite(record, "plural") is not None) == plural


def test_other_classes_become_it():
    record = item("[3] is red and hits [3] 's twin .", question="What is [3] ?", wrong=("it is big .",) * 3)
    assert rewrite(record, "singular") is None
    made = rewrite(record, "singular", ())
    assert [text(answer) for answer in made.answers[:2]] == ["It is red and hits its twin .", "[3] is big ."]


def test_an_item_without_public_labels_does_not_fit():
    record = item("[0] is sad .")
    assert rewrite(dataclasses.replace(record, answer_label=None), "singular") is None


WORDS = "He she him her his they it is 's ' s . , and because runs hat"
tokens = st.lists(
    st.one_of(st.sampled_from(WORDS.split()), st.lists(st.integers(0, 3), min_size=1, max_size=3)),
    min_size=1,
    max_size=9,
)


@given(tokens, st.lists(tokens, min_size=4, max_size=4), st.integers(0, 3), st.sampled_from(["singular", "plural"]))
def test_a_rewritten_item_keeps_all_but_its_answers_and_its_right_answer_names_nobody(question, answers, label, rule):
    record = ChoiceRecord("a", "i", "m", OBJECTS, question, answers, label, answers, 1, "test")
    made = rewrite(record, rule)
    if made is None:
        return
    assert made.answers != record.answers
    unchanged = [name for name in record.__slots__ if name != "answers"]
    assert all(getattr(made, name) == getattr(record, name) for name in unchanged)
    persons = [token for token in made.answers[label] if isinstance(token, list) and 3 not in token]
    assert persons == [] and len(made.answers) == 4
    number = {len(set(token)) > 1 for token in made.question if isinstance(token, list) and 3 not in token}
    assert number == {rule == "plural"}
