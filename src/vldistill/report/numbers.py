"""The scores of one method, asked by measure, arm and control; every table and chart of the page asks here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from vldistill.report.names import Measure, measures
from vldistill.report.scores import Estimate, Row, estimate, select


@dataclass(frozen=True)
class Numbers:
    """Rows of one method.

    Attributes:
        rows: all rows of the method.
        headline: the arm whose numbers are the headline.
        trained: the arms that are trained cells, in the order of params.yaml.
        level: confidence level of intervals.
        split: the split that was evaluated.
        vqa_variant: the variant of VQA accuracy that is the headline's.
    """

    rows: Sequence[Row]
    headline: str
    trained: Sequence[str]
    level: float
    split: str = "test"
    vqa_variant: str = "official"

    @cached_property
    def measures(self) -> list[Measure]:
        """Measures with a number over all items."""
        return measures(select(self.rows, subset="all", split=self.split), self.vqa_variant)

    def measure(self, task: str, metric: str, variant: str | None = None) -> Measure | None:
        """The measure of this name; ``variant`` None takes the first (the usual) one."""
        for measure in self.measures:
            if measure.task == task and measure.metric == metric and variant in (None, measure.variant):
                return measure
        return None

    def get(
        self, measure: Measure | None, arm: str | None = None, control: str | None = None, subset: str = "all"
    ) -> Estimate | None:
        """The number of ``arm`` (None = the headline arm) under ``control``; None if it is not there."""
        if measure is None:
            return None
        fitting = [row for row in self.rows if measure.of(row)]
        return estimate(select(fitting, arm=arm or self.headline, control=control, subset=subset), self.level)

    def missing(self, measure: Measure) -> str | None:
        """Why the headline arm has no number of ``measure``, where its row says so."""
        rows = [row for row in self.rows if measure.of(row) and row.arm == self.headline and row.value is None]
        return next((row.note for row in rows if row.note), None)

    @cached_property
    def entities(self) -> list[tuple[str, str | None]]:
        """(arm, control) pairs that have numbers over all items: trained arms first, in params order."""
        found = dict.fromkeys((row.arm, row.control) for row in select(self.rows, subset="all", split=self.split))
        order = {arm: index for index, arm in enumerate([self.headline, *self.trained])}
        return sorted(found, key=lambda pair: (order.get(pair[0], len(order)), pair[1] is not None))

    def subsets(self, prefix: str, task: str) -> list[str]:
        """The names of the subsets of ``task`` that start with ``prefix``, without the prefix, in file order."""
        rows = select(self.rows, task=task, split=self.split)
        return list(dict.fromkeys(row.subset[len(prefix) :] for row in rows if row.subset.startswith(prefix)))
