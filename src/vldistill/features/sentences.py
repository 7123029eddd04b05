"""Texts as the teachers are given them: what a task judges, its words, and the phrases of the student's pre-training.

Objects that a text names by a tag (VCR's token lists, ``[2]`` in a phrase) are written as their class, since no teacher
knows tags. VCR's test answers are there as its rules rewrite them, too: rewritten here by the function that the split
stage uses, so that features need no splits. The store of an encoder's texts holds each different text once, under its
`store.sentence_key`.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from vldistill import layout
from vldistill.artifact import absence
from vldistill.records import (
    ChoiceRecord,
    RegionsRecord,
    Token,
    read_choices,
    read_entailments,
    read_phrases,
    read_questions,
    read_regions,
)
from vldistill.split.pronouns import PERSON, RULES, rewrite

SETS = ("snli_ve", "vcr", "vqav2", "vg")
"""The sets whose texts are encoded; one that an experiment lacks is left out."""
TAG = re.compile(r"\[(\d+)\]")
EDGES = ".,;:!?'\"()"


def spelled(tokens: Sequence[Token], objects: Sequence[str], tagged_as: str = "") -> str:
    """A VCR text in words: each object is called by its class.

    Args:
        tokens: words and lists of object indices.
        objects: class of each object.
        tagged_as: what every object is called instead, where it is given.
    """
    return " ".join(
        token if isinstance(token, str) else " and ".join(tagged_as or objects[index] for index in token)
        for token in tokens
    )


def untagged(phrase: str, names: Sequence[str], tagged_as: str = "") -> str:
    """A phrase with its tags ``[i]`` written as the class of object i; a tag of no object stays."""

    def name(found: re.Match[str]) -> str:
        index = int(found[1])
        known = index < len(names) and names[index]
        return (tagged_as or names[index]) if known else found[0]

    return TAG.sub(name, phrase)


def bare(word: str) -> str:
    """A word of a text as it is encoded alone: in small letters, without punctuation around it; may be empty."""
    return word.lower().strip(EDGES)


def texts_of(root: str | Path, tagged_as: str = "", tagged: Collection[str] = (PERSON,)) -> list[str]:
    """Every text that a teacher must have a vector of, sorted: texts of the tasks, phrases, and the words of both.

    Args:
        root: project root.
        tagged_as: as `spelled`.
        tagged: classes of objects whose tags VCR's rules replace (`split.pronouns.rewrite`).
    """
    found: set[str] = set()
    for dataset in SETS:
        folder = layout.download(root, dataset)
        if absence(folder) is None:
            found |= _of_set(dataset, folder, tagged_as, tagged)
    return sorted(found | {word for text in found for part in text.split() if (word := bare(part))})


def _of_set(dataset: str, folder: Path, tagged_as: str, tagged: Collection[str]) -> set[str]:
    if dataset == "snli_ve":
        return {record.hypothesis for record in read_entailments(folder)}
    if dataset == "vqav2":
        return {record.question for record in read_questions(folder)}
    if dataset == "vcr":
        return {
            spelled(choice, record.objects, tagged_as)
            for record in _choices(folder, tagged)
            for choice in (*record.answers, *record.rationales)
        }
    return set(_phrases(folder, read_regions(folder), tagged_as))


def _choices(folder: Path, tagged: Collection[str]) -> Iterator[ChoiceRecord]:
    """The records of VCR, and the test items as the rules rewrite them."""
    for record in read_choices(folder):
        yield record
        if record.split == "test":
            yield from (done for rule in RULES if (done := rewrite(record, rule, tagged)) is not None)


def _phrases(folder: Path, boxes: Mapping[str, RegionsRecord], tagged_as: str) -> Iterable[str]:
    return (untagged(record.phrase, boxes[record.image].names, tagged_as) for record in read_phrases(folder))
