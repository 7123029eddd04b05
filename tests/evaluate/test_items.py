"""The one reader of per-item scores, and what the names of their files tell."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from vldistill import layout
from vldistill.artifact import publish
from vldistill.cells import Cell, MadCell
from vldistill.errors import InputError
from vldistill.evaluate.items import Item, Named, named, read_items
from vldistill.evaluate.mad.tables import as_arrays, read_results
from vldistill.files import write_jsonl

GOOD = {"id": "1", "prediction": "a", "target": "b", "scores": {"accuracy": 100.0}, "group": "x.jpg"}


@pytest.mark.parametrize(
    ("stem", "told"),
    [
        (Cell("all", 2).name, Named("all", None, 2)),
        (MadCell("vcr", 10, "stopped_25", 0).name, Named("stopped_25", 10, 0)),
        ("majority", Named("majority", None, None)),
        ("all-s1.no_image", Named("all.no_image", None, 1)),
        ("a-f10-f25-s3", Named("a-f10", 25, 3)),
        ("a-s1-s2", Named("a-s1", None, 2)),
    ],
)
def test_a_name_tells_arm_size_and_seed(stem: str, told: Named) -> None:
    assert named(stem) == told


def test_numbers_are_taken_as_such_and_null_is_no_score(tmp_path: Path) -> None:
    write_jsonl(tmp_path / "a.jsonl", [GOOD, {**GOOD, "id": 2, "scores": {"CIDEr": 1, "SPICE": None}, "group": 7}])
    assert read_items(tmp_path / "a.jsonl") == {
        "1": Item("a", "b", {"accuracy": 100.0}, "x.jpg"),
        "2": Item("a", "b", {"CIDEr": 1.0}, "7"),
    }


@pytest.mark.parametrize(
    ("change", "field", "problem"),
    [
        ({"id": None}, "id", "missing or of the wrong type"),
        ({"id": "1"}, "id", "'1' stands twice"),
        ({"scores": 3}, "scores", "missing or of the wrong type"),
        ({"scores": {"accuracy": "much"}}, "scores.accuracy", "not a number"),
        ({"scores": {"accuracy": True}}, "scores.accuracy", "not a number"),
        ({"group": None}, "group", "missing or of the wrong type"),
        *(({name: ...}, name, "missing or of the wrong type") for name in GOOD),
    ],
)
def test_the_report_names_record_and_field_of_what_is_broken(
    change: dict, field: str, problem: str, tmp_path: Path
) -> None:
    second = {**GOOD, "id": "2", **change}
    rows = [GOOD, {name: value for name, value in second.items() if value is not ...}]
    folder = layout.score_items_mad(tmp_path, "snli_ve")
    publish(folder, lambda to: write_jsonl(to / "test/mad-f10-s0.jsonl", rows) and None)
    with pytest.raises(InputError, match=problem) as caught:
        read_results(tmp_path, ["snli_ve"])
    assert (caught.value.file, caught.value.record, caught.value.field) == (folder / "test/mad-f10-s0.jsonl", 2, field)
    assert caught.value.action


def test_what_is_no_object_and_a_name_without_a_size_are_refused(tmp_path: Path) -> None:
    write_jsonl(tmp_path / "a.jsonl", [[1]])
    with pytest.raises(InputError, match="record 1, field id"):
        read_items(tmp_path / "a.jsonl")
    for name in ("mad-s0", "mad"):
        folder = layout.score_items_mad(tmp_path / name, "vcr")
        publish(folder, lambda to, name=name: write_jsonl(to / f"test/{name}.jsonl", [GOOD]) and None)
        with pytest.raises(InputError, match="ARM-fFRACTION-sSEED"):
            read_results(tmp_path / name, ["vcr"])


def test_arrays_hold_every_score_of_every_item(tmp_path: Path) -> None:
    items = {"1": Item("", "", {"a": 1.0, "b": 2.0}, "x"), "2": Item("", "", {"b": 3.0, "a": 4.0}, "y")}
    made = as_arrays(items, tmp_path)
    assert (made.ids, made.groups) == (("1", "2"), ("x", "y"))
    assert {name: values.tolist() for name, values in made.scores.items()} == {"a": [1.0, 4.0], "b": [2.0, 3.0]}
    assert made.scores["a"].dtype == np.float64
    del items["2"].scores["b"]
    with pytest.raises(InputError, match=r"record 2, field scores\.b: missing"):
        as_arrays(items, tmp_path)
