"""The headline of VLKD's scores: few numbers for ``metrics.json``, and the bars they are held against.

Input is the tidy rows of ``scores.jsonl``. `headline` returns, in percent (losses in nats a token), means over seeds::

    {"vqa":       {"accuracy", "over_controls", "over_untrained"},   vqav2, the headline's variant, zero-shot
     "okvqa":     {"accuracy"},
     "domains":   {"in", "near", "out"},                             VQA accuracy by domain of the image
     "coco":      {"CIDEr", "METEOR", "over_retrieval"},             the last: CIDEr minus that of CLIP retrieval
     "nocaps":    {"in", "near", "out"},                             CIDEr by domain
     "retrieval": {"text_to_image", "over_clip"},                    recall at 1; minus that of CLIP's own text tower
     "retention": {"reading", "summary", "text_loss"},               after distillation minus before
     "bars":      {"held", "measured"}}

What was not measured is left out. `bars` returns a list of `Bar`, whose ``holds`` is None where a number is missing.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from vldistill.errors import InputError

HEADLINE = "all"
UNTRAINED = "untrained_clip"
BEFORE = "plm"
RETRIEVED = "clip_retrieval"
CLIP_TEXT = "clip_text"
MAJORITY = "majority"
OVER_CONTROLS = 25.0
OVER_UNTRAINED = 10.0
RETENTION_LOSS = 1.5
DOMAINS = ("in", "near", "out")

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Bar:
    """One requirement on the headline arm.

    Attributes:
        name: dotted name.
        what: the requirement in words.
        value: mean over seeds, or None where a number it needs was not measured.
        threshold: ``holds`` is ``value >= threshold`` (``>`` where strict).
        strict: whether equality fails.
        holds: whether it is met; None where it was not measured.
        values: the number of each seed of the headline arm.
    """

    name: str
    what: str
    value: float | None
    threshold: float
    strict: bool
    holds: bool | None
    values: tuple[float, ...]

    def as_dict(self) -> dict[str, Any]:
        """The bar as JSON values."""
        return {**asdict(self), "values": list(self.values)}


class Scores:
    """Rows of one split, asked for one number at a time; all numbers in percent but losses."""

    def __init__(self, rows: Sequence[Row], variant: str = "official") -> None:
        splits = sorted({row["split"] for row in rows})
        if len(splits) > 1:
            raise InputError(f"scores of the splits {' and '.join(splits)} are mixed", file="scores.jsonl")
        self.rows, self.variant = rows, variant

    def seeds(self, task: str, metric: str, arm: str, **where: Any) -> dict[int | None, float]:
        """Seed -> value; ``where`` narrows by control, variant and subset (default: none, none, all)."""
        wanted = {"control": None, "variant": None, "subset": "all", **where}
        found = {}
        for row in self.rows:
            if (row["task"], row["metric"], row["arm"]) != (task, metric, arm) or row["value"] is None:
                continue
            if all(row[field] == value for field, value in wanted.items()):
                found[row["seed"]] = row["value"] * (100 if row["unit"] == "fraction" else 1)
        return found

    def vqa(self, arm: str, task: str = "vqav2", **where: Any) -> dict[int | None, float]:
        """VQA accuracy in the headline's variant."""
        return self.seeds(task, "accuracy", arm, variant=self.variant, **where)


def mean(values: Mapping[Any, float] | Sequence[float]) -> float | None:
    """Arithmetic mean; None of nothing."""
    numbers = list(values.values()) if isinstance(values, Mapping) else list(values)
    return math.fsum(numbers) / len(numbers) if numbers else None


def over(first: Mapping[int | None, float], second: Mapping[int | None, float]) -> list[float]:
    """``first`` minus ``second``: seed by seed where both have the seed, else minus the mean; empty if either is."""
    base = mean(second)
    return [] if base is None else [value - second.get(seed, base) for seed, value in sorted(first.items(), key=_seed)]


def _seed(item: tuple[int | None, float]) -> int:
    return -1 if item[0] is None else item[0]


def over_controls(scores: Scores) -> list[float]:
    """VQA accuracy of each seed minus the best of majority, no image and shuffled; empty unless all are there."""
    controls = [scores.vqa(MAJORITY), *(scores.vqa(HEADLINE, control=name) for name in ("no_image", "shuffled"))]
    means = [value for value in map(mean, controls) if value is not None]
    if len(means) < len(controls):
        return []
    return over(scores.vqa(HEADLINE), {None: max(means)})


def over_untrained(scores: Scores) -> list[float]:
    """VQA accuracy of each seed minus that with an untrained CLIP, or its mean where the control has not that seed.

    Of a control with one seed it is the same number for all: how much the control varies is then not in the spread.
    """
    return over(scores.vqa(HEADLINE), scores.vqa(UNTRAINED))


