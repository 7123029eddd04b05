"""Scores of captions: every cell and control in one METEOR process, each on the whole set and on each domain."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from typing import Any

from vldistill.evaluate.ids import official_id
from vldistill.evaluate.metrics.captions import METRICS, CaptionScorer, CaptionScores
from vldistill.evaluate.metrics.java import java_problem
from vldistill.evaluate.metrics.meteor import Meteor
from vldistill.evaluate.score.rows import Bootstrap, Scored
from vldistill.params.evaluate import Spice
from vldistill.records import CaptionRecord

MEANS = ("ROUGE_L", "CIDEr", "SPICE")  # metrics that are the mean of their items; BLEU and METEOR are not
Captions = Mapping[Any, str]


class CaptionTasks:
    """Scores caption sets; a context manager that keeps METEOR running.

    Args:
        spice: where SPICE is computed.
        bootstrap: how intervals are drawn.
        start: start METEOR at once; false where there will be nothing to score.
    """

    def __init__(self, spice: Spice, bootstrap: Bootstrap, *, start: bool = True) -> None:
        self._spice, self._bootstrap, self._start = spice, bootstrap, start
        self._stack = ExitStack()
        self._meteor: Meteor | None = None

    def __enter__(self) -> CaptionTasks:
        if self._start and java_problem() is None:
            self._meteor = self._stack.enter_context(Meteor())
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()

    def score(
        self, task: str, entries: Sequence[dict[str, Any]], files: Sequence[Captions], records: Sequence[CaptionRecord]
    ) -> list[Scored]:
        """Scores of all files of one task, in the order of ``entries``."""
        found = [Scored(entry, "caption") for entry in entries]
        domains = sorted({record.domain for record in records if record.domain})
        whole = self._subset(task, found, files, records, "all")
        for scored, captions, scores in zip(found, files, whole, strict=True):
            for record in records:
                name = official_id(record.id)
                scored.item(record.id, captions[name], record.captions, scores["per_item"][name], record.image)
        for domain in domains:
            self._subset(task, found, files, [record for record in records if record.domain == domain], domain)
        return found

    def _subset(
        self,
        task: str,
        found: Sequence[Scored],
        files: Sequence[Captions],
        records: Sequence[CaptionRecord],
        subset: str,
    ) -> list[CaptionScores]:
        """Score the records of one subset as a set of its own: CIDEr depends on the set."""
        references = {official_id(record.id): record.captions for record in records}
        with_spice = [index for index, scored in enumerate(found) if self._has_spice(task, scored.entry)]
        plain = [index for index in range(len(found)) if index not in with_spice]
        scores: dict[int, CaptionScores] = {}
        for mode, indices in ((self._spice.mode, with_spice), ("off", plain)):
            if indices:
                with CaptionScorer(references, spice=mode, meteor=self._meteor) as scorer:
                    scores |= scorer.score_many({i: {key: files[i][key] for key in references} for i in indices})
        for index, scored in enumerate(found):
            self._add(scored, scores[index], records, subset)
        return [scores[index] for index in range(len(found))]

    def _has_spice(self, task: str, entry: dict[str, Any]) -> bool:
        seeded = entry["seed"] is not None and entry["seed"] < self._spice.seeds
        return task in self._spice.tasks and entry["arm"] in self._spice.arms and entry["control"] is None and seeded

    def _add(self, scored: Scored, scores: CaptionScores, records: Iterable[CaptionRecord], subset: str) -> None:
        metrics, items = scores["metrics"], scores["per_item"]
        images = {official_id(record.id): record.image for record in records}
        for metric in METRICS:
            reason = metrics.get("SPICE_reason") if metric == "SPICE" else metrics.get("reason")
            if metric == "SPICE" and not self._has_spice(scored.entry["task"], scored.entry):
                continue
            interval = None
            if metric in MEANS and metrics[metric] is not None:
                interval = self._bootstrap.interval(
                    [items[key][metric] for key in images], [images[key] for key in images]
                )
            scored.add(
                metric,
                metrics[metric],
                unit="fraction",
                n=metrics["n"],
                subset=subset,
                interval=interval,
                reason=reason if metrics[metric] is None else None,
            )
