"""What tasks, metrics, arms and controls are called on the page, and in which order they stand.

Whatever scores.jsonl holds beyond these names is shown too, under its raw name after the known ones: a new task or arm
needs no change here to be in the report.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from vldistill.evaluate.summary import HEADLINE
from vldistill.report.scores import Row

TASKS = {
    "vqav2": "VQAv2",
    "okvqa": "OK-VQA",
    "domains": "VQA, NoCaps images",
    "coco": "COCO captions",
    "nocaps": "NoCaps",
    "retrieval": "Retrieval",
    "reading": "Reading comprehension",
    "summary": "Summaries",
    "corpus": "Text tasks\u2019 items",  # the corpus holds no document out: see evaluate.data
}
METRICS = {
    "accuracy": "accuracy",
    "CIDEr": "CIDEr",
    "Bleu_4": "BLEU-4",
    "METEOR": "METEOR",
    "ROUGE_L": "ROUGE-L",
    "SPICE": "SPICE",
    "Bleu_1": "BLEU-1",
    "Bleu_2": "BLEU-2",
    "Bleu_3": "BLEU-3",
    "rougeL": "ROUGE-L",
    "rouge1": "ROUGE-1",
    "rouge2": "ROUGE-2",
    "R@1": "R@1",
    "R@5": "R@5",
    "R@10": "R@10",
    "rougeLsum": "ROUGE-Lsum",
    "f1": "token F1",
    "loss": "infilling loss",
}
ENTITIES = {
    "all": "all terms (VLKD)",
    "untrained_clip": "untrained CLIP",
    "majority": "majority answer",
    "clip_retrieval": "nearest caption by CLIP",
    "clip_text": "CLIP\u2019s own text tower",
    "plm": "language model before distillation",
    "random": "random caption",
    "most_common": "most common caption",
    "plm_bart_no_direct": "the same, no direct-prompt texts",
    "no_direct": "no direct-prompt texts",
}
CONTROLS = {"no_image": "no image", "shuffled": "wrong image"}
UPPER = {"icti", "ttdm", "itcl", "clip", "bart", "vqa", "plm"}
VQA_TASKS = ("vqav2", "okvqa", "domains")
DOMAINS = {"in-domain": "in", "near-domain": "near", "out-domain": "out"}


@dataclass(frozen=True)
class Measure:
    """One column of numbers: a task, a metric and its variant on one split."""

    task: str
    metric: str
    variant: str | None
    split: str
    unit: str

    @property
    def label(self) -> str:
        """As in a table's header, without the variant if it is the usual one."""
        tail = f" ({words(self.variant)})" if self.variant and not self.is_vqa else ""
        return f"{task(self.task)} {metric(self.metric)}{tail}"

    @property
    def is_vqa(self) -> bool:
        """VQA accuracy, of which there are four variants of the same answers."""
        return self.metric == "accuracy" and self.task in VQA_TASKS

    @property
    def digits(self) -> int:
        """Decimals worth printing."""
        return 3 if self.unit == "loss" else 1

    @property
    def lower_is_better(self) -> bool:
        """Losses and perplexities."""
        return self.unit == "loss"

    def of(self, row: Row) -> bool:
        """Whether ``row`` is a number of this measure (on any subset)."""
        return (row.task, row.metric, row.variant, row.split) == (self.task, self.metric, self.variant, self.split)


def task(name: str) -> str:
    """A task's name for readers."""
    return TASKS.get(name, name)


def metric(name: str) -> str:
    """A metric's name for readers."""
    return METRICS.get(name, name)


def words(name: str) -> str:
    """An identifier as words: ``no_ttdm`` as ``no TTDM``."""
    return " ".join(part.upper() if part in UPPER else part for part in name.split("_"))


def measures(rows: Iterable[Row], vqa_variant: str) -> list[Measure]:
    """Every measure that occurs in ``rows``, tasks and metrics in the order of the page, ``vqa_variant`` first."""
    found = {Measure(row.task, row.metric, row.variant, row.split, row.unit): None for row in rows}
    return sorted(found, key=lambda measure: _rank(measure, vqa_variant))


def _rank(measure: Measure, vqa_variant: str) -> tuple[int, str, int, str, str]:
    tasks, metrics = list(TASKS), list(METRICS)
    return (
        tasks.index(measure.task) if measure.task in TASKS else len(tasks),
        measure.task,
        metrics.index(measure.metric) if measure.metric in METRICS else len(metrics),
        measure.metric,
        "" if measure.variant == vqa_variant else measure.variant or "",
    )


def entity(arm: str, control: str | None = None) -> str:
    """A row's label: an arm, or an arm under a control."""
    name = ENTITIES.get(arm, words(arm))
    if control is None:
        return name
    lacking = CONTROLS.get(control, words(control))
    return lacking if arm == HEADLINE else f"{name}, {lacking}"
