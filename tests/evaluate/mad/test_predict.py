"""The predict stage: what it writes, what it reuses, and that the batch size changes nothing."""

from __future__ import annotations

import csv
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from tests.contents import contents, differences
from tests.evaluate.mad.project import DIM, REGIONS, TASKS, TREE, WIDTH, publish_models, publish_store
from vldistill import evaluate, layout
from vldistill.artifact import publish, read_manifest, verify
from vldistill.cells import MadCell, mad_batches, mad_cells
from vldistill.errors import InputError
from vldistill.evaluate.mad import jobs
from vldistill.evaluate.mad.data import TEACHER, MadData, subsets
from vldistill.evaluate.mad.predict import Predictor, rows_of
from vldistill.evaluate.metrics.vcr import GROUPS
from vldistill.features.sentences import texts_of
from vldistill.files import read_json, read_jsonl
from vldistill.params import Params
from vldistill.records import CHOICES, UNLABELLED, read_questions, read_regions, write_records
from vldistill.runs import look_up
from vldistill.signals import Stopped
from vldistill.split import mad_splits

pytestmark = pytest.mark.slow
PROJECT = Path(__file__).parents[3]


def done(params: Params, root: Path, task: str) -> set[str]:
    """The cells that are predicted."""
    found = [jobs.job_of(params, cell) for cell in mad_cells(params, task)]
    return {job.cell.name for job in found if look_up(jobs.STAGE, jobs.key(job, params, root), root).done}


def changed(params: Params, **options: object) -> Params:
    tree = params.model_dump()
    tree["evaluate"]["mad"] |= options
    return Params.model_validate(tree)


@pytest.mark.parametrize("task", TASKS)
def test_every_cell_predicts_every_item_of_every_set(
    task: str, mad_predicted: Path, mad_project: Path, mad_params: Params
) -> None:
    verify(mad_predicted / task)
    index = read_json(mad_predicted / task / "index.json")
    cells = [cell.name for cell in mad_cells(mad_params, task)]
    assert [entry["cell"] for entry in index] == [*cells, "teacher-f20-s0", "teacher-f20-s1"]
    data = MadData(mad_params, mad_project, task)
    for name, records in data.sets.items():
        for entry in index:
            rows = list(read_jsonl(mad_predicted / task / name / f"{entry['cell']}.jsonl"))
            assert [row["id"] for row in rows] == [record.id for record in records]
            assert entry["n"][name] == len(records)
    assert set(data.sets) == {"snli_ve": {"test"}, "vcr": {"test", "singular", "plural"}, "vqa": {"iid", "shift"}}[task]


def test_scores_are_probabilities(mad_predicted: Path) -> None:
    for row in read_jsonl(mad_predicted / "snli_ve/test/mad-f20-s0.jsonl"):
        assert sum(row["scores"].values()) == pytest.approx(1, abs=1e-5)
        assert row["prediction"] == max(row["scores"], key=row["scores"].__getitem__)
    for name in ("test", "singular", "plural"):
        for row in read_jsonl(mad_predicted / f"vcr/{name}/mad-f20-s0.jsonl"):
            assert sum(row["scores"]) == pytest.approx(1, abs=1e-5)
            assert sum(row["rationale_scores"]) == pytest.approx(1, abs=1e-5)


def test_rewritten_rationales_change_no_other_score(mad_predicted: Path, mad_project: Path, mad_params: Params) -> None:
    """To the last digit: they are judged in batches of their own."""
    predictor = Predictor(mad_params, mad_project, "vcr")
    (cell,) = (cell for cell in mad_cells(mad_params, "vcr") if cell.name == "mad-f20-s0")
    model, vocabulary = predictor.load(cell)
    alone = rows_of("vcr", *predictor.scores(model, vocabulary, "sets"), model.answers)
    for name, rows in alone.items():
        written = list(read_jsonl(mad_predicted / f"vcr/{name}/mad-f20-s0.jsonl"))
        assert rows == [{key: row[key] for key in one} for one, row in zip(rows, written, strict=True)]
        assert all("rationale_scores" in row for row in written)
    assert {name: {*row} for name, (row, *_) in alone.items()} == {
        "test": {"id", "scores", "rationale_scores"}, "singular": {"id", "scores"}, "plural": {"id", "scores"}
    }  # fmt: skip


