"""What counts as the answer in the output of a model that writes its prompt again."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vldistill.evaluate.predict.answers import Answer, before_mask, extract, fill, marker

VQA = "question: {question} answer: <mask>"
PROMPT = "question: What colour is it? answer: <mask>"
STOPS = ("question:", "answer:", "\n", ". ")


@pytest.mark.parametrize(
    ("generated", "text", "rule"),
    [
        ("question: What colour is it? answer: red", "red", "echo"),
        ("question : what colour is it ? answer : light  blue.", "light blue", "echo"),
        ("question: what shape is it? answer: circle", "circle", "marker"),
        ("red", "red", "whole"),
        ("", "", "whole"),
        ("question: What colour is it? answer:", "", "echo"),
        ("question: What colour is it? answer: red question: how many? answer: two", "red", "echo"),
        ("question: What colour is it? answer: 3.5", "3.5", "echo"),
        ("question: What colour is it? answer: red. It tastes sweet.", "red", "echo"),
        ("question: What colour", "", "whole"),
    ],
)
def test_extracts_the_answer(generated: str, text: str, rule: str) -> None:
    assert extract(generated, PROMPT, VQA, STOPS) == Answer(text, rule)


def test_text_after_the_mask_ends_the_answer() -> None:
    template = "it is <mask> , said the {who}"
    assert extract("it is red , said the dog", fill(template, who="dog"), template) == Answer("red", "echo")


def test_a_bare_mask_keeps_the_whole_caption() -> None:
    assert extract("a red circle", "<mask>", "<mask>", STOPS) == Answer("a red circle", "echo")


def test_braces_in_a_question_stay() -> None:
    assert fill(VQA, question="what is {text}?") == "question: what is {text}? answer: <mask>"


def test_marker_and_prefix_of_templates() -> None:
    assert marker(VQA) == "answer:"
    assert before_mask(PROMPT) == "question: What colour is it? answer:"
    assert marker("<mask>") == ""


words = st.lists(st.sampled_from(["red", "two", "left of", "3.5"]), min_size=1, max_size=3).map(" ".join)


@given(st.text(alphabet=st.characters(exclude_categories=("Cs",)), max_size=30), words)
def test_any_echoed_question_gives_its_answer_back(question: str, answer: str) -> None:
    prompt = fill(VQA, question=question)
    assert extract(f"{before_mask(prompt)} {answer}", prompt, VQA).text == answer
