"""Broken or missing input: an error that names file, record and field, and says what to do."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from vldistill import layout, report
from vldistill.errors import InputError
from vldistill.files import read_jsonl, write_jsonl
from vldistill.params import Params
from vldistill.report import scores

GOOD = {
    "method": "vlkd",
    "task": "vqav2",
    "split": "test",
    "arm": "all",
    "seed": 0,
    "control": None,
    "metric": "accuracy",
    "variant": "official",
    "value": 50.0,
    "unit": "percent",
    "n": 10,
    "subset": "all",
    "group": "vqa",
}


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("task", None),
        ("task", ""),
        ("metric", 3),
        ("unit", "points"),
        ("seed", "0"),
        ("seed", True),
        ("n", None),
        ("n", 2.5),
        ("value", "50"),
        ("value", True),
        ("low", "48"),
        ("control", 1),
    ],
)
def test_a_row_with_a_wrong_field_is_refused(tmp_path: Path, field: str, value: Any) -> None:
    path = tmp_path / "scores.jsonl"
    write_jsonl(path, [GOOD, GOOD | {field: value}])
    with pytest.raises(InputError) as caught:
        scores.read(path)
    assert (caught.value.file, caught.value.record, caught.value.field) == (path, "row 2", field)
    assert caught.value.action


@pytest.mark.parametrize("field", ["task", "value", "n", "unit", "subset"])
def test_a_row_without_a_field_is_refused(tmp_path: Path, field: str) -> None:
    path = tmp_path / "scores.jsonl"
    write_jsonl(path, [{key: value for key, value in GOOD.items() if key != field}])
    with pytest.raises(InputError, match=f"field {field}: the field is missing"):
        scores.read(path)


def test_infinite_values_and_empty_files_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "scores.jsonl"
    path.write_text(json.dumps(GOOD).replace("50.0", "Infinity"))
    with pytest.raises(InputError, match="finite"):
        scores.read(path)
    path.write_text("")
    with pytest.raises(InputError, match="no scores"):
        scores.read(path)


def test_two_numbers_of_one_seed_are_not_averaged(tmp_path: Path) -> None:
    path = tmp_path / "scores.jsonl"
    write_jsonl(path, [GOOD, GOOD | {"value": 60.0}])
    rows, _ = scores.read(path)
    with pytest.raises(InputError, match="more than one score of one seed"):
        scores.estimate(rows, 0.95)


def _drop_field(path: Path, field: str) -> None:
    write_jsonl(path, [{k: v for k, v in record.items() if k != field} for record in read_jsonl(path)])


def _rows(root: Path) -> Path:
    return layout.score_vlkd(root) / "scores.jsonl"


BREAKS: dict[str, tuple[Callable[[Path], Any], str]] = {
    "no scores": (lambda root: _rows(root).unlink(), r"scores\.jsonl.*no such"),
    "no models": (lambda root: (layout.distill_vlkd(root) / "manifest.json").unlink(), "no finished artifact"),
    "no papers": (lambda root: (root / "data/reference/papers.csv").unlink(), r"papers\.csv"),
    "bad papers": (
        lambda root: (root / "data/reference/papers.csv").write_text(
            "method,teacher,task,split,metric,value,unit,setting,source\nvlkd,x,coco,test,CIDEr,many,percent,z,s\n"
        ),
        r"line 2, field value: a number is expected, not 'many'",
    ),
    "run record": (
        lambda root: (root / "results/pretrain/clip.run.json").write_text("{}"),
        r"clip\.run\.json, field wall_seconds",
    ),
    "split list": (lambda root: layout.split(root, "coco", "test").write_text("[]"), r"test\.json, field ids"),
    "cut off": (lambda root: _rows(root).write_text(_rows(root).read_text()[:-9]), "not valid JSON"),
    "not UTF-8": (lambda root: _rows(root).write_bytes(b"\xff\xfe"), "not UTF-8"),
    "items": (
        lambda root: _drop_field(layout.score_vlkd(root) / "items/vqav2/all-s0.jsonl", "prediction"),
        r"all-s0\.jsonl, record 1, field prediction",
    ),
    "records": (
        lambda root: _drop_field(layout.download(root, "coco") / "records.jsonl", "captions"),
        r"records\.jsonl, record line 1, field captions",
    ),
    "curves": (
        lambda root: write_jsonl(layout.distill_vlkd(root) / "all-s0" / "metrics.jsonl", [{"step": 1, "loss": "x"}]),
        r"metrics\.jsonl, record line 1, field loss",
    ),
    "images": (
        lambda root: (layout.download(root, "coco") / "images.zip").unlink(),
        r"images\.zip.*no such image archive",
    ),
    "headline arm": (
        lambda root: write_jsonl(_rows(root), [row for row in read_jsonl(_rows(root)) if row["arm"] != "all"]),
        "no scores of the arm all",
    ),
}


@pytest.mark.parametrize("name", list(BREAKS))
def test_broken_results_are_named(fresh: Path, params: Params, name: str) -> None:
    spoil, message = BREAKS[name]
    spoil(fresh)
    with pytest.raises(InputError, match=message):
        report.run(params, fresh)
    assert not layout.report(fresh).exists()
