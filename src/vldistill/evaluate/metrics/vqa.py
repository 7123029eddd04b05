"""VQA accuracy in the four variants in use, overall, per answer type and per question type.

The variants differ by up to 20 points on the same answers, so a number needs its name. They share one formula
(`vqa_formula`) and differ in what is done to the texts before.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, TypedDict

from vldistill.errors import InputError
from vldistill.evaluate.metrics.captions import check_ids
from vldistill.evaluate.metrics.vqa_formula import accuracy
from vldistill.evaluate.metrics.vqa_normalise import canonical, evalai, punctuation, spaced, stem

VARIANTS = ("official", "official_2017", "evalai", "both")


@dataclass(frozen=True)
class VqaItem:
    """The ground truth of one question: its id, the human answers, and what its score is grouped by."""

    id: Any
    answers: tuple[str, ...]
    answer_type: str
    question_type: str


class VqaScores(TypedDict):
    """Scores of one result set, all in percent and unrounded.

    metrics: the variants, ``n``, and whether predictions were canonicalised and stemmed.
    per_answer_type, per_question_type: the variants and ``n`` of each type.
    per_item: the variants of each id; their mean is the metric.
    """

    metrics: dict[str, Any]
    per_answer_type: dict[str, dict[str, Any]]
    per_question_type: dict[str, dict[str, Any]]
    per_item: dict[Any, dict[str, float]]


class _Judge:
    """The four variants with every normalisation remembered: answers repeat a lot."""

    def __init__(self) -> None:
        self.canonical = cache(canonical)
        self.evalai = cache(evalai)
        self.punctuation = cache(punctuation)
        self.spaced = cache(spaced)

    def official(self, prediction: str, answers: Sequence[str]) -> float:
        truth = [self.spaced(answer) for answer in answers]
        if len(set(truth)) == 1:
            return accuracy(truth.count(self.spaced(prediction)), len(truth))
        return self.both(prediction, truth)

    def official_2017(self, prediction: str, answers: Sequence[str]) -> float:
        disagree = len(set(answers)) > 1
        truth = [self.punctuation(answer) for answer in answers] if disagree else list(answers)
        return accuracy(truth.count(self.canonical(prediction)), len(truth))

    def both(self, prediction: str, answers: Sequence[str]) -> float:
        truth = [self.canonical(answer) for answer in answers]
        return accuracy(truth.count(self.canonical(prediction)), len(truth))

    def evalai_variant(self, prediction: str, answers: Sequence[str]) -> float:
        truth = [self.evalai(answer) for answer in answers]
        return accuracy(truth.count(self.evalai(prediction)), len(truth))

    def variants(self) -> dict[str, Callable[[str, Sequence[str]], float]]:
        return {
            "official": self.official,
            "official_2017": self.official_2017,
            "evalai": self.evalai_variant,
            "both": self.both,
        }


def vqa_accuracy(prediction: str, answers: Sequence[str], variant: str = "official") -> float:
    """Accuracy of one prediction as a fraction."""
    return _Judge().variants()[variant](prediction, answers)


def score_answers(
    items: Iterable[VqaItem],
    predictions: Mapping[Any, str],
    *,
    variants: Sequence[str] = VARIANTS,
    canonicalise: bool = False,
    stemmed: bool = False,
    file: str | Path | None = None,
) -> VqaScores:
    """Score predictions against ground truth.

    Args:
        items: the questions, each with its human answers.
        predictions: one answer for every item's id.
        variants: which of `VARIANTS` to compute.
        canonicalise: apply N to the predictions first, as the pipeline does with generated answers.
        stemmed: then stem their words (OK-VQA's ground truth is stemmed).
        file: where the predictions come from, for messages.

    Raises:
        InputError: ids differ, an id is there twice, or a prediction is no text.
    """
    listed = list(items)
    truth = {item.id: item for item in listed}
    if len(truth) != len(listed):
        raise InputError("a question id is there twice", action="Remove the duplicate")
    check_ids(truth, predictions, file=file, where="questions")
    judge = _Judge()
    rules = {name: rule for name, rule in judge.variants().items() if name in variants}
    word_stems = cache(stem)
    per_item = {}
    for item in listed:
        answer = predictions[item.id]
        if not isinstance(answer, str):
            raise InputError(f"is {type(answer).__name__}, not text", file=file, record=item.id, field="answer")
        answer = judge.canonical(answer) if canonicalise else answer
        answer = word_stems(answer) if stemmed else answer
        per_item[item.id] = {name: 100 * rule(answer, item.answers) for name, rule in rules.items()}
    overall: dict[str, Any] = _mean(list(per_item.values()))
    return {
        "metrics": {**overall, "canonicalised": canonicalise, "stemmed": stemmed},
        "per_answer_type": _by(listed, per_item, lambda item: item.answer_type),
        "per_question_type": _by(listed, per_item, lambda item: item.question_type),
        "per_item": per_item,
    }


def _mean(scores: list[dict[str, float]]) -> dict[str, Any]:
    from math import fsum

    return {**{name: fsum(one[name] for one in scores) / len(scores) for name in scores[0]}, "n": len(scores)}


def _by(
    items: list[VqaItem], per_item: dict[Any, dict[str, float]], group: Callable[[VqaItem], str]
) -> dict[str, dict[str, Any]]:
    groups: dict[str, list[dict[str, float]]] = {}
    for item in items:
        groups.setdefault(group(item), []).append(per_item[item.id])
    return {name: _mean(groups[name]) for name in sorted(groups)}
