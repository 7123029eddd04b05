"""Scores of what needs no reference captions: text tasks, the text loss, retrieval."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from vldistill.errors import InputError
from vldistill.evaluate.metrics.text import ROUGE, exact_match, rouge, token_f1
from vldistill.evaluate.score.rows import Bootstrap, Scored
from vldistill.records import TextRecord

DIRECTIONS = {"t2i": "text_to_image", "i2t": "image_to_text"}
Rows = Sequence[dict[str, Any]]


def score_texts(entry: dict[str, Any], rows: Rows, records: Sequence[TextRecord], bootstrap: Bootstrap) -> Scored:
    """Score a text task: exact match and token F1 for reading, ROUGE for summaries.

    Raises:
        InputError: the predictions are not those of the records.
    """
    given = {row["id"]: row["prediction"] for row in rows}
    if list(given) != [record.id for record in records]:
        raise InputError(
            "its items are not those of the split",
            file=entry["file"],
            action="Predict again: vldistill evaluate vlkd predict",
        )
    texts, targets = list(given.values()), [str(record.target) for record in records]
    if entry["task"] == "summary":
        each, unit = rouge(texts, targets), "fraction"
    else:
        pairs = zip(exact_match(texts, targets), token_f1(texts, targets), strict=True)
        each, unit = [{"accuracy": 100 * match, "f1": 100 * f1} for match, f1 in pairs], "percent"
    found = Scored(entry, "retention")
    for metric in ROUGE if entry["task"] == "summary" else ("accuracy", "f1"):
        values = [scores[metric] for scores in each]
        interval = bootstrap.interval(values, list(given))
        mean = math.fsum(values) / len(values)
        found.add(metric, mean, unit=unit, n=len(values), variant=entry["variant"], interval=interval)
    for record, text, scores in zip(records, texts, each, strict=True):
        found.item(record.id, text, record.target, scores, record.id)
    return found


def score_corpus(entry: dict[str, Any], rows: Rows) -> Scored:
    """The text loss: nats a target token over all documents."""
    found = Scored(entry, "retention")
    tokens = sum(row["tokens"] for row in rows)
    found.add("loss", math.fsum(row["loss"] for row in rows) / tokens, unit="loss", n=len(rows))
    for row in rows:
        found.item(row["id"], None, None, {"loss": row["loss"] / row["tokens"]}, row["id"])
    return found


def score_retrieval(entry: dict[str, Any], rows: Rows, bootstrap: Bootstrap) -> Scored:
    """Recall at k in both directions; the gallery's size is in the index."""
    found = Scored(entry, "retrieval")
    for way, variant in DIRECTIONS.items():
        queries = [row for row in rows if row["direction"] == way]
        images = [row["id"].rsplit("#", 1)[0] if way == "t2i" else row["id"] for row in queries]
        for k in sorted({int(k) for row in queries for k in row["hits"]}):
            hits = [100 * row["hits"][str(k)] for row in queries]
            interval = bootstrap.interval(hits, images) if k == 1 else None
            mean = math.fsum(hits) / len(hits)
            found.add(f"R@{k}", mean, unit="percent", n=len(hits), variant=variant, interval=interval)
        for row, image in zip(queries, images, strict=True):
            scores = {f"R@{k}": 100 * hit for k, hit in row["hits"].items()}
            found.item(f"{variant}:{row['id']}", None, None, scores, image)
    return found
