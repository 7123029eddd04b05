"""The predict stage on a small real project: what it writes, reuses and refuses."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from vldistill import evaluate, layout
from vldistill.artifact import verify
from vldistill.cells import vlkd_cells
from vldistill.errors import InputError
from vldistill.evaluate.data import Data
from vldistill.evaluate.predict import jobs
from vldistill.evaluate.predict.batch import batch_jobs
from vldistill.files import read_json, read_jsonl
from vldistill.params import Params
from vldistill.runs import look_up
from vldistill.signals import Stopped

pytestmark = pytest.mark.slow


def test_every_task_arm_and_control_has_a_file_of_the_official_format(
    predicted: Path, project: Path, params: Params
) -> None:
    index = {entry["file"]: entry for entry in read_json(predicted / "index.json")}
    verify(predicted)
    for control in ("", ".no_image", ".shuffled"):
        rows = read_json(predicted / f"vqav2/all-s1{control}.json")
        assert [list(row) for row in rows] == [["question_id", "answer"]] * len(rows)
        questions = Data(project, "test").questions("vqav2")
        assert [row["question_id"] for row in rows] == [int(record.id) for record in questions]
        captions = read_json(predicted / f"coco/all-s0{control}.json")
        assert {tuple(row) for row in captions} == {("image_id", "caption")}
    for name in ("majority", "plm", "pooled-s0", "untrained_clip-s0"):
        assert (predicted / f"vqav2/{name}.json").is_file()
    for name in ("clip_retrieval", "most_common", "random", "plm"):
        assert (predicted / f"nocaps/{name}.json").is_file()
    for name in ("plm", "plm-s0.fine-tuned", "all-s0", "all-s1", "all-s0.fine-tuned"):
        assert (predicted / f"reading/{name}.jsonl").is_file()
    assert index["vqav2/all-s0.json"]["prompt"] == params.evaluate.vlkd.prompts.vqa
    assert index["vqav2/all-s0.json"]["extraction"] == {"echo": len(read_json(predicted / "vqav2/all-s0.json"))}
    assert not (predicted / "nocaps/pooled-s0.json").exists()
    # a question type of "" would be that of the questions without public answers
    assert index["vqav2/majority.json"]["majority"].keys() and "" not in index["vqav2/majority.json"]["majority"]


def test_an_image_changes_what_the_model_says_and_a_shuffled_one_changes_it_again(predicted: Path) -> None:
    told = [
        [row["caption"] for row in read_json(predicted / f"coco/all-s0{control}.json")]
        for control in ("", ".no_image", ".shuffled")
    ]
    assert len(set(told[1])) == 1, "without an image there is one prompt, hence one caption"
    assert told[0] != told[1]
    assert told[0] != told[2]
    assert sorted(told[0]) == sorted(told[2]), "shuffled images are the same images"


def test_references_come_from_the_distillation_captions(predicted: Path, project: Path) -> None:
    pool = {c for r in Data(project, "test").all_captions("cc3m") for c in r.captions}
    for name in ("clip_retrieval", "most_common", "random"):
        assert {row["caption"] for row in read_json(predicted / f"coco/{name}.json")} <= pool


def test_text_losses_before_are_those_of_the_same_documents(predicted: Path) -> None:
    before, after = (read_jsonl(predicted / f"corpus/{name}.jsonl") for name in ("plm", "all-s0"))
    assert [(row["id"], row["tokens"]) for row in before] == [(row["id"], row["tokens"]) for row in after]
    assert [row["loss"] for row in before] != [row["loss"] for row in after]


def test_retrieval_has_every_query_in_both_directions(predicted: Path, project: Path) -> None:
    records = Data(project, "test").captions("coco")
    for name in ("all-s0", "clip_text", "untrained_clip-s0"):
        rows = read_jsonl(predicted / f"retrieval/{name}.jsonl")
        assert [row["direction"] for row in rows].count("i2t") == len(records)
        assert [row["direction"] for row in rows].count("t2i") == sum(len(record.captions) for record in records)
        assert all(0 <= hit <= 1 for row in rows for hit in row["hits"].values())


def test_a_second_run_adopts_everything_and_writes_the_same(predicted: Path, project: Path, params: Params) -> None:
    before = (predicted / "manifest.json").read_bytes()
    results = {path: path.stat().st_mtime_ns for path in project.glob("scratch/evaluate_predict/*/result.json")}
    evaluate.vlkd_predict_batch(params, project, 0)
    evaluate.vlkd_predict_gather(params, project)
    assert (predicted / "manifest.json").read_bytes() == before
    assert results == {path: path.stat().st_mtime_ns for path in project.glob("scratch/evaluate_predict/*/result.json")}


def test_a_changed_prompt_leaves_all_other_jobs_done(predicted: Path, project: Path, params: Params) -> None:
    tree = params.model_dump()
    tree["evaluate"]["vlkd"]["prompts"]["vqa"] = "question: {question} the answer is <mask>"
    changed = Params.model_validate(tree)
    undone = set()
    for cell in vlkd_cells(changed):
        for job in jobs.cell_jobs(changed, cell):
            if not look_up(jobs.STAGE, jobs.key(job, changed, project), project).done:
                undone.add(job.task)
    assert undone == {"vqav2", "okvqa", "domains"}
    with pytest.raises(InputError, match="not predicted yet"):
        evaluate.vlkd_predict_gather(changed, project)


def test_another_batch_size_gives_the_same_answers(predicted: Path, project: Path, params: Params) -> None:
    tree = params.model_dump()
    tree["evaluate"]["vlkd"] |= {"batch_size": 7, "tasks": {"default": ["vqav2"]}, "controls": {"default": []}}
    tree["evaluate"]["vlkd"]["references"] = False
    other = Params.model_validate(tree)
    evaluate.vlkd_predict_batch(other, project, 0)
    for cell in vlkd_cells(other)[:1]:
        (job,) = jobs.cell_jobs(other, cell)
        run = look_up(jobs.STAGE, jobs.key(job, other, project), project)
        assert json.loads((run.path / "predictions.json").read_text()) == read_json(predicted / "vqav2/all-s0.json")


def test_a_deadline_stops_behind_a_job_and_the_next_call_goes_on(
    predicted: Path, project: Path, params: Params
) -> None:
    tree = params.model_dump()
    tree["evaluate"]["vlkd"] |= {"batch_size": 9, "tasks": {"default": ["vqav2", "reading"]}, "controls": {}}
    tree["evaluate"]["vlkd"]["references"] = False
    other = Params.model_validate(tree)

    def unfinished() -> list[str]:
        asked = batch_jobs(other, 0)
        return [job.name for job in asked if not look_up(jobs.STAGE, jobs.key(job, other, project), project).done]

    count = len(unfinished())
    for left in (count - 1, count - 2):
        with pytest.raises(Stopped, match=r"stopped after job 1 \(deadline\); run the same command") as stopped:
            evaluate.vlkd_predict_batch(other, project, 0, deadline=0.0)
        assert stopped.value.code == 75 and len(unfinished()) == left
    evaluate.vlkd_predict_batch(other, project, 0)
    assert unfinished() == []


def test_dev_is_another_set_of_jobs_with_its_own_name(project: Path, params: Params) -> None:
    tree = params.model_dump()
    tree["evaluate"]["vlkd"]["split"] = "dev"
    dev = Params.model_validate(tree)
    cell = vlkd_cells(dev)[0]
    assert {job.task for job in jobs.cell_jobs(dev, cell)}.isdisjoint({"nocaps", "domains"})
    (job,) = [job for job in jobs.cell_jobs(dev, cell) if job.task == "vqav2" and job.control is None]
    assert jobs.key(job, dev, project) != jobs.key(job, params, project)


def test_images_without_features_are_named_not_skipped(project: Path, params: Params, tmp_path: Path) -> None:
    from vldistill.evaluate.predict.run import _readable
    from vldistill.features.store import open_store

    store = open_store(layout.features(project, "clip", "nocaps"))
    with pytest.raises(InputError, match="1 of 2 images are not in the feature store"):
        _readable(store, [store.keys[0], "nowhere.jpg"])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"tasks": {"al": ["coco"]}}, "no arm 'al'"),
        ({"controls": {"nobody": ["coco"]}}, "no arm 'nobody'"),
        (
            {"tasks": {"default": ["coco"]}, "controls": {"default": ["vqav2"]}},
            "controls of tasks the arm",
        ),
    ],
)
def test_impossible_choices_are_named(change: dict, message: str, params: Params, tmp_path: Path) -> None:
    tree = params.model_dump()
    tree["evaluate"]["vlkd"] |= {"finetuning": {"arms": []}, **change}
    with pytest.raises(InputError, match=message):
        evaluate.vlkd_predict_batch(Params.model_validate(tree), tmp_path, 0)


def test_no_such_batch(params: Params, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no batch 9"):
        evaluate.vlkd_predict_batch(params, tmp_path, 9)
