"""Scores of predictions, item by item: SNLI-VE's accuracy, VCR's three, VQA's four variants."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np

from vldistill.errors import InputError
from vldistill.evaluate.mad.chief import CHIEF
from vldistill.evaluate.mad.data import MadRecord, group_of
from vldistill.evaluate.metrics.captions import check_ids
from vldistill.evaluate.metrics.vcr import METRICS, VcrItem, score_vcr
from vldistill.evaluate.metrics.vqa import VARIANTS, VqaItem, score_answers
from vldistill.evaluate.score.rows import Bootstrap, Scored
from vldistill.records import LABELS, ChoiceRecord, EntailmentRecord, QuestionRecord

Rows = Sequence[Mapping[str, Any]]
AGAIN = "Predict again: vldistill evaluate mad predict"


@dataclass(frozen=True)
class ItemScore:
    """One item: what was predicted, what is right, and the scores in percent by metric."""

    prediction: Any
    target: Any
    scores: dict[str, float]


def score_set(task: str, records: Sequence[MadRecord], rows: Rows, file: Path | None = None) -> dict[str, ItemScore]:
    """Score the predictions of one set.

    Args:
        task: snli_ve, vcr or vqa.
        records: the items; a shifted set may have none.
        rows: a prediction for each of them (`evaluate.mad.data`).
        file: where they come from, for messages.

    Raises:
        InputError: ids differ or stand twice, or a prediction is none of what can be predicted.
    """
    by_id = {str(row["id"]): row for row in rows}
    if len(by_id) != len(rows):
        raise InputError("an id stands twice", file=file, field="id", action=AGAIN)
    if not records and not rows:
        return {}
    check_ids({record.id: record for record in records}, by_id, file=file, what="a prediction", where="items")
    return _SCORERS[task](records, by_id, file)


def _entailment(
    records: Sequence[EntailmentRecord], rows: Mapping[str, Mapping[str, Any]], file: Path | None
) -> dict[str, ItemScore]:
    found = {}
    for record in records:
        said = rows[record.id]["prediction"]
        if said not in LABELS:
            raise InputError(f"{said!r} is no label", file=file, record=record.id, field="prediction", action=AGAIN)
        found[record.id] = ItemScore(said, record.label, {"accuracy": 100.0 * (said == record.label)})
    return found


def _choices(
    records: Sequence[ChoiceRecord], rows: Mapping[str, Mapping[str, Any]], file: Path | None
) -> dict[str, ItemScore]:
    items = [VcrItem(r.id, cast(int, r.answer_label), cast(int, r.rationale_label)) for r in records]
    answers, rationales = (
        {key: row.get(part, ()) for key, row in rows.items()} for part in ("scores", "rationale_scores")
    )
    scores = score_vcr(items, answers, rationales, file=file)["per_item"]
    found = {}
    for item in items:
        said = {"answer": int(np.argmax(answers[item.id])), "rationale": int(np.argmax(rationales[item.id]))}
        right = {"answer": item.answer_label, "rationale": item.rationale_label}
        found[item.id] = ItemScore(said, right, {metric: scores[item.id][metric] for metric in METRICS})
    return found


def _questions(
    records: Sequence[QuestionRecord], rows: Mapping[str, Mapping[str, Any]], file: Path | None
) -> dict[str, ItemScore]:
    items = [VqaItem(r.id, tuple(r.answers), r.answer_type, r.question_type) for r in records]
    answers = {key: row["prediction"] for key, row in rows.items()}
    scores = score_answers(items, answers, file=file)["per_item"]
    return {r.id: ItemScore(answers[r.id], Counter(r.answers).most_common(1)[0][0], scores[r.id]) for r in records}


_SCORERS: dict[str, Callable[..., dict[str, ItemScore]]] = {
    "snli_ve": _entailment,
    "vcr": _choices,
    "vqa": _questions,
}
KINDS = {"snli_ve": "entailment", "vcr": "choice", "vqa": "vqa"}


def score_subset(
    entry: dict[str, Any],
    records: Sequence[MadRecord],
    scores: Mapping[str, ItemScore],
    *,
    subset: str,
    bootstrap: Bootstrap,
) -> Scored:
    """Rows and items of a subset of a scored set. Of VQA's variants only the chief one has an interval.

    Args:
        entry: the cell: method, task, split, arm, fraction, seed, control.
        records: the subset's items.
        scores: of the set, by id.
        subset: its name.
        bootstrap: how intervals are drawn.
    """
    found = Scored(entry, KINDS[entry["task"]])
    chosen = [scores[record.id] for record in records]
    groups = [group_of(record) for record in records]
    for metric in chosen[0].scores if chosen else ():
        values = [item.scores[metric] for item in chosen]
        of_vqa = metric in VARIANTS
        interval = bootstrap.interval(values, groups) if not of_vqa or metric == CHIEF["vqa"] else None
        found.add(
            "accuracy" if of_vqa else metric,
            sum(values) / len(values),
            unit="percent",
            n=len(values),
            variant=metric if of_vqa else None,
            subset=subset,
            interval=interval,
        )
    for record, item, group in zip(records, chosen, groups, strict=True):
        found.item(record.id, item.prediction, item.target, item.scores, group)
    return found
