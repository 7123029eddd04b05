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
        references = {official_id(record.id): record.captions for record in records}
        with_spice = [index for index, scored in enumerate(found) if self._has_spice(task, scored.entry)]
        plain = [index for index in range(len(found)) if index not in with_spice]
        for mode, indices in ((self._spice.mode, with_spice), ("off", plain)):
            if indices:
                with CaptionScorer(references, spice=mode, meteor=self._meteor) as scorer:
                    self._score(scorer, {index: found[index] for index in indices}, files, records)
        return found

    def _score(
        self,
        scorer: CaptionScorer,
        found: Mapping[int, Scored],
        files: Sequence[Captions],
        records: Sequence[CaptionRecord],
    ) -> None:
        """Score all records, then each domain as a set of its own, since CIDEr depends on the set."""
        domains = sorted({record.domain for record in records if record.domain})
        for subset in ("all", *domains):
            of_it = [record for record in records if subset in ("all", record.domain)]
            names = [official_id(record.id) for record in of_it]
            part = scorer if subset == "all" else scorer.part(names)
            scores = part.score_many({index: {name: files[index][name] for name in names} for index in found})
            for index, scored in found.items():
                self._add(scored, scores[index], of_it, subset)
                if subset == "all":
                    _add_items(scored, files[index], scores[index], records)

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


def _add_items(scored: Scored, captions: Captions, scores: CaptionScores, records: Iterable[CaptionRecord]) -> None:
    for record in records:
        name = official_id(record.id)
        scored.item(record.id, captions[name], record.captions, scores["per_item"][name], record.image)
