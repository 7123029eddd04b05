"""VQA accuracy equals the official rules, transcribed here a second time and independently."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from vldistill.cli.score import command
from vldistill.evaluate.metrics.official import score_vqa
from vldistill.evaluate.metrics.question_types import PREFIXES, question_type
from vldistill.evaluate.metrics.vqa import (
    VARIANTS,
    VqaItem,
    score_answers,
    vqa_accuracy,
)
from vldistill.evaluate.metrics.vqa_formula import accuracy, soft_targets
from vldistill.evaluate.metrics.vqa_normalise import CONTRACTIONS, canonical, evalai, stem

# --- the rules, written down step by step -----------------------------------------------------------------------


def rule_punctuation(text: str, comma: str) -> str:
    out = text
    for mark in [
        ";",
        "/",
        "[",
        "]",
        '"',
        "{",
        "}",
        "(",
        ")",
        "=",
        "+",
        "\\",
        "_",
        "-",
        ">",
        "<",
        "@",
        "`",
        ",",
        "?",
        "!",
    ]:
        if (mark + " " in text or " " + mark in text) or re.search(comma, text) is not None:
            out = out.replace(mark, "")
        else:
            out = out.replace(mark, " ")
    return re.compile(r"(?!<=\d)(\.)(?!\d)").sub("", out, count=32)


def rule_words(text: str) -> str:
    numbers = {"none": "0", "zero": "0", "one": "1", "two": "2", "three": "3", "four": "4", "five": "5"}
    numbers.update({"six": "6", "seven": "7", "eight": "8", "nine": "9", "ten": "10"})
    kept = []
    for word in text.lower().split():
        word = numbers.get(word, word)
        if word not in ("a", "an", "the"):
            kept.append(CONTRACTIONS.get(word, word))
    return " ".join(kept)


def rule_n(text: str) -> str:
    text = text.replace("\n", " ").replace("\t", " ").strip()
    return rule_words(rule_punctuation(text, r"(\d)(\,)(\d)"))


def rule_evalai(text: str) -> str:
    text = text.lower()
    text = text.replace(",", "").replace("?", "").replace("'s", " 's")
    text = text.strip()
    text = text.replace("\n", " ").replace("\t", " ").strip()
    return rule_words(rule_punctuation(text, r"(?<=\d)(\,)+(?=\d)"))


def rule_accuracy(prediction: str, truth: list[str]) -> float:
    each = []
    for index in range(len(truth)):
        others = [answer for other, answer in enumerate(truth) if other != index]
        each.append(min(1, sum(answer == prediction for answer in others) / 3))
    return sum(each) / len(each)


def rule_variant(name: str, prediction: str, truth: list[str]) -> float:
    if name == "both":
        return rule_accuracy(rule_n(prediction), [rule_n(answer) for answer in truth])
    if name == "evalai":
        return rule_accuracy(rule_evalai(prediction), [rule_evalai(answer) for answer in truth])
    if name == "official_2017":
        if len(set(truth)) > 1:
            truth = [rule_punctuation(answer, r"(\d)(\,)(\d)") for answer in truth]
        return rule_accuracy(rule_n(prediction), truth)
    prediction = prediction.replace("\n", " ").replace("\t", " ").strip()
    truth = [answer.replace("\n", " ").replace("\t", " ").strip() for answer in truth]
    if len(set(truth)) > 1:
        truth = [rule_words(rule_punctuation(answer, r"(\d)(\,)(\d)")) for answer in truth]
        prediction = rule_words(rule_punctuation(prediction, r"(\d)(\,)(\d)"))
    return rule_accuracy(prediction, truth)


# --- parity -----------------------------------------------------------------------------------------------------

pieces = st.one_of(
    st.sampled_from(
        [*CONTRACTIONS, *CONTRACTIONS.values(), "two", "None", "a", "The", "it's", "1,000", "3.5", "5.", "T.V."]
    ),
    st.sampled_from(list(";/[]\"{}()=+\\_-><@`,?!.:'* \t\n\r\x1f\u00a0\u0660٣A9")),
    st.text(max_size=3),
)
texts = st.lists(pieces, max_size=12).map("".join) | st.lists(pieces, max_size=6).map(" ".join)
answers = st.lists(texts, min_size=1, max_size=4).flatmap(
    lambda few: st.tuples(st.sampled_from(few), st.lists(st.sampled_from(few), min_size=10, max_size=10))
)


@settings(max_examples=1500)
@given(texts)
def test_normalisations_equal_the_rules(text: str) -> None:
    assert canonical(text) == rule_n(text)
    assert evalai(text) == rule_evalai(text)


@settings(max_examples=500)
@given(answers)
def test_variants_equal_the_rules(case: tuple[str, list[str]]) -> None:
    prediction, truth = case
    for name in VARIANTS:
        assert vqa_accuracy(prediction, truth, name) == pytest.approx(rule_variant(name, prediction, truth), abs=1e-12)


# --- known values -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("5.", "5"),
        ("3.5", "3.5"),
        ("." * 33, "."),
        ("1,000", "1000"),
        ("1,000 left/right", "1000 leftright"),
        ("left/right", "left right"),
        ("left/ right", "left right"),
        ("a dog and the Cat", "dog and cat"),
        ("None", "0"),
        ("ten", "10"),
        ("dont", "don't"),
        ("Im", "im"),
        ("somebody'd", "somebodyd"),
        ("\n yes!\t", "yes"),
        ("t-shirt", "t shirt"),
        ("don't know", "don't know"),
    ],
)
def test_canonical_examples(text: str, expected: str) -> None:
    assert canonical(text) == expected


def test_there_are_120_contractions() -> None:
    assert len(CONTRACTIONS) == 120


def test_evalai_differs_where_it_should() -> None:
    assert evalai("1,000 left/right") == "1000 left right"
    assert evalai("the dog's") == "dog 's"


def test_accuracy_table() -> None:
    assert [accuracy(matches) for matches in range(6)] == pytest.approx([0, 0.3, 0.6, 0.9, 1, 1], abs=1e-15)


def test_equal_answers_are_not_normalised_by_official() -> None:
    truth = ["T-shirt"] * 10
    assert vqa_accuracy("t shirt", truth, "official") == 0
    assert vqa_accuracy("T-shirt", truth, "official") == 1
    assert vqa_accuracy("T-shirt", truth, "official_2017") == 0
    assert vqa_accuracy("t shirt", truth, "both") == 1


def test_a_pair_of_ok_vqa_annotators_counts_twice() -> None:
    # five annotators, each twice: one who agrees gives 0.6, two give 1
    truth = ["pony tail"] * 2 + ["braid"] * 4 + ["bun"] * 4
    assert vqa_accuracy("pony tail", truth) == pytest.approx(0.6)
    assert vqa_accuracy("braid", truth) == 1


def test_soft_targets() -> None:
    truth = ["Yes"] * 5 + ["yes."] + ["No"] * 3 + ["maybe"]
    assert soft_targets(truth) == pytest.approx({"yes": 1.0, "no": 0.9, "maybe": 0.3})


def test_stem() -> None:
    assert stem("surfing dogs") == "surf dog"


def test_question_types_take_the_longest_prefix() -> None:
    assert len(PREFIXES) == 64
    assert question_type("What color is the ball?") == "what color is the"
    assert question_type("Is this a dog?") == "is this a"
    assert question_type("Whatever happens?") == "none of the above"
    assert question_type("how many?") == "how many"


# --- files ------------------------------------------------------------------------------------------------------


def files(folder: Path) -> list[str]:
    questions = [(1, "What color is it?", "what color is", "other"), (2, "Is it?", "is it", "yes/no")]
    truth = {1: ["red"] * 7 + ["Blue."] * 3, 2: ["yes"] * 10}
    content = {
        "questions": {
            "questions": [{"question_id": i, "image_id": i, "question": text} for i, text, _, _ in questions]
        },
        "annotations": {
            "annotations": [
                {
                    "question_id": i,
                    "question_type": kind,
                    "answer_type": type_,
                    "answers": [{"answer": answer, "answer_id": 1} for answer in truth[i]],
                }
                for i, _, kind, type_ in reversed(questions)
            ]
        },
        "results": [{"question_id": 2, "answer": "Yes."}, {"question_id": 1, "answer": "blue"}],
    }
    arguments = ["vqa"]
    for name, value in content.items():
        (folder / f"{name}.json").write_text(json.dumps(value))
        arguments += [f"--{name}", str(folder / f"{name}.json")]
    return [*arguments, "--out", str(folder / "m.json")]


def test_command_line(tmp_path: Path) -> None:
    arguments = files(tmp_path)
    assert CliRunner().invoke(command, arguments, catch_exceptions=False).exit_code == 0
    metrics = json.loads((tmp_path / "m.json").read_text())
    # question 1: three of ten say blue; 2: all say "yes", and "Yes." is left as it is by `official` only
    assert {name: metrics[name] for name in VARIANTS} == pytest.approx(
        {"official": 45.0, "official_2017": 50.0, "evalai": 95.0, "both": 95.0}
    )
    assert metrics["n"] == 2
    assert metrics["per_answer_type"]["yes/no"]["official"] == 0.0
    assert metrics["per_question_type"]["what color is"]["official"] == pytest.approx(90.0)
    assert CliRunner().invoke(command, [*arguments, "--canonicalise"], catch_exceptions=False).exit_code == 0
    assert json.loads((tmp_path / "m.json").read_text())["official"] == pytest.approx(95.0)


def test_items_average_to_the_metric_and_sets_must_match() -> None:
    items = [VqaItem(i, ("a",) * i + ("b",) * (10 - i), "other", "what") for i in range(7)]
    scores = score_answers(items, dict.fromkeys(range(7), "b"))
    mean = sum(one["official"] for one in scores["per_item"].values()) / 7
    assert scores["metrics"]["official"] == pytest.approx(mean)
    with pytest.raises(ValueError, match="1 ids without a result: 6"):
        score_answers(items, dict.fromkeys(range(6), "b"))


@pytest.mark.slow
def test_the_size_of_vqa_v2_takes_seconds() -> None:
    words = ["yes", "no", "2", "two", "red", "blue", "the", "dont", "1,000", "left/right", "t.v.", "3.5"]
    size = 214_354
    annotations = [
        {
            "question_id": index,
            "question_type": "is the",
            "answer_type": "other",
            "answers": [{"answer": words[(index + k * k) % 12]} for k in range(10)],
        }
        for index in range(size)
    ]
    questions = [{"question_id": index, "question": "Is the dog red?"} for index in range(size)]
    results = [{"question_id": index, "answer": words[index % 11]} for index in range(size)]
    start = time.process_time()
    scores = score_vqa({"questions": questions}, {"annotations": annotations}, results)
    assert scores["metrics"]["n"] == size
    assert time.process_time() - start < 30
