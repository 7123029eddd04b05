"""Questions and annotations in VQAv2's format, which OK-VQA and our NoCaps questions use as well."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from vldistill.files import read_json
from vldistill.records.fields import Row, Unique, document, listing
from vldistill.records.places import find
from vldistill.records.types import UNLABELLED, QuestionRecord

# split -> (questions, annotations). Our test is the official val, our dev the official train: VLKD never trains on it.
# MAD, which does, carves its own train and dev out of it, by image, when the id lists are made (stage `split`).
VQAV2 = {
    "dev": ("v2_OpenEnded_mscoco_train2014_questions.json", "v2_mscoco_train2014_annotations.json"),
    "test": ("v2_OpenEnded_mscoco_val2014_questions.json", "v2_mscoco_val2014_annotations.json"),
}
# test-dev is a part of it; the server takes one file for both
VQAV2_UNLABELLED = "v2_OpenEnded_mscoco_test2015_questions.json"
DOMAINS = {"test": ("v2_OpenEnded_nocaps_val_questions.json", "v2_nocaps_val_annotations.json")}
ANSWERS = 10
ANSWER_TYPES = ("yes/no", "number", "other")


def read(
    folder: Path,
    files: Mapping[str, tuple[str, str]],
    image_set: str,
    images: Mapping[int, str],
    domains: Mapping[int, str] | None = None,
    bare: bool = False,
) -> list[QuestionRecord]:
    """Read pairs of question and annotation files.

    Args:
        folder: where the files are.
        files: split -> names of the question file and of the annotation file.
        image_set: the data set whose images the questions are about.
        images: image id -> key, of the images there are.
        domains: image id -> domain, where the images have one.
        bare: the files are lists, not objects that hold a list.

    Raises:
        InputError: a broken file, a question without annotation or without an image; names file, record and field.
    """
    records: list[QuestionRecord] = []
    seen = Unique()
    for split, (asked, answered) in files.items():
        answers = _annotations(find(folder, answered), bare)
        for row in _rows(find(folder, asked), "questions", bare):
            number, image = row.get("question_id", int), row.get("image_id", int)
            seen.add(row, "question_id", number)
            if image not in images:
                raise row.error(f"image {image} is missing from {image_set}", "image_id", f"Fetch {image_set} again")
            if number not in answers:
                raise row.error(f"question {number} is not in {answered}", "question_id")
            records.append(
                _record(row, answers.pop(number), image_set, images[image], split, (domains or {}).get(image))
            )
        for number, left in answers.items():
            raise left.error(f"question {number} is not in {asked}", "question_id")
    return records


def read_unlabelled(
    folder: Path, name: str, image_set: str, images: Mapping[int, str]
) -> tuple[list[QuestionRecord], dict[str, int]]:
    """Read questions whose answers are not public.

    Args:
        folder: where the file is.
        name: of the question file.
        image_set: the data set whose images the questions are about.
        images: image id -> key, of the images there are.

    Returns:
        The records of the questions whose image is there, and counts {unlabelled, unlabelled_without_image}.

    Raises:
        InputError: a broken file; names file, record and field.
    """
    records: list[QuestionRecord] = []
    seen, left_out = Unique(), 0
    for row in _rows(find(folder, name), "questions", False):
        number, image = row.get("question_id", int), row.get("image_id", int)
        seen.add(row, "question_id", number)
        if image not in images:
            left_out += 1
            continue
        records.append(
            QuestionRecord(
                id=str(number),
                image=images[image],
                image_set=image_set,
                question=row.text("question"),
                answers=[],
                answer_type="",
                question_type="",
                split=UNLABELLED,
            )
        )
    return records, {"unlabelled": len(records), "unlabelled_without_image": left_out}


def _rows(file: Path, part: str, bare: bool) -> Iterator[Row]:
    return listing(read_json(file), file) if bare else document(read_json(file), file).rows(part)


def _annotations(file: Path, bare: bool) -> dict[int, Row]:
    rows: dict[int, Row] = {}
    ids = Unique()
    for row in _rows(file, "annotations", bare):
        number = row.get("question_id", int)
        ids.add(row, "question_id", number)
        rows[number] = row
    return rows


def _record(question: Row, annotation: Row, image_set: str, key: str, split: str, domain: str | None) -> QuestionRecord:
    if annotation.get("image_id", int) != question.get("image_id", int):
        raise annotation.error(f"another image than in {question.file.name}", "image_id")
    answers, ids = [], Unique()
    for row in annotation.rows("answers"):
        ids.add(row, "answer_id", row.get("answer_id", int))
        answers.append(row.get("answer", str))  # may be empty: VQAv2 has a few such answers
    if len(answers) != ANSWERS:
        raise annotation.error(f"{len(answers)} answers instead of {ANSWERS}", "answers")
    return QuestionRecord(
        id=str(question.get("question_id", int)),
        image=key,
        image_set=image_set,
        question=question.text("question"),
        answers=answers,
        answer_type=annotation.choice("answer_type", ANSWER_TYPES),
        question_type=annotation.text("question_type"),
        split=split,
        domain=domain,
    )
