"""Texts as the teachers are given them: what a task judges, its words, and the phrases of the student's pre-training.

Objects that a text names by a tag (VCR's token lists, ``[2]`` in a phrase) are written as their class, since no teacher
knows tags. VCR's test answers are there as its rules rewrite them, too: rewritten here by the function that the split
stage uses, so that features need no splits. The store of an encoder's texts holds each different text once, under its
`store.sentence_key`.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from vldistill import layout
from vldistill.artifact import absence
from vldistill.params.features import Features, VcrText
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
SEGMENT = "\x1f"
"""Stands between the segments of a text that is judged; white space to Python, and part of no word."""


@dataclass(frozen=True)
class Wording:
    """How texts are put to the teachers, see `params.Features`.

    Attributes:
        tagged_as: what every object is called, where it is given; else by its class.
        vcr_text: what is read of VCR.
    """

    tagged_as: str = ""
    vcr_text: VcrText = "choice"

    @classmethod
    def of(cls, options: Features) -> Wording:
        """The wording that an experiment asks for."""
        return cls(options.tagged_as, options.vcr_text)


PLAIN = Wording()


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


def judged(asked: Sequence[Sequence[Token]], choice: Sequence[Token], objects: Sequence[str], wording: Wording) -> str:
    """What a teacher reads of one of VCR's choices.

    Args:
        asked: what stands before the choice: the question and, before a rationale, the answer.
        choice: an answer or a rationale.
        objects: class of each object.
        wording: tells whether ``asked`` is read at all.

    Returns:
        One text; `SEGMENT` stands between its segments.
    """
    read = [*asked, choice] if wording.vcr_text == "question_choice" else [choice]
    return SEGMENT.join(spelled(tokens, objects, wording.tagged_as) for tokens in read)


def segments_of(text: str) -> int:
    """How many segments a text of `judged` has."""
    return text.count(SEGMENT) + 1


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


def texts_of(root: str | Path, wording: Wording = PLAIN, tagged: Collection[str] = (PERSON,)) -> list[str]:
    """Every text that a teacher must have a vector of, sorted: texts of the tasks, phrases, and the words of both.

    Args:
        root: project root.
        wording: how they are put.
        tagged: classes of objects whose tags VCR's rules replace (`split.pronouns.rewrite`).
    """
    found: set[str] = set()
    for dataset in SETS:
        folder = layout.download(root, dataset)
        if absence(folder) is None:
            found |= _of_set(dataset, folder, wording, tagged)
    return sorted(found | {word for text in found for part in text.split() if (word := bare(part))})


def _of_set(dataset: str, folder: Path, wording: Wording, tagged: Collection[str]) -> set[str]:
    if dataset == "snli_ve":
        return {record.hypothesis for record in read_entailments(folder)}
    if dataset == "vqav2":
        return {record.question for record in read_questions(folder)}
    if dataset == "vcr":
        return {text for record in _choices(folder, tagged) for text in _of_choices(record, wording)}
    return set(_phrases(folder, read_regions(folder), wording.tagged_as))


def _of_choices(record: ChoiceRecord, wording: Wording) -> Iterator[str]:
    """Its answers, and its rationales given the right answer; where that is not public, given each, as for a board."""
    label = record.answer_label
    given = record.answers if label is None else [record.answers[label]]
    for answer in record.answers:
        yield judged([record.question], answer, record.objects, wording)
    for answer in given:
        for rationale in record.rationales:
            yield judged([record.question, answer], rationale, record.objects, wording)


def _choices(folder: Path, tagged: Collection[str]) -> Iterator[ChoiceRecord]:
    """The records of VCR, and the test items as the rules rewrite them."""
    for record in read_choices(folder):
        yield record
        if record.split == "test":
            yield from (done for rule in RULES if (done := rewrite(record, rule, tagged)) is not None)


def _phrases(folder: Path, boxes: Mapping[str, RegionsRecord], tagged_as: str) -> Iterable[str]:
    return (untagged(record.phrase, boxes[record.image].names, tagged_as) for record in read_phrases(folder))
