"""VCR accuracy (Q->A, QA->R, Q->AR) and the leaderboard's CSV file.

As the official code computes it (Zellers et al. 2019): the choice with the highest score, the first of equal ones; the
rationale given the *correct* answer; Q->AR counts a question only where both are right, which is not the product of
the two. Chance is 25, 25 and 6.25 percent.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypedDict

from vldistill.errors import InputError
from vldistill.evaluate.metrics.captions import check_ids
from vldistill.files import atomic_write
from vldistill.records import CHOICES

METRICS = ("Q->A", "QA->R", "Q->AR")
ID = "annot_id"
GROUPS = ("answer", *(f"rationale_conditioned_on_a{answer}" for answer in range(CHOICES)))
COLUMNS = (ID, *(f"{group}_{choice}" for group in GROUPS for choice in range(CHOICES)))
LABELS = "Score a split that has labels: VCR's test split has none"
Scores = Sequence[float]


@dataclass(frozen=True)
class VcrItem:
    """The ground truth of one question: its annot_id and the indices of the right answer and rationale."""

    id: str
    answer_label: int
    rationale_label: int


@dataclass(frozen=True)
class LeaderboardRow:
    """Scores of the 4 answers, and of the 4 rationales given each of the answers: [4] and [4, 4]."""

    answers: tuple[float, ...]
    rationales: tuple[tuple[float, ...], ...]


class VcrScores(TypedDict):
    """Scores of one result set, in percent and unrounded.

    metrics: `METRICS` and ``n``.
    per_item: `METRICS` of each id, 0 or 100; their mean is the metric.
    """

    metrics: dict[str, Any]
    per_item: dict[str, dict[str, float]]


def score_vcr(
    items: Iterable[VcrItem],
    answers: Mapping[str, Scores],
    rationales: Mapping[str, Scores],
    *,
    file: str | Path | None = None,
) -> VcrScores:
    """Score a model's choices.

    Args:
        items: the questions.
        answers: [4] scores of the answers by annot_id.
        rationales: [4] scores of the rationales given the correct answer, by annot_id.
        file: where the scores come from, for messages.

    Raises:
        InputError: ids differ, an id is there twice, a label is not one of the choices, or there are not four finite
            scores.
    """
    listed = list(items)
    truth = {item.id: item for item in listed}
    if len(truth) != len(listed):
        raise InputError("an annot_id is there twice", action="Remove the duplicate")
    for what, given in (("answer scores", answers), ("rationale scores", rationales)):
        check_ids(truth, given, file=file, what=what, where="questions")
    per_item = {}
    for item in listed:
        pairs = (("answer", answers, item.answer_label), ("rationale", rationales, item.rationale_label))
        answered, reasoned = (_right(item.id, given[item.id], label, what, file) for what, given, label in pairs)
        right = (answered, reasoned, answered and reasoned)
        per_item[item.id] = {metric: 100.0 * hit for metric, hit in zip(METRICS, right, strict=True)}
    means = {metric: math.fsum(one[metric] for one in per_item.values()) / len(per_item) for metric in METRICS}
    return {"metrics": {**means, "n": len(per_item)}, "per_item": per_item}


def write_leaderboard(path: str | Path, rows: Mapping[str, LeaderboardRow]) -> None:
    """Write the leaderboard's CSV file, 21 columns, atomically; a reader gets back the very same numbers.

    Raises:
        InputError: a row does not hold 4 and 4 x 4 finite scores.
    """
    with atomic_write(path) as handle:
        writer = csv.writer(handle, lineterminator="\n")
        writer.writerow(COLUMNS)
        for key, row in rows.items():
            groups = (row.answers, *row.rationales)
            if len(groups) != len(GROUPS):
                raise InputError(f"{len(row.rationales)} rationale groups, expected {CHOICES}", file=path, record=key)
            for group, scores in zip(GROUPS, groups, strict=True):
                _four(key, scores, group, path)
            writer.writerow([key, *(repr(float(score)) for scores in groups for score in scores)])


def _right(key: str, scores: Scores, label: int, what: str, file: str | Path | None) -> bool:
    if label not in range(CHOICES):
        raise InputError(f"label {label} is not 0 to {CHOICES - 1}", record=key, field=f"{what}_label", action=LABELS)
    _four(key, scores, what, file)
    # max keeps the first of equal scores, as numpy's argmax does in the official code
    return max(range(CHOICES), key=lambda choice: scores[choice]) == label


def _four(key: str, scores: Scores, what: str, file: str | Path | None) -> None:
    if len(scores) != CHOICES or not all(math.isfinite(score) for score in scores):
        raise InputError(f"not {CHOICES} finite scores", file=file, record=key, field=what, action="Predict again")
