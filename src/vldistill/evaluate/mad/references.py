"""What the cells' numbers stand beside: the majority, and a classifier that is trained without the image.

Both learn from a cell's training subset only. The classifier is a logistic regression on words and pairs of words
(`vldistill.split.hypothesis`): of the hypothesis, of the question, or of each of VCR's choices, where object tags are
known as the question's own or others, since a right answer repeats the tags of its question more often than not.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from vldistill.evaluate.mad.data import BLIND, DECIMALS, MAJORITY
from vldistill.evaluate.predict.controls import majority_answers
from vldistill.records import CHOICES, ChoiceRecord, EntailmentRecord, QuestionRecord, Token
from vldistill.split.hypothesis import HypothesisOnly
from vldistill.split.priors import majority

WITHOUT_IMAGE = (MAJORITY, BLIND)
ANSWERS = 100  # the blind classifier of VQA chooses among so many frequent answers: with 3,129 its fit takes hours
SAME, OTHER = "samefigure", "otherfigure"
NEAREST = "nearestchoice"
RIGHT, WRONG = "right", "wrong"

Rows = list[dict[str, Any]]


class TextScores(HypothesisOnly):
    """The classifier with its scores."""

    def scores(self, texts: Sequence[str]) -> NDArray[np.float64]:
        """[n, labels] scores in the order of ``labels``; the highest is the most probable label's."""
        scores: NDArray[np.float64] = self._matrix(texts) @ self._weights
        return scores


def reference_rows(
    name: str, task: str, training: Sequence[Any], sets: Mapping[str, Sequence[Any]], *, most: int
) -> dict[str, Rows]:
    """Predictions of a reference on every set, in the form of a cell's.

    Args:
        name: one of `WITHOUT_IMAGE`.
        task: snli_ve, vcr or vqa.
        training: records of the training subset.
        sets: what is predicted.
        most: the blind classifier is trained on at most so many records, the first.
    """
    blind, learnt = name == BLIND, training[:most]
    if task == "snli_ve":
        return _entailment(training, learnt, sets, blind=blind)
    if task == "vqa":
        return _questions(training, learnt, sets, blind=blind)
    return _choices(training, learnt, sets, blind=blind)


def _entailment(
    training: Sequence[EntailmentRecord],
    learnt: Sequence[EntailmentRecord],
    sets: Mapping[str, Sequence[EntailmentRecord]],
    *,
    blind: bool,
) -> dict[str, Rows]:
    if not blind:
        label = majority([record.label for record in training])
        return {name: [{"id": r.id, "prediction": label} for r in records] for name, records in sets.items()}
    # in the order in which `split.mad` fits the same classifier for the hard list, whose items it must get wrong
    learnt = sorted(learnt, key=lambda record: record.id)
    model = HypothesisOnly([record.hypothesis for record in learnt], [record.label for record in learnt])
    return {
        name: _labelled(records, model.predict([record.hypothesis for record in records]))
        for name, records in sets.items()
    }


def _questions(
    training: Sequence[QuestionRecord],
    learnt: Sequence[QuestionRecord],
    sets: Mapping[str, Sequence[QuestionRecord]],
    *,
    blind: bool,
) -> dict[str, Rows]:
    if not blind:
        table = [(record.question_type, record.answers) for record in training]
        return {
            name: _labelled(records, majority_answers(table, [record.question_type for record in records])[0])
            for name, records in sets.items()
        }
    pairs = [(record.question, majority(record.answers)) for record in learnt]
    frequent = {answer for answer, _ in Counter(answer for _, answer in pairs).most_common(ANSWERS)}
    kept = [(question, answer) for question, answer in pairs if answer in frequent]
    model = HypothesisOnly([question for question, _ in kept], [answer for _, answer in kept])
    return {
        name: _labelled(records, model.predict([record.question for record in records]))
        for name, records in sets.items()
    }


def _choices(
    training: Sequence[ChoiceRecord],
    learnt: Sequence[ChoiceRecord],
    sets: Mapping[str, Sequence[ChoiceRecord]],
    *,
    blind: bool,
) -> dict[str, Rows]:
    found: dict[str, Rows] = {name: [{"id": record.id} for record in records] for name, records in sets.items()}
    for part, choices_of in (("scores", _answers), ("rationale_scores", _rationales)):
        seen = [choices_of(record) for record in (learnt if blind else training)]
        if blind:
            labels = [RIGHT if at == label else WRONG for choices, label in seen for at in range(len(choices))]
            model = TextScores([text for choices, _ in seen for text in choices], labels)
        frequent = Counter(label for _, label in seen).most_common(1)[0][0]
        for name, records in sets.items():
            for row, record in zip(found[name], records, strict=True):
                # RIGHT is the first label
                scores = model.scores(choices_of(record)[0])[:, 0] if blind else np.eye(CHOICES)[frequent]
                row[part] = [round(float(score), DECIMALS) for score in scores]
    return found


def _answers(record: ChoiceRecord) -> tuple[list[str], int]:
    return _seen(record.answers, record.question), cast(int, record.answer_label)


def _rationales(record: ChoiceRecord) -> tuple[list[str], int]:
    label = cast(int, record.answer_label)
    return _seen(record.rationales, [*record.question, *record.answers[label]]), cast(int, record.rationale_label)


def _seen(choices: Sequence[Sequence[Token]], context: Sequence[Token]) -> list[str]:
    """The choices as the classifier reads them.

    A tag is the question's own or another; the choice that shares the most words with the other ones is marked: wrong
    choices are often made from the right one.
    """
    own = {tuple(token) for token in context if not isinstance(token, str)}
    texts = [" ".join(_word(token, own) for token in choice) for choice in choices]
    words = [set(text.split()) for text in texts]
    shared = [sum(len(one & other) for other in words) - len(one) for one in words]
    return [f"{text} {NEAREST}" if count == max(shared) else text for text, count in zip(texts, shared, strict=True)]


def _word(token: Token, own: Collection[tuple[int, ...]]) -> str:
    return token if isinstance(token, str) else SAME if tuple(token) in own else OTHER


def _labelled(records: Sequence[EntailmentRecord | QuestionRecord], predictions: Sequence[str]) -> Rows:
    return [{"id": record.id, "prediction": said} for record, said in zip(records, predictions, strict=True)]
