"""The last step of `make reproduce`: headline numbers against the tracked reference."""

import json
import os
import subprocess
import sys

import pytest

from vldistill.errors import InputError
from vldistill.reproduce import compare, lookup

NUMBER = {"name": "vlkd.vqa.all.accuracy", "value": 74.0, "low": 72.5, "high": 75.0, "n": 500, "unit": "percent"}


def project(folder, numbers, metrics):
    reference = {"numbers": numbers, "preset": "mini", "commit": "0" * 40, "date": "2026-01-01", "machine": "2 cores"}
    (folder / "data" / "reference").mkdir(parents=True)
    (folder / "data" / "reference" / "mini.json").write_text(json.dumps(reference))
    (folder / "results" / "report").mkdir(parents=True)
    (folder / "results" / "report" / "metrics.json").write_text(json.dumps(metrics))
    (folder / "results" / "report" / "index.html").write_text("<html></html>")
    return folder


def metrics(accuracy):
    return {"vlkd": {"vqa": {"all": {"accuracy": accuracy}}}}


def call(folder):
    return subprocess.run(
        [sys.executable, "-m", "vldistill.cli.main", "reproduce"],
        cwd=folder,
        env={**os.environ},
        capture_output=True,
        text=True,
        timeout=60,
    )


@pytest.mark.parametrize(
    ("value", "code", "word"),
    [
        (74.0, 0, "REPRODUCED"),
        (72.5, 0, "REPRODUCED"),
        (75.0, 0, "REPRODUCED"),
        (72.49, 1, "DIFFERS"),
        (90, 1, "DIFFERS"),
    ],
)
def test_word_and_exit_code(tmp_path, value, code, word):
    done = call(project(tmp_path, [NUMBER], metrics(value)))
    assert done.returncode == code, done.stderr
    last = done.stdout.splitlines()[-1]
    assert last.startswith(word)
    assert last.endswith(str(tmp_path / "results" / "report" / "index.html"))
    assert NUMBER["name"] in done.stdout


@pytest.mark.parametrize("value", [None, "74.0", True, float("nan")])
def test_a_number_that_is_absent_or_no_number_differs(tmp_path, value):
    (outcome,) = compare(project(tmp_path, [NUMBER], metrics(value)))
    assert outcome.value is None
    assert not outcome.agrees


def test_one_differing_number_is_enough(tmp_path):
    other = {**NUMBER, "name": "vlkd.captions.CIDEr", "value": 3.0, "low": 2.9, "high": 3.1}
    done = call(project(tmp_path, [NUMBER, other], {**metrics(74.0)}))
    assert done.returncode == 1
    assert "DIFFERS: 1 of 2" in done.stdout


def test_another_experiment_than_the_reference_is_pointed_out(tmp_path):
    folder = project(tmp_path, [NUMBER], metrics(74.0))
    (folder / "params.yaml").write_text("compute: {threads: 2}\n")
    assert "not the preset mini" in call(folder).stdout
    (folder / "params.yaml").write_text("{}\n")
    assert "not the preset mini" not in call(folder).stdout


def test_no_report_yet(tmp_path):
    done = call(tmp_path)
    assert done.returncode == 2
    assert "metrics.json" in done.stderr


@pytest.mark.parametrize(
    ("numbers", "names"),
    [
        ([], "numbers"),
        ("none", "numbers"),
        ([{k: v for k, v in NUMBER.items() if k != "low"}], "low"),
        ([{**NUMBER, "high": "75"}], "high"),
        ([{**NUMBER, "value": 80.0}], "value"),
        ([NUMBER, 3], "numbers[1]"),
    ],
)
def test_a_broken_reference_is_named(tmp_path, numbers, names):
    with pytest.raises(InputError, match=r"mini\.json") as caught:
        compare(project(tmp_path, numbers, metrics(74.0)))
    assert names in str(caught.value)


def test_lookup_of_dotted_names():
    assert lookup({"a": {"b": 1}}, "a.b") == 1
    assert lookup({"a.b": {"c": 2}}, "a.b.c") == 2, "a key may hold a dot itself"
    assert lookup({"a": {"x": 1}, "a.b": {"c": 2}}, "a.b.c") == 2
    assert lookup({"a": {"b": {}}}, "a.b") is None
    assert lookup({"a": 1}, "a.b") is None