def test_answers_have_the_official_results_format(mad_predicted: Path) -> None:
    for name in ("iid", "shift"):
        rows = read_json(mad_predicted / f"vqa/{name}/nkd-f20-s1.json")
        said = list(read_jsonl(mad_predicted / f"vqa/{name}/nkd-f20-s1.jsonl"))
        assert rows == [{"question_id": int(row["id"]), "answer": row["prediction"]} for row in said]
        assert all(0 <= row["score"] <= 1 for row in said)


def test_the_leaderboard_file_is_of_the_cell_that_is_named(
    mad_predicted: Path, mad_project: Path, mad_params: Params
) -> None:
    with open(mad_predicted / "vcr/leaderboard.csv", encoding="utf-8", newline="") as handle:
        rows = list(csv.DictReader(handle))
    records = MadData(mad_params, mad_project, "vcr").unlabelled
    assert [row["annot_id"] for row in rows] == [record.id for record in records]
    for row in rows:
        answers, *rationales = (tuple(float(row[f"{group}_{at}"]) for at in range(CHOICES)) for group in GROUPS)
        assert sum(answers) == pytest.approx(1, abs=1e-5)
        assert all(sum(part) == pytest.approx(1, abs=1e-5) for part in rationales)
        assert len({*rationales}) == CHOICES, "a rationale's chance depends on the answer it is given for"


def test_the_named_cell_answers_all_unlabelled_questions_in_the_official_format(
    mad_predicted: Path, mad_project: Path, mad_params: Params
) -> None:
    data = MadData(mad_params, mad_project, "vqa")
    rows = read_json(mad_predicted / "vqa/leaderboard.json")
    assert [row["question_id"] for row in rows] == [int(record.id) for record in data.unlabelled] != []
    assert all(set(row) == {"question_id", "answer"} for row in rows)
    (named,) = (cell for cell in mad_cells(mad_params, "vqa") if cell.name == mad_params.evaluate.mad.leaderboard)
    model, _ = Predictor(mad_params, mad_project, "vqa").load(named)
    assert {row["answer"] for row in rows} <= set(model.answers)
    assert not (mad_predicted / "vqa/leaderboard").exists(), "it is no set of predictions"


@pytest.mark.parametrize("task", ["vcr", "vqa"])
def test_no_unlabelled_question_is_trained_on_or_predicted_with_the_sets(
    task: Any, mad_predicted: Path, mad_project: Path, mad_params: Params
) -> None:
    data = MadData(mad_params, mad_project, task)
    unlabelled = {record.id for record in data.unlabelled}
    assert unlabelled
    used = {record.id for records in data.sets.values() for record in records}
    used |= {r.id for cell in mad_cells(mad_params, task) for r in data.named(cell.subset("changed"))}
    used |= {row["id"] for path in (mad_predicted / task).rglob("*.jsonl") for row in read_jsonl(path)}
    assert not unlabelled & used