def over_retrieval(scores: Scores) -> list[float]:
    """CIDEr (x 100) of each seed minus that of the nearest distillation caption by CLIP."""
    return over(scores.seeds("coco", "CIDEr", HEADLINE), scores.seeds("coco", "CIDEr", RETRIEVED))


def change(scores: Scores, task: str, metric: str, variant: str | None) -> list[float]:
    """A text score of each seed after distillation minus the language model's before."""
    after, before = (scores.seeds(task, metric, arm, variant=variant) for arm in (HEADLINE, BEFORE))
    return over(after, before)


RETAINED: dict[str, tuple[str, str, str | None]] = {
    "reading": ("reading", "accuracy", "direct"),
    "summary": ("summary", "rougeL", "direct"),
    "reading_finetuned": ("reading", "accuracy", "fine-tuned"),
    "summary_finetuned": ("summary", "rougeL", "fine-tuned"),
}


def bars(rows: Sequence[Row], variant: str = "official") -> list[Bar]:
    """The requirements on the default experiment, on the test items of the in-domain kind (new combinations)."""
    scores = Scores(rows, variant)
    found = [
        _bar(
            "vqa.over_controls",
            "zero-shot VQA accuracy minus the best of majority, no image and shuffled images, points",
            over_controls(scores),
            OVER_CONTROLS,
        ),
        _bar(
            "vqa.over_untrained",
            "zero-shot VQA accuracy minus that with an untrained CLIP, points",
            over_untrained(scores),
            OVER_UNTRAINED,
        ),
        _bar(
            "coco.over_retrieval",
            "CIDEr minus that of the nearest distillation caption by CLIP, x 100",
            over_retrieval(scores),
            0.0,
            strict=True,
        ),
    ]
    for name, (task, metric, how) in RETAINED.items():
        values = change(scores, task, metric, how)
        if values or how == "direct":
            what = f"{task} {metric} ({how}) after distillation minus before, points"
            found.append(_bar(f"retention.{name}", what, values, -RETENTION_LOSS))
    return found


def _bar(name: str, what: str, values: Sequence[float], threshold: float, *, strict: bool = False) -> Bar:
    value = mean(values)
    holds = None if value is None else value > threshold if strict else value >= threshold
    return Bar(name, what, value, threshold, strict, holds, tuple(values))


def headline(rows: Sequence[Row], variant: str = "official") -> dict[str, dict[str, float]]:
    """The few numbers of ``metrics.json``; the schema is in the module's docstring."""
    scores = Scores(rows, variant)
    held = [bar.holds for bar in bars(rows, variant) if bar.holds is not None]
    tree: dict[str, dict[str, float | None]] = {
        "vqa": {
            "accuracy": mean(scores.vqa(HEADLINE)),
            "over_controls": mean(over_controls(scores)),
            "over_untrained": mean(over_untrained(scores)),
        },
        "okvqa": {"accuracy": mean(scores.vqa(HEADLINE, "okvqa"))},
        "domains": _by_domain(lambda subset: scores.vqa(HEADLINE, "domains", subset=subset)),
        "coco": {
            "CIDEr": mean(scores.seeds("coco", "CIDEr", HEADLINE)),
            "METEOR": mean(scores.seeds("coco", "METEOR", HEADLINE)),
            "over_retrieval": mean(over_retrieval(scores)),
        },
        "nocaps": _by_domain(lambda subset: scores.seeds("nocaps", "CIDEr", HEADLINE, subset=subset)),
        "retrieval": _retrieval(scores),
        "retention": {
            "reading": mean(change(scores, *RETAINED["reading"])),
            "summary": mean(change(scores, *RETAINED["summary"])),
            "text_loss": mean(change(scores, "corpus", "loss", None)),
        },
        "bars": {"held": float(sum(held)), "measured": float(len(held))},
    }
    known = {group: {k: v for k, v in numbers.items() if v is not None} for group, numbers in tree.items()}
    return {group: numbers for group, numbers in known.items() if numbers}


def _by_domain(ask: Callable[[str], dict[int | None, float]]) -> dict[str, float | None]:
    return {domain: mean(ask(f"{domain}-domain")) for domain in DOMAINS}


def _retrieval(scores: Scores) -> dict[str, float | None]:
    ours, clip = (scores.seeds("retrieval", "R@1", arm, variant="text_to_image") for arm in (HEADLINE, CLIP_TEXT))
    return {"text_to_image": mean(ours), "over_clip": mean(over(ours, clip))}
