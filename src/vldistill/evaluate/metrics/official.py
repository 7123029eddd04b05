"""Readers of the official files that the `score` commands take, with every defect named by file, record and field."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from vldistill.errors import InputError
from vldistill.evaluate.metrics.captions import check_ids
from vldistill.evaluate.metrics.question_types import question_type
from vldistill.evaluate.metrics.vqa import VARIANTS, VqaItem, VqaScores, score_answers
from vldistill.evaluate.metrics.vqa_formula import ANSWERS
from vldistill.files import read_json

TYPES: dict[type, str] = {str: "text", int: "an integer", list: "a list", dict: "an object", bool: "true or false"}


class Source:
    """A parsed JSON file (or a parsed value under a name) whose records are checked as they are read."""

    def __init__(self, name: str | Path, value: Any) -> None:
        self.name, self.value = name, value

    @classmethod
    def read(cls, path: str | Path) -> Source:
        """Read a JSON file; errors as `files.read_json`."""
        return cls(path, read_json(path))

    def records(self, key: str | None) -> Iterator[tuple[str, dict[str, Any]]]:
        """The records of the list under ``key`` (None: the file is the list), each with its name for messages."""
        found = self.value
        if key is not None:
            if not isinstance(found, dict):
                raise self.error(f"is {_kind(found)}, expected an object with a list '{key}'")
            if key not in found:
                raise self.error("is missing", None, key)
            found = found[key]
        if not isinstance(found, list):
            raise self.error(f"is {_kind(found)}, expected a list of records", None, key)
        for index, record in enumerate(found):
            name = f"{key}[{index}]" if key else f"[{index}]"
            if not isinstance(record, dict):
                raise self.error(f"is {_kind(record)}, expected an object", name)
            yield name, record

    def field(self, name: str, record: dict[str, Any], key: str, *kinds: type) -> Any:
        """The value of ``key`` if it is of one of the types.

        Raises:
            InputError: the key is missing or its value has another type.
        """
        if key not in record:
            raise self.error("is missing", name, key)
        value = record[key]
        # bool is a subclass of int, and `true` is no id
        if not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds):
            expected = " or ".join(TYPES[kind] for kind in kinds)
            raise self.error(f"is {_kind(value)}, expected {expected}", name, key)
        return value

    def error(self, problem: str, record: str | None = None, field: str | None = None) -> InputError:
        """An InputError about this file."""
        return InputError(problem, file=self.name, record=record, field=field, action="Mend or fetch the file again")


def _kind(value: Any) -> str:
    return TYPES.get(type(value), {type(None): "null", float: "a number"}.get(type(value), type(value).__name__))


def caption_references(source: Source) -> dict[int | str, list[str]]:
    """Captions by image id of a COCO captions file: {images: [{id}], annotations: [{image_id, id, caption}]}.

    Raises:
        InputError: broken, an annotation's image is not among the images, or an image has no caption.
    """
    images: set[int | str] = set()
    listed = isinstance(source.value, dict) and "images" in source.value
    for name, record in source.records("images") if listed else ():
        key = source.field(name, record, "id", int, str)
        if key in images:
            raise source.error(f"{key!r} is there twice", name, "id")
        images.add(key)
    captions: dict[int | str, list[str]] = {}
    seen: set[int | str] = set()
    for name, record in source.records("annotations"):
        key = source.field(name, record, "image_id", int, str)
        caption = source.field(name, record, "caption", str)
        if listed and key not in images:
            raise source.error(f"image {key!r} is not among the file's images", name, "image_id")
        if "id" in record:
            own = source.field(name, record, "id", int, str)
            if own in seen:
                raise source.error(f"{own!r} is there twice", name, "id")
            seen.add(own)
        captions.setdefault(key, []).append(caption)
    for key in sorted(images - captions.keys(), key=str):
        raise source.error("has no caption", f"image {key!r}", "annotations")
    return captions


def caption_results(source: Source) -> dict[int | str, str]:
    """Captions by image id of a results file: [{image_id, caption}], one for each image."""
    return _results(source, "image_id", "caption", int, str)


def vqa_results(source: Source) -> dict[int | str, str]:
    """Answers by question id of a results file: [{question_id, answer}]."""
    return _results(source, "question_id", "answer", int, str)


def _results(source: Source, id_key: str, text_key: str, *kinds: type) -> dict[int | str, str]:
    found: dict[int | str, str] = {}
    for name, record in source.records(None):
        key = source.field(name, record, id_key, *kinds)
        text = source.field(name, record, text_key, str)
        if key in found:
            raise source.error(f"{key!r} is there twice, expected one result each", name, id_key)
        found[key] = text
    return found


def vqa_items(questions: Source, annotations: Source) -> list[VqaItem]:
    """Ground truth of VQA-format files, in the questions' order.

    Questions {questions: [{question_id, image_id, question}]}; annotations {annotations: [{question_id, answers: ten
    of {answer}, answer_type, question_type}]}. An annotation without a question type gets the official one by prefix.

    Raises:
        InputError: broken, or the two files' question ids differ.
    """
    texts: dict[int | str, str] = {}
    for name, record in questions.records("questions"):
        key = questions.field(name, record, "question_id", int, str)
        if key in texts:
            raise questions.error(f"{key!r} is there twice", name, "question_id")
        texts[key] = questions.field(name, record, "question", str)
    items: dict[int | str, VqaItem] = {}
    for name, record in annotations.records("annotations"):
        key = annotations.field(name, record, "question_id", int, str)
        if key in items:
            raise annotations.error(f"{key!r} is there twice", name, "question_id")
        typed = "question_type" in record
        kind = annotations.field(name, record, "question_type", str) if typed else question_type(texts.get(key, ""))
        answers = _answers(annotations, name, record)
        items[key] = VqaItem(key, answers, annotations.field(name, record, "answer_type", str), kind)
    check_ids(texts, items, file=annotations.name, what="an annotation", where="questions")
    return [items[key] for key in texts]


def _answers(source: Source, name: str, record: dict[str, Any]) -> tuple[str, ...]:
    given = source.field(name, record, "answers", list)
    if len(given) != ANSWERS:
        raise source.error(f"holds {len(given)} answers, expected {ANSWERS}", name, "answers")
    answers = []
    for index, answer in enumerate(given):
        place = f"{name}.answers[{index}]"
        if not isinstance(answer, dict):
            raise source.error(f"is {_kind(answer)}, expected an object", place)
        answers.append(source.field(place, answer, "answer", str))
    return tuple(answers)


def score_vqa(
    questions: Any,
    annotations: Any,
    results: Any,
    variants: tuple[str, ...] = VARIANTS,
    *,
    canonicalise: bool = False,
    stemmed: bool = False,
) -> VqaScores:
    """Score parsed official files (or `Source`s of them); see `vqa_items`, `vqa_results` and `vqa.score_answers`."""
    named = (("questions", questions), ("annotations", annotations), ("results", results))
    first, second, third = (value if isinstance(value, Source) else Source(name, value) for name, value in named)
    return score_answers(
        vqa_items(first, second),
        vqa_results(third),
        variants=variants,
        canonicalise=canonicalise,
        stemmed=stemmed,
        file=third.name,
    )
