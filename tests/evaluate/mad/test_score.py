"""The score stage of MAD on the small project, and the summary of what it writes."""

from __future__ import annotations

from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.evaluate.mad.project import TASKS
from vldistill import evaluate, layout
from vldistill.artifact import verify
from vldistill.cells import mad_cells
from vldistill.compare.scores import open_scores
from vldistill.errors import InputError
from vldistill.evaluate.items import read_items
from vldistill.evaluate.mad.chief import CHIEF
from vldistill.evaluate.mad.data import REFERENCES, MadData, subsets
from vldistill.evaluate.mad.scoring import score_set
from vldistill.evaluate.mad.statistics import Draw
from vldistill.evaluate.mad.summary import summarise
from vldistill.evaluate.mad.tables import read_results
from vldistill.files import read_jsonl
from vldistill.params import Params
from vldistill.records import ChoiceRecord, EntailmentRecord

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("task", TASKS)
def test_every_cell_and_reference_is_scored_on_every_subset(
    task: str, mad_scored: Path, mad_project: Path, mad_params: Params
) -> None:
    verify(mad_scored / task)
    names = {cell.name for cell in mad_cells(mad_params, task)}
    names |= {f"{arm}-f20-s{seed}" for arm in REFERENCES for seed in range(2)}
    data = MadData(mad_params, mad_project, task)
    for subset in subsets(mad_params, task, 20, 0):
        assert {path.stem for path in (mad_scored / task / subset.name).glob("*.jsonl")} == names
        items = list(read_jsonl(mad_scored / task / subset.name / "mad-f20-s0.jsonl"))
        assert [item["id"] for item in items] == [record.id for record in data.subset(subset)]
        assert all(set(item) == {"id", "prediction", "target", "scores", "group"} for item in items)
        groups = {record.id: record.movie if task == "vcr" else record.image for record in data.subset(subset)}
        assert {item["id"]: item["group"] for item in items} == groups


@pytest.mark.parametrize("task", TASKS)
def test_rows_are_tidy_and_the_means_of_their_items(task: str, mad_scored: Path, mad_project: Path) -> None:
    rows = list(read_jsonl(layout.scores_mad(mad_project, task)))
    fields = ("method", "task", "split", "arm", "fraction", "seed", "metric", "variant", "subset")
    assert len({tuple(row[field] for field in fields) for row in rows}) == len(rows)
    for row in rows:
        assert (row["method"], row["task"], row["split"], row["unit"]) == ("mad", task, "test", "percent")
        assert row["control"] == (row["arm"] if row["arm"] in REFERENCES else None)
        cell = f"{row['arm']}-f{row['fraction']}-s{row['seed']}"
        items = list(read_jsonl(mad_scored / task / row["subset"] / f"{cell}.jsonl"))
        values = [item["scores"][row["variant"] or row["metric"]] for item in items]
        assert row["value"] == pytest.approx(np.mean(values))
        assert row["n"] == len(items)
        if row["variant"] in (None, CHIEF["vqa"]):
            assert row["low"] <= row["value"] <= row["high"]
        else:
            assert row["low"] is row["high"] is None


def test_vcr_has_three_scores_and_vqa_four(mad_scored: Path, mad_project: Path) -> None:
    rows = list(read_jsonl(layout.scores_mad(mad_project, "vcr")))
    found = {(row["subset"], row["arm"], row["metric"]) for row in rows}
    scored = ("test", "singular", "singular_original", "plural", "plural_original")
    # on rewritten items, too, by arms and references alike
    assert found == {*product(scored, {row["arm"] for row in rows}, ("Q->A", "QA->R", "Q->AR"))}
    vqa = list(read_jsonl(layout.scores_mad(mad_project, "vqa")))
    assert {row["variant"] for row in vqa} == {"official", "official_2017", "evalai", "both"}


def test_the_original_wording_is_of_the_items_that_are_rewritten(mad_scored: Path) -> None:
    for rule in ("singular", "plural"):
        one, other = (read_items(mad_scored / "vcr" / name / "mad-f20-s0.jsonl") for name in (rule, f"{rule}_original"))
        assert list(one) == list(other)
        assert one
        whole = read_items(mad_scored / "vcr/test/mad-f20-s0.jsonl")
        assert all(whole[key] == item for key, item in other.items())


def test_rationales_are_judged_after_the_rewritten_answer(
    mad_scored: Path, mad_predicted: Path, mad_project: Path, mad_params: Params
) -> None:
    data = MadData(mad_params, mad_project, "vcr")
    whole, rewritten = ({record.id: record for record in data.sets[name]} for name in ("test", "singular"))
    said = {name: _by_id(mad_predicted / f"vcr/{name}/mad-f20-s0.jsonl") for name in ("test", "singular")}
    moved = 0.0
    for key, record in rewritten.items():
        right = record.answer_label
        assert record.answers[right] != whole[key].answers[right]
        assert record.rationales == whole[key].rationales
        before, after = (np.array(said[name][key]["rationale_scores"]) for name in ("test", "singular"))
        moved = max(moved, np.abs(before - after).max())
    assert moved > 1e-4, "what was answered is read"
    # the teacher judges a rationale alone, and the majority reads nothing
    for arm in ("teacher", "majority"):
        before, after = (
            read_items(mad_scored / "vcr" / name / f"{arm}-f20-s0.jsonl") for name in ("singular_original", "singular")
        )
        assert {key: item.scores["QA->R"] for key, item in before.items()} == {
            key: item.scores["QA->R"] for key, item in after.items()
        }
    for item in read_items(mad_scored / "vcr/singular/mad-f20-s0.jsonl").values():
        assert item.scores["Q->AR"] == 100.0 * (item.scores["Q->A"] == item.scores["QA->R"] == 100.0)


