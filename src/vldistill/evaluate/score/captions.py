"""Scores of captions: every cell and control in one METEOR process, each on the whole set and on each domain.

SPICE has a round of its own, since parsing is slow: of some arms only, and where asked on the first images only. Its
Java works beside everything else.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

from vldistill.evaluate.ids import official_id
from vldistill.evaluate.metrics.captions import METRICS, CaptionScorer, CaptionScores, SpiceMode
from vldistill.evaluate.metrics.java import java_problem
from vldistill.evaluate.metrics.meteor import Meteor
from vldistill.evaluate.score.rows import Bootstrap, Scored, rounded
from vldistill.params.evaluate import Spice
from vldistill.records import CaptionRecord

SPICE = "SPICE"
PLAIN = tuple(metric for metric in METRICS if metric != SPICE)
MEANS = ("ROUGE_L", "CIDEr", SPICE)  # metrics that are the mean of their items; BLEU and METEOR are not
Captions = Mapping[Any, str]


@dataclass(frozen=True)
class Part:
    """What `CaptionScorer` says about all records or one domain: scores by the number of their file."""

    subset: str
    records: list[CaptionRecord]
    scores: dict[int, CaptionScores]


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
        few = records[: self._spice.images or None]
        with_spice = {index: files[index] for index, scored in enumerate(found) if self._has_spice(task, scored.entry)}
        with ThreadPoolExecutor(1) as pool:
            spice = pool.submit(lambda: list(self._scores(with_spice, few, self._spice.mode)) if with_spice else [])
            for part in self._scores(dict(enumerate(files)), records, None):
                self._add_all(found, files, part, PLAIN)
            for part in spice.result():
                self._add_all(found, files, part, (SPICE,))
        return found

    def _scores(
        self, files: Mapping[int, Captions], records: Sequence[CaptionRecord], spice: SpiceMode | None
    ) -> Iterator[Part]:
        """Scores of all records, then of each domain as a set of its own, since CIDEr depends on the set.

        With a mode for ``spice`` it is SPICE alone, else all but SPICE.
        """
        domains = sorted({record.domain for record in records if record.domain})
        references = {official_id(record.id): record.captions for record in records}
        with CaptionScorer(references, spice=spice or "off", meteor=self._meteor) as scorer:
            for subset in ("all", *domains):
                of_it = [record for record in records if subset in ("all", record.domain)]
                names = [official_id(record.id) for record in of_it]
                chosen: dict[Hashable, Captions] = {
                    index: {name: captions[name] for name in names} for index, captions in files.items()
                }
                part = scorer if subset == "all" else scorer.part(names)
                yield Part(subset, of_it, part.score_many(chosen, spice_only=spice is not None))

    def _add_all(self, found: Sequence[Scored], files: Sequence[Captions], part: Part, metrics: Sequence[str]) -> None:
        for index, scores in part.scores.items():
            self._add(found[index], scores, part.records, part.subset, metrics)
            if part.subset == "all":
                _add_items(found[index], files[index], scores, part.records, metrics)

    def _has_spice(self, task: str, entry: dict[str, Any]) -> bool:
        seeded = entry["seed"] is not None and entry["seed"] < self._spice.seeds
        return task in self._spice.tasks and entry["arm"] in self._spice.arms and entry["control"] is None and seeded

    def _add(
        self,
        scored: Scored,
        scores: CaptionScores,
        records: Iterable[CaptionRecord],
        subset: str,
        metrics: Sequence[str],
    ) -> None:
        values, items = scores["metrics"], scores["per_item"]
        images = {official_id(record.id): record.image for record in records}
        for metric in metrics:
            reason = values.get("SPICE_reason") if metric == SPICE else values.get("reason")
            interval = None
            if metric in MEANS and values[metric] is not None:
                interval = self._bootstrap.interval(
                    [items[key][metric] for key in images], [images[key] for key in images]
                )
            scored.add(
                metric,
                values[metric],
                unit="fraction",
                n=values["n"],
                subset=subset,
                interval=interval,
                reason=reason if values[metric] is None else None,
            )


def _add_items(
    scored: Scored,
    captions: Captions,
    scores: CaptionScores,
    records: Iterable[CaptionRecord],
    metrics: Sequence[str],
) -> None:
    """Add the scores of each image; a later set of metrics joins the items of the first."""
    known = {item["id"]: item for item in scored.items}
    for record in records:
        name = official_id(record.id)
        found = {metric: value for metric, value in scores["per_item"][name].items() if metric in metrics}
        if record.id in known:
            known[record.id]["scores"] |= {metric: rounded(value) for metric, value in found.items()}
        else:
            scored.item(record.id, captions[name], record.captions, found, record.image)
