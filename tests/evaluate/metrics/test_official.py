"""Every defect of the official files is an error that names file, record and field and says what to do."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from vldistill.cli.score import command
from vldistill.errors import InputError

GOOD: dict[str, Any] = {
    "references.json": {
        "images": [{"id": 1}, {"id": 2}],
        "annotations": [
            {"id": 10, "image_id": 1, "caption": "a dog"},
            {"id": 11, "image_id": 2, "caption": "a cat"},
        ],
    },
    "captions.json": [{"image_id": 1, "caption": "a dog"}, {"image_id": 2, "caption": "a cat"}],
    "questions.json": {
        "questions": [{"question_id": 1, "question": "Is it?"}, {"question_id": 2, "question": "What?"}]
    },
    "annotations.json": {
        "annotations": [
            {
                "question_id": key,
                "answer_type": "other",
                "question_type": "what",
                "answers": [{"answer": "dog"} for _ in range(10)],
            }
            for key in (1, 2)
        ]
    },
    "answers.json": [{"question_id": 1, "answer": "dog"}, {"question_id": 2, "answer": "cat"}],
}
COMMANDS = {
    "captions": {"--references": "references.json", "--results": "captions.json"},
    "vqa": {"--questions": "questions.json", "--annotations": "annotations.json", "--results": "answers.json"},
}
GONE = object()


def run(folder: Path, kind: str, raw: dict[str, bytes]) -> None:
    arguments = [kind, "--out", str(folder / "m.json")]
    for option, name in COMMANDS[kind].items():
        (folder / name).write_bytes(raw.get(name, json.dumps(GOOD[name]).encode()))
        arguments += [option, str(folder / name)]
    CliRunner().invoke(command, arguments, catch_exceptions=False)


def changed(name: str, path: list[Any], value: Any) -> bytes:
    content = copy.deepcopy(GOOD[name])
    place = content
    for step in path[:-1]:
        place = place[step]
    if value is GONE:
        del place[path[-1]]
    else:
        place[path[-1]] = value
    return json.dumps(content).encode()


CASES = [
    # kind, file, where, value, what the message says about record, field and problem
    ("captions", "references.json", ["annotations"], GONE, "field annotations: is missing"),
    ("captions", "references.json", ["annotations"], {}, "field annotations: is an object, expected a list"),
    ("captions", "references.json", ["annotations", 1], 5, "record annotations[1]: is an integer"),
    ("captions", "references.json", ["annotations", 1, "image_id"], GONE, "annotations[1], field image_id: is missing"),
    (
        "captions",
        "references.json",
        ["annotations", 1, "image_id"],
        1.5,
        "field image_id: is a number, expected an int",
    ),
    ("captions", "references.json", ["annotations", 1, "image_id"], True, "field image_id: is true or false"),
    ("captions", "references.json", ["annotations", 1, "image_id"], 9, "field image_id: image 9 is not among"),
    ("captions", "references.json", ["annotations", 1, "id"], 10, "record annotations[1], field id: 10 is there twice"),
    ("captions", "references.json", ["annotations", 1, "caption"], None, "field caption: is null, expected text"),
    (
        "captions",
        "references.json",
        ["annotations", 1],
        {"image_id": 1, "caption": "x"},
        "image 2, field annotations: has",
    ),
    ("captions", "references.json", ["images", 1, "id"], 1, "record images[1], field id: 1 is there twice"),
    ("captions", "references.json", ["images"], 3, "field images: is an integer, expected a list"),
    ("captions", "captions.json", [1, "image_id"], 1, "record [1], field image_id: 1 is there twice"),
    ("captions", "captions.json", [1, "image_id"], 3, "record 2: 1 ids without a result: 2"),
    ("captions", "captions.json", [1, "image_id"], "2", "1 ids without a result: 2"),
    ("captions", "captions.json", [1, "caption"], ["a"], "record [1], field caption: is a list, expected text"),
    ("captions", "captions.json", [1, "caption"], GONE, "record [1], field caption: is missing"),
    ("vqa", "questions.json", ["questions"], GONE, "field questions: is missing"),
    ("vqa", "questions.json", ["questions", 1, "question_id"], 1, "questions[1], field question_id: 1 is there twice"),
    ("vqa", "questions.json", ["questions", 1, "question"], 7, "field question: is an integer, expected text"),
    ("vqa", "annotations.json", ["annotations", 0, "answers"], [], "field answers: holds 0 answers, expected 10"),
    ("vqa", "annotations.json", ["annotations", 0, "answers"], "dog", "field answers: is text, expected a list"),
    ("vqa", "annotations.json", ["annotations", 0, "answers", 3], "dog", "annotations[0].answers[3]: is text"),
    (
        "vqa",
        "annotations.json",
        ["annotations", 0, "answers", 3],
        {},
        "annotations[0].answers[3], field answer: is mis",
    ),
    (
        "vqa",
        "annotations.json",
        ["annotations", 0, "answer_type"],
        GONE,
        "annotations[0], field answer_type: is missing",
    ),
    ("vqa", "annotations.json", ["annotations", 0, "question_type"], 1, "field question_type: is an integer"),
    (
        "vqa",
        "annotations.json",
        ["annotations", 1, "question_id"],
        1,
        "annotations[1], field question_id: 1 is there tw",
    ),
    ("vqa", "annotations.json", ["annotations", 1, "question_id"], 5, "record 2: 1 ids without an annotation: 2"),
    ("vqa", "answers.json", [0, "question_id"], GONE, "record [0], field question_id: is missing"),
    ("vqa", "answers.json", [0, "answer"], 2, "record [0], field answer: is an integer, expected text"),
    ("vqa", "answers.json", [1, "question_id"], 7, "record 2: 1 ids without a result: 2"),
]


@pytest.mark.parametrize(("kind", "name", "path", "value", "message"), CASES)
def test_defects(kind: str, name: str, path: list[Any], value: Any, message: str, tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        run(tmp_path, kind, {name: changed(name, path, value)})
    text = str(caught.value)
    assert text.startswith(f"file {tmp_path / name}")
    assert message in text
    assert caught.value.action
    assert not (tmp_path / "m.json").exists()


@pytest.mark.parametrize(
    ("kind", "name"), [(kind, name) for kind, files in COMMANDS.items() for name in files.values()]
)
@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda raw: raw[: len(raw) // 2], "not valid JSON"),
        (lambda raw: b"", "not valid JSON"),
        (lambda raw: raw.replace(b"i", b"\xff", 1), "not UTF-8: byte 0xff"),
        (lambda raw: b'"text"', "expected"),
        (lambda raw: b"null", "expected"),
    ],
)
def test_broken_files(kind: str, name: str, spoil: Any, message: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=message) as caught:
        run(tmp_path, kind, {name: spoil(json.dumps(GOOD[name]).encode())})
    assert str(tmp_path / name) in str(caught.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    arguments = ["captions", "--references", str(tmp_path / "no.json"), "--results", "r", "--out", "m"]
    with pytest.raises(InputError, match=r"no\.json"):
        CliRunner().invoke(command, arguments, catch_exceptions=False)
