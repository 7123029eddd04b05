"""The kinds of records, and ``records.jsonl``."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from vldistill.files import read_jsonl, write_jsonl
from vldistill.records.fields import Row, Token, Unique

SPLITS = ("train", "dev", "test")
UNLABELLED = "unlabelled"
"""The split of official test parts whose labels are kept back, for leaderboard files only: VCR's, VQA v2's, and the
COCO images that VQA v2's are about."""
LABELS = ("entailment", "neutral", "contradiction")
CHOICES = 4
RECORDS = "records.jsonl"


@dataclass(frozen=True, slots=True)
class CaptionRecord:
    """An image with its captions (cc3m, coco, nocaps).

    Attributes:
        id: unique in the data set; the official image id where there is one.
        image: key of the image in the set's ``images.zip``.
        captions: one or more; none of an unlabelled image.
        split: train, dev, test or unlabelled.
        domain: in-domain, near-domain or out-domain, where the set tells.
    """

    id: str
    image: str
    captions: list[str]
    split: str
    domain: str | None = None


@dataclass(frozen=True, slots=True)
class QuestionRecord:
    """A question on an image (vqav2, okvqa, domains).

    Attributes:
        id: the official question id.
        image: key of the image in ``images.zip`` of ``image_set``.
        image_set: coco or nocaps.
        question: as the file has it.
        answers: ten, one an annotator (OK-VQA: five annotators, each twice, stemmed); none of an unlabelled question.
        answer_type: yes/no, number or other; empty for an unlabelled question.
        question_type: VQAv2's question prefix, or OK-VQA's category; empty for an unlabelled question.
        split: train, dev, test or unlabelled.
        domain: the image's NoCaps domain, where it has one.
    """

    id: str
    image: str
    image_set: str
    question: str
    answers: list[str]
    answer_type: str
    question_type: str
    split: str
    domain: str | None = None


@dataclass(frozen=True, slots=True)
class TextRecord:
    """A text (corpus), or a text with the target that should follow it (reading, summary).

    Attributes:
        id: unique in the data set.
        text: the document; for reading the document and its question.
        target: the answer or summary; None in the corpus.
        kind: the kind of document; the task's name in the tasks.
        split: train, dev or test.
    """

    id: str
    text: str
    target: str | None
    kind: str
    split: str


@dataclass(frozen=True, slots=True)
class EntailmentRecord:
    """An image and a hypothesis about it (snli_ve). The premise is the image; SNLI's sentence is not kept.

    Attributes:
        id: the official pairID.
        image: key of the image in ``images.zip`` of flickr30k.
        hypothesis: the sentence to judge.
        label: one of `LABELS`.
        split: train, dev or test.
    """

    id: str
    image: str
    hypothesis: str
    label: str
    split: str


@dataclass(frozen=True, slots=True)
class ChoiceRecord:
    """A question on an image with four answers and four rationales (vcr).

    A token is a word or a list of indices of the image's objects, which are the boxes of its `RegionsRecord`.

    Attributes:
        id: the official annot_id.
        image: key of the image in ``images.zip``, the official img_fn.
        movie: what may not be cut by a split: images of one movie look alike.
        objects: class names.
        question: tokens.
        answers: four token lists.
        answer_label: index of the right answer; None where it is not public.
        rationales: four token lists.
        rationale_label: index of the right rationale, given the right answer; None where it is not public.
        split: train, dev, test or unlabelled.
    """

    id: str
    image: str
    movie: str
    objects: list[str]
    question: list[Token]
    answers: list[list[Token]]
    answer_label: int | None
    rationales: list[list[Token]]
    rationale_label: int | None
    split: str


@dataclass(frozen=True, slots=True)
class PhraseRecord:
    """A phrase about one box of an image (vg).

    Attributes:
        id: the official region_id.
        image: key of the image in ``images.zip``.
        phrase: as the file has it.
        box: [x1, y1, x2, y2] in pixels of the image as annotated, whose size its `RegionsRecord` tells.
        split: train, dev or test.
    """

    id: str
    image: str
    phrase: str
    box: list[float]
    split: str


Record = CaptionRecord | QuestionRecord | TextRecord | EntailmentRecord | ChoiceRecord | PhraseRecord
R = TypeVar("R", CaptionRecord, QuestionRecord, TextRecord, EntailmentRecord, ChoiceRecord, PhraseRecord)