def test_without_images_of_unlabelled_questions_no_file_is_written_and_the_reason_told(
    mad_project: Path, mad_params: Params, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = Path(shutil.copytree(mad_project, tmp_path / "project", ignore=shutil.ignore_patterns("scratch")))
    folder = layout.download(root, "vqav2")
    answered = [record for record in read_questions(folder) if record.split != UNLABELLED]
    shutil.rmtree(folder)
    publish(folder, lambda target: write_records(target, answered) and None)
    mad_splits(mad_params, root, "vqa")
    for batch in range(len(mad_batches(mad_params, "vqa"))):
        evaluate.mad_predict_batch(mad_params, root, "vqa", batch)
    predicted = evaluate.mad_predict_gather(mad_params, root, "vqa")
    assert not (predicted / "leaderboard.json").exists()
    assert "test2015" in read_manifest(predicted)["meta"]["no_leaderboard"]
    assert "no leaderboard.json of vqa" in capsys.readouterr().out


def with_mad(params: Params, **options: object) -> Params:
    tree = params.model_dump()
    tree["distill"]["mad"] |= options
    return Params.model_validate(tree)


def test_the_teachers_head_is_fitted_on_the_whole_subset(mad_project: Path, mad_params: Params) -> None:
    cell = MadCell("vqa", 20, TEACHER, 0)
    job = jobs.Job(cell, leaderboard=False, sees_teacher=True)
    tuned = with_mad(mad_params, tuning={"holdout": 0.5})
    assert jobs.key(job, tuned, mad_project) == jobs.key(job, mad_params, mad_project)
    _, scores, answers = Predictor(mad_params, mad_project, "vqa").teacher(cell)
    _, again, same = Predictor(tuned, mad_project, "vqa").teacher(cell)
    assert answers == same and torch.equal(scores, again)


@pytest.mark.parametrize("level", ["per_task", "per_fraction"])
def test_the_teachers_head_has_the_options_of_its_task_and_fraction(
    level: str, mad_project: Path, mad_params: Params
) -> None:
    cell = MadCell("vqa", 20, TEACHER, 0)
    job = jobs.Job(cell, leaderboard=False, sees_teacher=True)
    over = {"vqa" if level == "per_task" else "20": {"most_answers": 3, "head": {"steps": 2}}}
    fewer = with_mad(mad_params, **{level: over})
    assert jobs.key(job, fewer, mad_project) != jobs.key(job, mad_params, mad_project)
    assert len(Predictor(fewer, mad_project, "vqa").teacher(cell)[2]) == 3


@pytest.mark.parametrize("task", TASKS)
def test_the_batch_size_changes_nothing(
    task: str, mad_predicted: Path, mad_project: Path, mad_params: Params, tmp_path: Path
) -> None:
    small = changed(mad_params, batch_size=5, leaderboard="")
    evaluate.mad_predict_batch(small, mad_project, task, 0)
    job = jobs.batch_jobs(small, task, 0)[0]
    run = look_up(jobs.STAGE, jobs.key(job, small, mad_project), mad_project)
    for name in MadData(mad_params, mad_project, task).sets:
        before = list(read_jsonl(mad_predicted / task / name / f"{job.cell.name}.jsonl"))
        after = list(read_jsonl(run.path / f"{name}.jsonl"))
        for one, other in zip(before, after, strict=True):
            assert numbers(one) == pytest.approx(numbers(other), abs=1e-4)


def numbers(row: dict) -> list[float]:
    found = [row[name] for name in ("scores", "rationale_scores", "score") if name in row]
    flat = [list(one.values()) if isinstance(one, dict) else one if isinstance(one, list) else [one] for one in found]
    return [number for one in flat for number in one]


def test_the_order_and_company_of_items_change_nothing(
    mad_predicted: Path, mad_project: Path, mad_params: Params
) -> None:
    few = changed(mad_params, max_items=7, leaderboard="")
    evaluate.mad_predict_batch(few, mad_project, "snli_ve", 0)
    job = jobs.batch_jobs(few, "snli_ve", 0)[0]
    run = look_up(jobs.STAGE, jobs.key(job, few, mad_project), mad_project)
    before = list(read_jsonl(mad_predicted / f"snli_ve/test/{job.cell.name}.jsonl"))[:7]
    after = list(read_jsonl(run.path / "test.jsonl"))
    assert [numbers(row) for row in after] == [pytest.approx(numbers(row), abs=1e-4) for row in before]


def test_a_second_run_adopts_everything(mad_predicted: Path, mad_project: Path, mad_params: Params) -> None:
    before = (mad_predicted / "vqa/manifest.json").read_bytes()
    times = {path: path.stat().st_mtime_ns for path in mad_project.glob("scratch/evaluate_mad_predict/*/result.json")}
    evaluate.mad_predict_batch(mad_params, mad_project, "vqa", 0)
    evaluate.mad_predict_gather(mad_params, mad_project, "vqa")
    assert (mad_predicted / "vqa/manifest.json").read_bytes() == before
    assert all(path.stat().st_mtime_ns == time for path, time in times.items())


def test_a_deadline_stops_behind_a_cell_and_the_next_call_goes_on(
    mad_predicted: Path, mad_project: Path, mad_params: Params, tmp_path: Path
) -> None:
    root = Path(shutil.copytree(mad_project, tmp_path / "project", ignore=shutil.ignore_patterns("scratch")))
    keys = [jobs.key(job, mad_params, root) for job in jobs.batch_jobs(mad_params, "snli_ve", 0)]

    def unfinished() -> int:
        return sum(not look_up(jobs.STAGE, key, root).done for key in keys)

    for left in (len(keys) - 1, len(keys) - 2):
        with pytest.raises(Stopped, match=r"stopped after cell 1 \(deadline\); run the same command") as stopped:
            evaluate.mad_predict_batch(mad_params, root, "snli_ve", 0, deadline=0.0)
        assert stopped.value.code == 75 and unfinished() == left
    evaluate.mad_predict_batch(mad_params, root, "snli_ve", 0)
    for key in keys:
        broken, straight = (contents(look_up(jobs.STAGE, key, each).path) for each in (root, mad_project))
        assert not differences(broken, straight) and "test.jsonl" in broken


def test_killed_or_stopped_before_any_rename_ends_with_the_same_predictions(mad_project: Path, tmp_path: Path) -> None:
    root = Path(shutil.copytree(mad_project, tmp_path / "project", ignore=shutil.ignore_patterns("scratch")))
    (root / "params.yaml").write_text(yaml.safe_dump({**TREE, "compute": {"mad_runs_per_job": 2}}))
    script = [sys.executable, "-m", "tests.evaluate.mad.kills", str(root)]
    env = {**os.environ, "OMP_NUM_THREADS": "1"}
    found = subprocess.run(script, cwd=PROJECT, env=env, stdout=subprocess.PIPE, text=True, check=True, timeout=500)
    stopped, *kills = [json.loads(line) for line in found.stdout.splitlines() if line.startswith("{")]
    assert (stopped["code"], stopped["done"], stopped["left"]) == (75, 1, []), "it ends the cell that it is at"
    assert {kill["code"] for kill in kills} == {-9} and {kill["done"] for kill in kills} == {0, 1, 2}
    left = {name for kill in kills for name in kill["left"]}
    assert left >= {".lock.json", ".key.json", ".test.jsonl", ".singular.jsonl", ".leaderboard.csv", ".result.json"}
    assert not [each for each in (stopped, *kills) if each["differences"]]


def test_another_leaderboard_cell_leaves_all_others_done(
    mad_predicted: Path, mad_project: Path, mad_params: Params
) -> None:
    everything = {cell.name for cell in mad_cells(mad_params, "vcr")}
    assert done(mad_params, mad_project, "vcr") == everything
    other = changed(mad_params, leaderboard="nkd-f20-s0")
    assert everything - done(other, mad_project, "vcr") == {"mad-f20-s1", "nkd-f20-s0"}
    with pytest.raises(InputError, match="not predicted yet"):
        evaluate.mad_predict_gather(other, mad_project, "vcr")


def test_a_model_trained_anew_is_predicted_anew_and_no_other(
    mad_predicted: Path, mad_project: Path, mad_params: Params
) -> None:
    texts = texts_of(mad_project)
    first = mad_cells(mad_params, "snli_ve")[0].name
    publish_models(mad_project, mad_params, "snli_ve", texts, salt=1)
    try:
        everything = {cell.name for cell in mad_cells(mad_params, "snli_ve")}
        assert everything - done(mad_params, mad_project, "snli_ve") == {first}
    finally:
        publish_models(mad_project, mad_params, "snli_ve", texts)
    assert first in done(mad_params, mad_project, "snli_ve")


def test_dev_has_one_set_and_nothing_shifted(mad_predicted: Path, mad_project: Path, mad_params: Params) -> None:
    dev = changed(mad_params, split="dev", leaderboard="")
    evaluate.mad_predict_batch(dev, mad_project, "vcr", 0)
    job = jobs.batch_jobs(dev, "vcr", 0)[0]
    run = look_up(jobs.STAGE, jobs.key(job, dev, mad_project), mad_project)
    assert [path.name for path in run.path.glob("*.jsonl")] == ["dev.jsonl"]


@pytest.mark.parametrize(
    ("options", "batch", "message"),
    [({"leaderboard": "mad-f99-s0"}, 0, "no cell 'mad-f99-s0'"), ({}, 9, "no batch 9 of vcr")],
)
def test_impossible_choices_are_named(
    options: dict, batch: int, message: str, mad_project: Path, mad_params: Params
) -> None:
    with pytest.raises(InputError, match=message):
        evaluate.mad_predict_batch(changed(mad_params, **options), mad_project, "vcr", batch)


def test_a_trial_and_an_experiment_without_such_tasks_have_no_leaderboard(mad_params: Params) -> None:
    named = mad_params.evaluate.mad.leaderboard
    assert any(job.leaderboard for job in jobs.all_jobs(mad_params, "vcr"))
    sweep = {"trial": 1, "arms": ["baseline", "mad"], "tasks": ["vcr"], "fractions": [20]}
    trial = with_mad(changed(mad_params, split="dev"), sweep=sweep)
    jobs.check(trial)
    assert named in {job.cell.name for job in jobs.all_jobs(trial, "vcr")}
    assert not any(job.leaderboard for job in jobs.all_jobs(trial, "vcr"))
    # as a sweep of other tasks or sizes has no cell of that name
    jobs.check(with_mad(changed(mad_params, split="dev", leaderboard="mad-f99-s0"), sweep=sweep))
    jobs.check(with_mad(mad_params, tasks=["snli_ve"], extra={}))


@pytest.mark.parametrize(("task", "images"), [("snli_ve", "flickr30k"), ("vcr", "vcr")])
def test_items_of_an_unreadable_image_are_left_out_and_counted(
    task: Any, images: str, mad_project: Path, mad_params: Params, tmp_path: Path
) -> None:
    root = Path(shutil.copytree(mad_project, tmp_path / "project", ignore=shutil.ignore_patterns("scratch")))
    whole = MadData(mad_params, root, task)
    image = whole.sets["test"][0].image
    trained = whole.named(mad_cells(mad_params, task)[0].subset("changed"))[0].image
    kinds = {"region": (REGIONS, WIDTH), "region_pooled": (REGIONS, DIM)}
    keys = list(read_regions(layout.download(root, images)))
    publish_store(root, images, "images", kinds, keys, [image, trained])
    params = changed(mad_params, leaderboard="")
    for batch in range(len(mad_batches(params, task))):
        evaluate.mad_predict_batch(params, root, task, batch)
    predicted = evaluate.mad_predict_gather(params, root, task)
    scored = evaluate.mad_score(params, root, task)
    assert read_manifest(predicted)["meta"]["unreadable"] == [image]
    assert read_manifest(scored)["meta"]["unreadable"] == 1
    index = {entry["cell"]: entry for entry in read_json(predicted / "index.json")}
    for subset in subsets(mad_params, task, 20, 0):
        left = [record.id for record in whole.subset(subset) if record.image != image]
        for arm in ("mad", "teacher", "majority"):
            items = list(read_jsonl(scored / subset.name / f"{arm}-f20-s0.jsonl"))
            assert [item["id"] for item in items] == left
    assert index["mad-f20-s0"]["n"]["test"] < len(whole.sets["test"])


def test_a_missing_model_is_named(mad_params: Params, mad_project: Path, tmp_path: Path) -> None:
    for part in ("download", "features", "split"):
        (tmp_path / "results").mkdir(exist_ok=True)
        (tmp_path / "results" / part).symlink_to(mad_project / "results" / part)
    with pytest.raises(InputError, match="no finished artifact"):
        evaluate.mad_predict_batch(mad_params, tmp_path, "vqa", 0)
    assert not layout.receipt(tmp_path, "evaluate/mad/vqa", 0).exists()
