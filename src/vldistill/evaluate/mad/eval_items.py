"""What models are evaluated on: the items of all sets of a task in one piece."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Literal

from vldistill.distill.mad.items import (
    ANSWERS,
    RATIONALES,
    Items,
    choice_items,
    entailment_items,
    joined,
    question_items,
)
from vldistill.evaluate.mad.data import MadData
from vldistill.features.sentences import Wording
from vldistill.records import CHOICES, UNLABELLED, ChoiceRecord
from vldistill.split.pronouns import RULES

ANSWER_PARTS = tuple(f"{RATIONALES} {answer}" for answer in range(CHOICES))


Kind = Literal["sets", "reasons", "leaderboard"]
"""What is evaluated at once: the sets; the rationales of rewritten ones; the questions without public labels. In whose
company a text is judged changes its scores in their last digits, so each kind has batches of its own."""


@dataclass(frozen=True)
class EvalItems:
    """Items in one piece, and where each part of each set lies in it.

    Attributes:
        items: of all sets and parts, one after the other.
        parts: set, part and its first and last item.
    """

    items: Items
    parts: list[tuple[str, str, slice]]


def joined_items(pieces: Sequence[tuple[str, str, Items]]) -> EvalItems:
    """Join the items of sets and parts."""
    parts, start = [], 0
    for name, part, items in pieces:
        parts.append((name, part, slice(start, start + len(items))))
        start += len(items)
    return EvalItems(reduce(joined, (items for _, _, items in pieces)), parts)


def kinds(data: MadData) -> tuple[Kind, ...]:
    """All kinds that make up the predictions of the sets."""
    return ("sets", "reasons") if any(data.sets.get(rule) for rule in RULES) else ("sets",)


def eval_items(kind: Kind, data: MadData, wording: Wording, answers: Sequence[str] = ()) -> EvalItems:
    """What a cell of the task is evaluated on.

    Args:
        kind: all of this kind.
        data: of the task.
        wording: how texts are put to the teachers.
        answers: VQA: what the targets stand for; predicting needs none.
    """
    if kind == "leaderboard":
        return leaderboard_items(data, wording)
    return rewritten_reasons(data, wording) if kind == "reasons" else set_items(data, wording, answers)


def set_items(data: MadData, wording: Wording, answers: Sequence[str]) -> EvalItems:
    """The items of all sets; VCR's with their rationales, rewritten ones without."""
    pieces = []
    for name, records in data.sets.items():
        if data.task == "snli_ve":
            pieces.append((name, ANSWERS, entailment_items(records)))
        elif data.task == "vqa":
            pieces.append((name, ANSWERS, question_items(records, answers)))
        else:
            parts = (ANSWERS,) if name in RULES else (ANSWERS, RATIONALES)
            pieces += [(name, part, choice_items(records, part, wording)) for part in parts]
    return joined_items(pieces)


def rewritten_reasons(data: MadData, wording: Wording) -> EvalItems:
    """The rationales of VCR's rewritten questions, each after the right answer as it was rewritten."""
    pieces = [
        (name, RATIONALES, choice_items(records, RATIONALES, wording))
        for name, records in data.sets.items()
        if name in RULES
    ]
    return joined_items(pieces)


def leaderboard_items(data: MadData, wording: Wording) -> EvalItems:
    """The questions without public labels; VCR's with their answers, and the rationales given each of the answers."""
    if data.task == "vqa":
        return joined_items([(UNLABELLED, ANSWERS, question_items(data.unlabelled, ()))])
    records: Sequence[ChoiceRecord] = data.unlabelled
    pieces = [(UNLABELLED, ANSWERS, choice_items(records, ANSWERS, wording))]
    for answer, part in enumerate(ANSWER_PARTS):
        given = [dataclasses.replace(record, answer_label=answer) for record in records]
        pieces.append((UNLABELLED, part, choice_items(given, RATIONALES, wording)))
    return joined_items(pieces)