def write_records(folder: Path, records: Iterable[Record]) -> int:
    """Write ``records.jsonl`` into ``folder``; returns how many."""
    return write_jsonl(
        folder / RECORDS, ({name: getattr(record, name) for name in record.__slots__} for record in records)
    )


def read_captions(folder: str | Path) -> list[CaptionRecord]:
    """The caption records of the artifact ``folder``.

    Raises:
        InputError: the file is missing or broken; names the line and the field.
    """
    return _read(folder, CaptionRecord)


def read_questions(folder: str | Path) -> list[QuestionRecord]:
    """The question records of the artifact ``folder``; raises as `read_captions`."""
    return _read(folder, QuestionRecord)


def read_texts(folder: str | Path) -> list[TextRecord]:
    """The text records of the artifact ``folder``; raises as `read_captions`."""
    return _read(folder, TextRecord)


def read_entailments(folder: str | Path) -> list[EntailmentRecord]:
    """The entailment records of the artifact ``folder``; raises as `read_captions`."""
    return _read(folder, EntailmentRecord)


def read_choices(folder: str | Path) -> list[ChoiceRecord]:
    """The multiple-choice records of the artifact ``folder``; raises as `read_captions`."""
    return _read(folder, ChoiceRecord)


def read_phrases(folder: str | Path) -> list[PhraseRecord]:
    """The phrase records of the artifact ``folder``; raises as `read_captions`."""
    return _read(folder, PhraseRecord)


def _optional_text(row: Row, field: str) -> str | None:
    return None if row.value.get(field) is None else row.get(field, str)


def _split(row: Row, field: str) -> str:
    return row.choice(field, SPLITS)


def _official_split(row: Row, field: str) -> str:
    return row.choice(field, (*SPLITS, UNLABELLED))


def _public(read: Callable[[Row, str], Any], kept_back: Any) -> Callable[[Row, str], Any]:
    """A reader of a field that unlabelled records have ``kept_back`` in, and others as ``read`` wants it."""

    def field_of(row: Row, field: str) -> Any:
        unlabelled = row.value.get("split") == UNLABELLED and row.value.get(field) == kept_back
        return kept_back if unlabelled else read(row, field)

    return field_of


def _optional_index(row: Row, field: str) -> int | None:
    return None if row.value.get(field) is None else row.index(field, CHOICES)


def _tokens(row: Row, field: str) -> list[Token]:
    return row.tokens(field, len(row.names("objects")))


def _choices(row: Row, field: str) -> list[list[Token]]:
    return row.choices(field, CHOICES, len(row.names("objects")))


# how fields are read that are not just a text
_READ: dict[type, dict[str, Callable[[Row, str], Any]]] = {
    CaptionRecord: {"captions": _public(Row.texts, []), "domain": _optional_text, "split": _official_split},
    QuestionRecord: {
        "answers": _public(Row.texts, []),
        "answer_type": _public(Row.text, ""),
        "question_type": _public(Row.text, ""),
        "domain": _optional_text,
        "split": _official_split,
    },
    TextRecord: {"target": _optional_text},
    EntailmentRecord: {"label": lambda row, field: row.choice(field, LABELS)},
    ChoiceRecord: {
        "objects": Row.names,
        "question": _tokens,
        "answers": _choices,
        "rationales": _choices,
        "answer_label": _optional_index,
        "rationale_label": _optional_index,
        "split": _official_split,
    },
    PhraseRecord: {"box": lambda row, field: row.numbers(field, 4)},
}


def _read(folder: str | Path, kind: type[R]) -> list[R]:
    file = Path(folder) / RECORDS
    ids = Unique()
    readers: dict[str, Callable[[Row, str], Any]] = {"split": _split, **_READ[kind]}
    records = []
    for number, value in enumerate(read_jsonl(file), start=1):
        row = Row(value, file, f"line {number}")
        known = [field.name for field in dataclasses.fields(kind)]
        for field in row.value:
            if field not in known:
                raise row.error(f"unknown; a {kind.__name__} has {', '.join(known)}", field)
        values: dict[str, Any] = {field: readers.get(field, Row.text)(row, field) for field in known}
        ids.add(row, "id", values["id"])
        records.append(kind(**values))
    return records
