"""Cells of MAD are found by content: whoever asks for one more gets that one, by whichever front end."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import yaml

from vldistill.evaluate.mad.data import TEACHER

if TYPE_CHECKING:
    from conftest import Project

pytestmark = pytest.mark.slow
TASKS = ("snli_ve", "vcr", "vqa")
RULES = [f"{rule}{wording}" for rule in ("singular", "plural") for wording in ("", "_original")]
SCORED = {"snli_ve": ["test", "hard"], "vcr": ["test", *RULES], "vqa": ["iid", "shift"]}
LISTS = {
    "snli_ve": ["train-50-s0", "dev", "test", "hard-50-s0", "hard-50-s1"],
    "vcr": ["train-50-s0", "dev", "test", "rule-singular", "rule-plural"],
    "vqa": ["train-50-s0", "dev", "test", "cp-train-50-s0", "cp-dev", "cp-iid", "cp-shift"],
}
# the reference beside them is fitted on the training subset that nothing was trained on before
NEW = {
    "distill_mad": {(task, "mad-f50-s1") for task in TASKS},
    "evaluate_mad_predict": {(task, f"{name}-f50-s1") for task in TASKS for name in ("mad", TEACHER)},
}
RUN = {"report", *(f"{stage}@{task}" for stage in (*NEW, "evaluate_mad_score") for task in TASKS)}


def test_every_list_of_every_task_has_items_and_every_subset_is_scored(smoke: Project) -> None:
    for task, names in LISTS.items():
        for name in names:
            ids = json.loads((smoke.root / f"results/split/{task}/{name}.json").read_text(encoding="utf-8"))["ids"]
            assert ids, f"{task}: {name}"
    for task, subsets in SCORED.items():
        folder = smoke.root / f"results/evaluate/mad/score/items/{task}"
        assert {path.name for path in folder.iterdir() if path.is_dir()} == set(subsets)
        for subset in subsets:
            for path in (folder / subset).glob("*.jsonl"):
                assert path.read_text(encoding="utf-8").strip(), path


def test_the_named_cell_answers_what_has_no_public_labels(smoke: Project) -> None:
    def unlabelled(task: str) -> list[str]:
        ids = json.loads((smoke.root / f"results/split/{task}/unlabelled.json").read_text(encoding="utf-8"))["ids"]
        assert ids, task
        return ids

    predicted = smoke.root / "results/evaluate/mad/predict"
    with open(predicted / "vcr/leaderboard.csv", encoding="utf-8", newline="") as handle:
        head, *lines = csv.reader(handle)
    assert len(head) == 21
    assert all(len(line) == 21 for line in lines)
    assert sorted(line[0] for line in lines) == sorted(unlabelled("vcr"))
    # the smoke preset has the images of these questions, and the features that its student reads
    answers = json.loads((predicted / "vqa/leaderboard.json").read_text(encoding="utf-8"))
    assert sorted(str(one["question_id"]) for one in answers) == sorted(unlabelled("vqa"))
    assert all(set(one) == {"question_id", "answer"} for one in answers)


def folders(project: Project, stage: str) -> dict[Path, int]:
    """Finished run folders of a stage, with the time at which they were finished."""
    return {path.parent: path.stat().st_mtime_ns for path in project.root.glob(f"scratch/{stage}/*/result.json")}


def cells(made: set[Path]) -> set[tuple[str, str]]:
    """Task and cell of run folders."""
    keys = [json.loads((folder / "key.json").read_text(encoding="utf-8")) for folder in made]
    results = [json.loads((folder / "result.json").read_text(encoding="utf-8")) for folder in made]
    return {
        (key["task"], result["cell"]) if "task" in key else (key["job"]["cell"]["task"], name_of(key["job"]["cell"]))
        for key, result in zip(keys, results, strict=True)
    }


def name_of(cell: dict[str, object]) -> str:
    return f"{cell['arm']}-f{cell['fraction']}-s{cell['seed']}"


def records(lock: str) -> dict[str, dict[str, str]]:
    """Stage -> hashes of its run records in a dvc.lock; no two runs have the same, for they tell when they began."""
    stages = yaml.safe_load(lock)["stages"]
    return {
        name: {out["path"]: out["md5"] for out in stage["outs"] if out["path"].endswith(".run.json")}
        for name, stage in stages.items()
    }


def lock_of(project: Project, experiment: str | None = None) -> str:
    """dvc.lock of the workspace or of an experiment."""
    if experiment is None:
        return (project.root / "dvc.lock").read_text(encoding="utf-8")
    refs = project.run("git", "for-each-ref", "--format=%(refname)", "refs/exps").split()
    (ref,) = (ref for ref in refs if ref.endswith(f"/{experiment}"))
    return project.run("git", "show", f"{ref}:dvc.lock")


@pytest.mark.parametrize("front_end", ["snakemake", "repro", "temp"])
def test_one_more_seed_of_one_arm_runs_its_new_cells_and_no_other(project: Project, front_end: str) -> None:
    before = {stage: folders(project, stage) for stage in NEW}
    ran = records(lock_of(project))
    if front_end == "temp":
        project.run("dvc", "exp", "run", "--temp", "--name", "seed", "-S", "+distill.mad.seeds.mad=2")
    else:
        project.edit("distill.mad.seeds", {"mad": 2})
        plan = project.vldistill("plan")
        assert "MAD: reused: 46 of 49 cells stand finished" in plan
        assert "3 are new" in plan
        project.run(*(("snakemake", "all") if front_end == "snakemake" else ("dvc", "repro")))
    for stage, new in NEW.items():
        after = folders(project, stage)
        assert before[stage].items() <= after.items(), stage
        assert len(after) == len(before[stage]) + len(new), stage
        assert cells(set(after) - set(before[stage])) == new
    again = records(lock_of(project, "seed" if front_end == "temp" else None))
    assert again.keys() == ran.keys() and all(again.values()), "each stage has a run record"
    assert {stage for stage, made in again.items() if made != ran[stage]} == RUN
    assert project.status() == {}
    assert project.planned_rules() == set()


def test_a_task_is_a_target_of_its_own(project: Project) -> None:
    text = project.run("snakemake", "vcr", "--dry-run", "--forceall", "--quiet", "rules")
    assert "distill_mad_cells" in text
    assert "distill_vlkd" not in text
    project.edit("distill.mad.per_task.vcr.training.batch_size", 4)
    for task, due in (("vcr", True), ("snli_ve", False)):
        before = folders(project, "distill_mad")
        project.run("snakemake", task)
        assert bool(set(folders(project, "distill_mad")) - set(before)) == due
