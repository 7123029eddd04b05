"""Accuracy of a classification into named labels, such as SNLI-VE's three."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypedDict

from vldistill.errors import InputError
from vldistill.evaluate.metrics.captions import check_ids


class LabelScores(TypedDict):
    """Scores of one result set, in percent and unrounded.

    metrics: ``accuracy`` and ``n``.
    per_label: the same of the items of each true label.
    per_item: 0 or 100 of each id.
    """

    metrics: dict[str, Any]
    per_label: dict[str, dict[str, Any]]
    per_item: dict[Any, float]


def score_labels(
    targets: Mapping[Any, str], predictions: Mapping[Any, str], *, file: str | Path | None = None
) -> LabelScores:
    """Score predicted labels against the true ones, both by id.

    Raises:
        InputError: the ids differ, or a prediction is none of the labels that occur.
    """
    check_ids(targets, predictions, file=file, what="a label", where="items")
    labels = sorted(set(targets.values()))
    for key, label in predictions.items():
        if label not in labels:
            raise InputError(f"{label!r} is none of the labels", file=file, record=key, action=f"Labels: {labels}")
    per_item = {key: 100.0 * (predictions[key] == target) for key, target in targets.items()}
    by_label = {name: [per_item[key] for key, target in targets.items() if target == name] for name in labels}
    return {
        "metrics": _mean(list(per_item.values())),
        "per_label": {name: _mean(values) for name, values in by_label.items()},
        "per_item": per_item,
    }


def _mean(values: list[float]) -> dict[str, Any]:
    return {"accuracy": math.fsum(values) / len(values), "n": len(values)}
