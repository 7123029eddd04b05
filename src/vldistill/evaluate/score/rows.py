"""Tidy score rows and per-item scores: what every task's scorer returns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from vldistill.cells import METHOD
from vldistill.stats import bootstrap_mean

IDENTITY = ("task", "split", "arm", "fraction", "seed", "control")
DECIMALS = 9  # sums of floats may differ in the last bits between machines; nothing below this is meant


@dataclass(frozen=True)
class Bootstrap:
    """How intervals are drawn; ``resamples`` 0 leaves them out."""

    resamples: int
    level: float

    def interval(self, values: Sequence[float], groups: Sequence[Any]) -> tuple[float, float] | None:
        """Percentile interval of the mean of ``values``, resampling groups (images)."""
        if not self.resamples or not values:
            return None
        found = bootstrap_mean(values, groups, resamples=self.resamples, level=self.level)
        return found.low, found.high


@dataclass
class Scored:
    """What scoring one file of predictions gives.

    Attributes:
        entry: its entry in the predictions' index; MAD's also tells the method and the training subset's fraction.
        group: kind of task: caption, vqa, retrieval, retention, entailment or choice.
        rows: tidy rows of ``scores.jsonl``.
        items: one record an item: {id, prediction, target, scores, group}, group being its image.
    """

    entry: dict[str, Any]
    group: str
    rows: list[dict[str, Any]] = field(default_factory=list)
    items: list[dict[str, Any]] = field(default_factory=list)

    def add(
        self,
        metric: str,
        value: float | None,
        *,
        unit: str,
        n: int,
        variant: str | None = None,
        subset: str = "all",
        interval: tuple[float, float] | None = None,
        reason: str | None = None,
    ) -> None:
        """Add one number; ``reason`` says why a value is None."""
        identity = {key: self.entry[key] for key in IDENTITY if key in self.entry}
        low, high = interval or (None, None)
        self.rows.append(
            {
                "method": self.entry.get("method", METHOD),
                **identity,
                "metric": metric,
                "variant": variant,
                "value": rounded(value),
                "low": rounded(low),
                "high": rounded(high),
                "unit": unit,
                "n": n,
                "subset": subset,
                "group": self.group,
                **({"reason": reason} if reason else {}),
            }
        )

    def item(self, name: str, prediction: Any, target: Any, scores: dict[str, float], group: str) -> None:
        """Add one item's scores."""
        kept = {metric: rounded(value) for metric, value in scores.items()}
        self.items.append({"id": name, "prediction": prediction, "target": target, "scores": kept, "group": group})


def rounded(value: float | None) -> float | None:
    """``value`` to `DECIMALS`."""
    return None if value is None else round(float(value), DECIMALS)
