"""Scores of answers to questions: the four variants, per answer type, question type and domain."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from vldistill.evaluate.ids import official_id
from vldistill.evaluate.metrics.vqa import VARIANTS, VqaItem, score_answers
from vldistill.evaluate.score.rows import Bootstrap, Scored
from vldistill.records import QuestionRecord

BESIDE = "both"  # the variant printed beside the headline's
Part = Callable[[QuestionRecord], str | None]
PARTS: tuple[Part, ...] = (
    lambda record: record.domain,
    lambda record: f"answer_type:{record.answer_type}",
    lambda record: f"question_type:{record.question_type}",
)


def score_questions(
    entry: dict[str, Any],
    answers: Mapping[Any, str],
    records: Sequence[QuestionRecord],
    *,
    variant: str,
    canonicalise: bool,
    stemmed: bool,
    bootstrap: Bootstrap,
) -> Scored:
    """Score one file of answers.

    Args:
        entry: its entry in the predictions' index.
        answers: answer by question id.
        records: the questions.
        variant: the headline's; the only one broken down, beside ``both``, and the only one with intervals.
        canonicalise: apply the VQA normalisation to the answers first.
        stemmed: then stem their words.
        bootstrap: how intervals are drawn.
    """
    truth = [
        VqaItem(official_id(record.id), tuple(record.answers), record.answer_type, record.question_type)
        for record in records
    ]
    scores = score_answers(truth, answers, canonicalise=canonicalise, stemmed=stemmed)
    found = Scored(entry, "vqa")
    per_item = [scores["per_item"][official_id(record.id)] for record in records]
    for name in VARIANTS:
        interval = None
        if name == variant:
            interval = bootstrap.interval([item[name] for item in per_item], [record.image for record in records])
        value = scores["metrics"][name]
        found.add("accuracy", value, unit="percent", n=len(records), variant=name, interval=interval)
    for part in PARTS:
        _break_down(found, records, per_item, part, variant, bootstrap)
    for record, item in zip(records, per_item, strict=True):
        target = Counter(record.answers).most_common(1)[0][0]
        found.item(record.id, answers[official_id(record.id)], target, item, record.image)
    return found


def _break_down(
    found: Scored,
    records: Sequence[QuestionRecord],
    per_item: Sequence[Mapping[str, float]],
    part: Part,
    variant: str,
    bootstrap: Bootstrap,
) -> None:
    rows: dict[str, list[int]] = {}
    for row, record in enumerate(records):
        if name := part(record):
            rows.setdefault(name, []).append(row)
    for subset, members in sorted(rows.items()):
        for name in dict.fromkeys((variant, BESIDE)):
            values = [per_item[row][name] for row in members]
            interval = None
            if name == variant and not subset.startswith("question_type:"):
                interval = bootstrap.interval(values, [records[row].image for row in members])
            mean = sum(values) / len(values)
            found.add("accuracy", mean, unit="percent", n=len(values), variant=name, subset=subset, interval=interval)
