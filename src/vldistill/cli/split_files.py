"""Files of official formats, as the commands of `vldistill split` read them."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

from vldistill.errors import InputError
from vldistill.files import read_json, read_jsonl
from vldistill.records.fields import Row, Unique, document, listing
from vldistill.records.snli_ve import NO_LABEL, OTHER_IMAGES
from vldistill.records.types import LABELS
from vldistill.records.vcr import read_record
from vldistill.split.hypothesis import hard
from vldistill.split.lists import carve, id_list, listed, some
from vldistill.split.priors import TypedQuestion, deal, draw, majority
from vldistill.split.pronouns import Rule, rewrite

LISTS = ("questions", "annotations", "images")


def records_of(file: Path, keys: Collection[str] = LISTS) -> Iterator[Row]:
    """The records of JSON lines (``.jsonl``), of a JSON list, or of the list under one of ``keys`` of a JSON object.

    Raises:
        InputError: none of these; names the file.
    """
    if file.suffix == ".jsonl":
        for number, value in enumerate(read_jsonl(file), start=1):
            yield Row(value, file, f"line {number}")
        return
    value = read_json(file)
    if isinstance(value, list):
        yield from listing(value, file)
        return
    top = document(value, file)
    held = [key for key in keys if key in top.value]
    if len(held) != 1:
        raise InputError(f"holds {len(held)} of the lists {', '.join(keys)}", file=file, action="Name a file with one")
    yield from top.rows(held[0])


def unit_table(records: Iterator[Row], identity: str, unit: str) -> dict[str, str]:
    """Item id -> unit; whole numbers become texts.

    Raises:
        InputError: a field is missing or of another type, or an id stands twice; names file, record and field.
    """
    ids = Unique()
    found: dict[str, str] = {}
    for row in records:
        name = _name(row, identity)
        ids.add(row, identity, name)
        found[name] = _name(row, unit)
    return found


def held(table: dict[str, str], file: Path) -> dict[str, str]:
    """``table``, of the items of ``file``.

    Raises:
        InputError: there are none.
    """
    if not table:
        raise InputError("holds no items", file=file, action="Check the file")
    return table


def _name(row: Row, field: str) -> str:
    return str(row.get(field, int)) if type(row.value.get(field)) is int else row.text(field)


def changed_priors(
    questions: Path, annotations: Path, test_share: float, prior_share: float, seed: int
) -> dict[str, dict[str, Any]]:
    """cp-train, cp-iid and cp-shift of a VQA-format set, as `vldistill.split.priors` makes them.

    Images are parted into training and test first; then items are drawn from each part.

    Raises:
        InputError: a broken file, or questions and annotations that do not match.
    """
    image_of = held(unit_table(records_of(questions, ("questions",)), "question_id", "image_id"), questions)
    typed: dict[str, TypedQuestion] = {}
    ids = Unique()
    for row in records_of(annotations, ("annotations",)):
        name = _name(row, "question_id")
        ids.add(row, "question_id", name)
        if name not in image_of:
            raise row.error(f"question {name} is not in {questions.name}", "question_id")
        if "image_id" in row.value and _name(row, "image_id") != image_of[name]:
            raise row.error(f"another image than question {name} has in {questions.name}", "image_id")
        answers = [answer.get("answer", str) for answer in row.rows("answers")]
        if not answers:
            raise row.error("empty list", "answers")
        typed[name] = TypedQuestion(name, row.text("question_type"), majority(answers))
    if len(typed) < len(image_of):
        missing = next(name for name in image_of if name not in typed)
        raise InputError("has no annotation for a question", file=annotations, record=missing, action="Check the files")
    train, test = ([typed[name] for name in part] for part in carve(image_of, test_share, seed))
    if not train or not test:
        raise InputError(
            f"a test share of {test_share:g} leaves no image for {'test' if train else 'training'}",
            file=questions,
            action="Choose another --test-share",
        )
    sides = deal(train, seed)
    drawn = {
        "cp-train": draw(train, sides, prior_share, seed),
        "cp-iid": draw(test, sides, prior_share, seed),
        "cp-shift": draw(test, sides, 1 - prior_share, seed),
    }
    return {name: id_list(some(image_of, set(ids)), "image_id", seed, None) for name, ids in drawn.items()}


def rewritten(file: Path, rule: Rule, classes: Collection[str]) -> Iterator[dict[str, Any]]:
    """The lines of a labelled VCR file that the rule fits, with other answers; all other fields as they are.

    Raises:
        InputError: a broken line; names line and field.
    """
    ids, met = Unique(), set[str]()
    for row in records_of(file):
        record = read_record(row, "test")
        ids.add(row, "annot_id", record.id)
        met.update(record.objects)
        made = rewrite(record, rule, classes)
        if made is not None:
            yield {**row.value, "answer_choices": made.answers}
    if unknown := [name for name in classes if name not in met]:
        known = ", ".join(sorted(met)) or "none"
        raise InputError(f"no item has an object of class {unknown[0]}", file=file, action=f"Classes there: {known}")


def hard_pairs(train: Path, subset: Path | None, test: Path) -> dict[str, Any]:
    """A list of the pairs of ``test`` that a hypothesis-only classifier trained on ``train`` gets wrong.

    Args:
        train: SNLI-VE JSON lines.
        subset: an id list; only its pairs are trained on. None trains on all. A list of any file's ids names pairs
            without a label as well: they are left out here as everywhere.
        test: SNLI-VE JSON lines.

    Raises:
        InputError: a broken file, or a list that names a pair which the training file lacks.
    """
    pairs = {name: (text, label) for name, text, label in _pairs(train)}
    chosen, seed = list(pairs), 0
    if subset is not None:
        top = document(read_json(subset), subset)
        chosen, seed = top.texts("ids"), top.get("seed", int)
        for name in chosen:
            if name not in pairs:
                raise top.error(f"the pair {name} is not in {train.name}", "ids", "Make the list from that file")
    # by id, as the stage does: where two labels are nearly level, the order of fitting decides
    learnt = [pairs[name] for name in sorted(chosen) if _kept(name, pairs[name][1])]
    tested = [pair for pair in _pairs(test) if _kept(pair[0], pair[2])]
    if not learnt or not tested:
        file = test if learnt else subset or train
        raise InputError("holds no labelled pair", file=file, action="Check the file")
    ids = hard(learnt, tested)
    return listed(ids, "id", seed, len(ids) / len(tested), of=test.name)


def _pairs(file: Path) -> Iterator[tuple[str, str, str]]:
    ids = Unique()
    for row in records_of(file):
        ids.add(row, "pairID", row.text("pairID"))
        yield row.text("pairID"), row.text("sentence2"), row.choice("gold_label", (*LABELS, NO_LABEL))


def _kept(name: str, label: str) -> bool:
    """As `vldistill.records.snli_ve` reads the official files."""
    return label != NO_LABEL and OTHER_IMAGES not in name
