"""BLEU-1..4, METEOR, ROUGE-L, CIDEr and SPICE exactly as the COCO caption evaluation gives them.

The scorers are pycocoevalcap's own, called one by one. Around them: Java run safely (`java`), METEOR and SPICE beside
the rest, references tokenised and parsed once for any number of hypothesis sets. CIDEr stands for what the COCO
evaluation calls so (CIDEr-D with document frequencies of the evaluated set, hence never an average of shards).
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from copy import copy
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, TypedDict

from vldistill.errors import InputError, VldistillError
from vldistill.evaluate.metrics.java import JavaError, java_problem
from vldistill.evaluate.metrics.meteor import Meteor
from vldistill.evaluate.metrics.spice import Jars, cache_path, find_jars, spice_scores
from vldistill.evaluate.metrics.tokenizer import tokenize

SpiceMode = Literal["auto", "required", "off"]
METRICS = ("Bleu_1", "Bleu_2", "Bleu_3", "Bleu_4", "METEOR", "ROUGE_L", "CIDEr", "SPICE")


class CaptionScores(TypedDict):
    """Scores of one hypothesis set.

    metrics: the eight of `METRICS` as fractions (CIDEr is not bounded by 1) or None, ``n``, and where something is
        None the reason: ``SPICE_reason`` for SPICE alone, ``reason`` if nothing could be computed.
    per_item: the same metrics of each id.
    """

    metrics: dict[str, Any]
    per_item: dict[Any, dict[str, float]]


def check_ids(
    wanted: Mapping[Any, Any],
    given: Mapping[Any, Any],
    *,
    file: str | Path | None = None,
    what: str = "a result",
    where: str = "references",
) -> None:
    """Check that both hold exactly the same ids.

    Args:
        wanted: has the ids there shall be.
        given: what is checked.
        file: where ``given`` comes from.
        what: what ``given`` holds, for the message.
        where: what ``wanted`` is, for the message.

    Raises:
        InputError: they do not; names how many and the first few.
    """
    if not wanted:
        raise InputError("there is nothing to score", file=file, action=f"The {where} are empty")
    missing = [key for key in wanted if key not in given]
    extra = [key for key in given if key not in wanted]
    for keys, problem, action in (
        (missing, f"without {what}", f"Add them, or use {where} with only the ids that have {what}"),
        (extra, f"that are not in the {where}", f"Remove them, or use the {where} they belong to"),
    ):
        if keys:
            sample = ", ".join(map(repr, keys[:5]))
            raise InputError(f"{len(keys)} ids {problem}: {sample}", file=file, record=keys[0], action=action)


class CaptionScorer:
    """Scores any number of hypothesis sets against one reference set; a context manager.

    Tokenising and parsing the references and loading METEOR happen once. Pass a `Meteor` to share it between
    reference sets.

    Args:
        references: captions by id, one or more each.
        spice: `auto` gives None and the reason where SPICE cannot run, `required` an error, `off` None.
        cache: folder for SPICE's parses; by default the user's cache folder.
        corenlp: folder of SPICE's jars; by default $VLDISTILL_CORENLP, then the user's cache folder.
        meteor: a running METEOR.

    Raises:
        InputError: an id has no reference.
        VldistillError: SPICE is required and cannot run.
    """

    def __init__(
        self,
        references: Mapping[Any, Sequence[str]],
        *,
        spice: SpiceMode = "auto",
        cache: str | Path | None = None,
        corenlp: str | Path | None = None,
        meteor: Meteor | None = None,
    ) -> None:
        for key, captions in references.items():
            if isinstance(captions, str) or not captions:
                raise InputError("no list of reference captions", record=key, action="Give each id one caption or more")
        self._ids = list(references)
        self._spice_required = spice == "required"
        self._own_meteor: Meteor | None = None
        self.reason = java_problem()
        self._jars, self._spice_reason = _spice_choice(spice, corenlp, self.reason)
        if self.reason is None:
            self._meteor = meteor or Meteor()
            self._own_meteor = self._meteor if meteor is None else None
            flat = tokenize([caption for key in self._ids for caption in references[key]])
            parts = iter(flat)
            self._references = [[next(parts) for _ in references[key]] for key in self._ids]
            self._parses = cache_path(self._references, cache)

    def part(self, ids: Iterable[Any]) -> CaptionScorer:
        """A scorer of some of the ids as a set of their own (CIDEr depends on the set).

        It shares what this one has started, tokenised and parsed, and ends with it.

        Raises:
            InputError: an id has no references here.
        """
        chosen = dict.fromkeys(ids)
        rows = {key: row for row, key in enumerate(self._ids)}
        unknown = [key for key in chosen if key not in rows]
        if unknown:
            raise InputError(f"{len(unknown)} ids without references", record=unknown[0], action="Choose other ids")
        scorer = copy(self)
        scorer._ids = list(chosen)
        scorer._own_meteor = None
        if self.reason is None:
            scorer._references = [self._references[rows[key]] for key in chosen]
        return scorer

    def score(self, hypotheses: Mapping[Any, str]) -> CaptionScores:
        """Score one hypothesis set: one caption for every id of the references.

        Raises:
            InputError: the ids differ from the references', or a caption is no text.
            JavaError: a Java program failed.
        """
        return self.score_many({"": hypotheses})[""]

    def score_many(
        self, sets: Mapping[Hashable, Mapping[Any, str]], *, spice_only: bool = False
    ) -> dict[Any, CaptionScores]:
        """Score several hypothesis sets; the same numbers as `score`, with one start of each Java program for all.

        With ``spice_only`` all other metrics are None.
        """
        for hypotheses in sets.values():
            check_ids(dict.fromkeys(self._ids), hypotheses)
            for key, caption in hypotheses.items():
                if not isinstance(caption, str):
                    raise InputError(f"the caption is {type(caption).__name__}, not text", record=key)
        if self.reason is not None:
            return {name: self._nothing() for name in sets}
        names = list(sets)
        flat = iter(tokenize([sets[name][key] for name in names for key in self._ids]))
        tokenized = {name: [next(flat) for _ in self._ids] for name in names}
        with ThreadPoolExecutor(2) as pool:
            spice = pool.submit(self._spice, [tokenized[name] for name in names])
            others = () if spice_only else names
            meteor = {name: pool.submit(self._meteor.score, tokenized[name], self._references) for name in others}
            plain = {name: _plain(tokenized[name], self._references) for name in others}
            found = {name: {**plain[name], "METEOR": meteor[name].result()} for name in others}
            fractions, reason = spice.result()
            return {
                name: self._assemble(found.get(name, {}), each, reason)
                for name, each in zip(names, fractions, strict=True)
            }

    def _spice(self, sets: list[list[str]]) -> tuple[list[list[float]] | list[None], str | None]:
        """SPICE of each set, or why there is none."""
        nothing: list[None] = [None] * len(sets)
        if self._jars is None:
            return nothing, self._spice_reason
        try:
            return spice_scores(sets, self._references, self._jars, self._parses), None
        except JavaError as error:
            if self._spice_required:
                raise
            return nothing, str(error)

    def _assemble(
        self,
        others: dict[str, tuple[float, list[float]]],
        spice: list[float] | None,
        reason: str | None,
    ) -> CaptionScores:
        from numpy import mean

        found = {**others, **({} if spice is None else {"SPICE": (float(mean(spice)), spice)})}
        metrics: dict[str, Any] = {name: found[name][0] if name in found else None for name in METRICS}
        if spice is None:
            metrics["SPICE_reason"] = reason
        per_item = {
            key: {name: float(found[name][1][index]) for name in METRICS if name in found}
            for index, key in enumerate(self._ids)
        }
        return {"metrics": {**metrics, "n": len(self._ids)}, "per_item": per_item}

    def _nothing(self) -> CaptionScores:
        metrics: dict[str, Any] = dict.fromkeys(METRICS)
        metrics |= {"SPICE_reason": self._spice_reason, "reason": self.reason, "n": len(self._ids)}
        return {"metrics": metrics, "per_item": {key: {} for key in self._ids}}

    def close(self) -> None:
        """End the METEOR this scorer started."""
        if self._own_meteor is not None:
            self._own_meteor.close()

    def __enter__(self) -> CaptionScorer:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self.close()


def score_captions(
    references: Mapping[Any, Sequence[str]],
    hypotheses: Mapping[Any, str],
    *,
    spice: SpiceMode = "auto",
    cache: str | Path | None = None,
    corenlp: str | Path | None = None,
) -> CaptionScores:
    """Score one hypothesis set; arguments, result and errors as `CaptionScorer` and its `score`."""
    check_ids(references, hypotheses)
    with CaptionScorer(references, spice=spice, cache=cache, corenlp=corenlp) as scorer:
        return scorer.score(hypotheses)


def _spice_choice(
    mode: SpiceMode, corenlp: str | Path | None, java_reason: str | None
) -> tuple[Jars | None, str | None]:
    if mode == "off":
        return None, "switched off"
    if java_reason is not None:
        if mode == "required":
            raise VldistillError(java_reason)
        return None, java_reason
    try:
        return find_jars(corenlp), None
    except VldistillError as error:
        if mode == "required":
            raise
        return None, str(error)


def _plain(hypotheses: list[str], references: list[list[str]]) -> dict[str, tuple[float, list[float]]]:
    """The metrics that need no Java, of tokenised captions: overall and each."""
    from pycocoevalcap.bleu.bleu import Bleu
    from pycocoevalcap.cider.cider import Cider
    from pycocoevalcap.rouge.rouge import Rouge

    targets = dict(enumerate(references))
    captions = {index: [caption] for index, caption in enumerate(hypotheses)}
    overall, each = Bleu(4).compute_score(targets, captions, verbose=0)
    scores = {f"Bleu_{order + 1}": (float(overall[order]), each[order]) for order in range(4)}
    for name, scorer in (("ROUGE_L", Rouge()), ("CIDEr", Cider())):
        value, values = scorer.compute_score(targets, captions)
        scores[name] = (float(value), values.tolist())
    return scores