def _by_id(path: Path) -> dict[str, dict[str, Any]]:
    return {row["id"]: row for row in read_jsonl(path)}


def test_a_classifier_without_the_image_is_wrong_on_all_that_is_called_hard(mad_scored: Path) -> None:
    for seed in range(2):
        items = list(read_jsonl(mad_scored / f"snli_ve/hard/blind-f20-s{seed}.jsonl"))
        assert items
        assert {item["scores"]["accuracy"] for item in items} == {0.0}


def test_the_summary_reads_what_is_written(mad_scored: Path, mad_project: Path) -> None:
    summary = summarise(read_results(mad_project, TASKS), TASKS, Draw(resamples=50))
    places = {(one.place.task, one.place.subset, one.arm) for one in summary.means}
    assert {("vcr", "rules", "mad"), ("snli_ve", "hard", "blind"), ("vqa", "shift", "majority")} <= places
    gains = [one for one in summary.differences if one.family == "gain"]
    assert {(one.place.task, one.place.subset) for one in gains} == {
        ("snli_ve", "test"), ("snli_ve", "hard"), ("vcr", "test"), ("vcr", "rules"), ("vqa", "iid"), ("vqa", "shift"),
    }  # fmt: skip
    assert {(one.arm, one.other) for one in summary.differences if one.family == "effects"} == {
        ("mad", "projected_input")
    }
    blind = [one.place for one in summary.differences if one.family == "blind"]
    assert {(place.task, place.subset) for place in blind} == {("snli_ve", "test"), ("vcr", "test"), ("vqa", "iid")}


def test_compare_reads_what_is_written(mad_scored: Path, mad_project: Path) -> None:
    scores = open_scores("workspace", mad_project)
    cells = {(cell.task, cell.split, cell.arm) for cell in scores.files}
    assert {("vcr", "singular 20 %", "mad"), ("snli_ve", "hard 20 %", "baseline"), ("vqa", "iid 20 %", "nkd")} <= cells
    assert {cell.arm for cell in scores.files if scores.trained(cell)} == {"baseline", "nkd", "mad", "projected_input"}


def test_scoring_twice_writes_the_same(mad_scored: Path, mad_project: Path, mad_params: Params) -> None:
    files = [mad_scored / "vqa/manifest.json", layout.scores_mad(mad_project, "vqa")]
    before = [path.read_bytes() for path in files]
    evaluate.mad_score(mad_params, mad_project, "vqa")
    assert [path.read_bytes() for path in files] == before


def test_predictions_of_another_split_are_refused(mad_predicted: Path, mad_project: Path, mad_params: Params) -> None:
    tree = mad_params.model_dump()
    tree["evaluate"]["mad"]["split"] = "dev"
    with pytest.raises(InputError, match="predictions of the split test"):
        evaluate.mad_score(Params.model_validate(tree), mad_project, "vqa")


PAIR = EntailmentRecord("1", "a.jpg", "a dog", "neutral", "test")
CHOICE = ChoiceRecord("1", "a.jpg", "film", [], ["what", "?"], [["a"]] * 4, 2, [["b"]] * 4, 1, "test")


@pytest.mark.parametrize(
    ("task", "record", "rows", "message"),
    [
        ("snli_ve", PAIR, [], "1 ids without a prediction"),
        ("snli_ve", PAIR, [{"id": "1", "prediction": "neutral"}] * 2, "an id stands twice"),
        ("snli_ve", PAIR, [{"id": "1", "prediction": "yes"}], "'yes' is no label"),
        (
            "vcr",
            CHOICE,
            [{"id": "1", "scores": [0.1, 0.2, 0.7], "rationale_scores": [0.25] * 4}],
            "not 4 finite scores",
        ),
        ("vcr", CHOICE, [{"id": "1", "scores": [0.25] * 4}], "not 4 finite scores"),
    ],
)
def test_broken_predictions_are_named(task: str, record: object, rows: list[dict], message: str) -> None:
    with pytest.raises(InputError, match=message):
        score_set(task, [record], rows)


def test_equal_scores_count_for_the_first_choice() -> None:
    rows = [{"id": "1", "scores": [0.1, 0.2, 0.35, 0.35], "rationale_scores": [0.3, 0.3, 0.2, 0.2]}]
    scored = score_set("vcr", [CHOICE], rows)["1"]
    assert scored.prediction == {"answer": 2, "rationale": 0}
    assert scored.target == {"answer": 2, "rationale": 1}
    assert scored.scores == {"Q->A": 100.0, "QA->R": 0.0, "Q->AR": 0.0}
