"""Snakemake and DVC are of one opinion on what is done, whichever of them did it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import networkx
import pytest

if TYPE_CHECKING:
    from conftest import Project

pytestmark = pytest.mark.slow


def downstream(project: Project, names: set[str]) -> set[str]:
    """Stages and all that depend on them, by DVC's own graph."""
    from dvc.repo import Repo

    with Repo(str(project.root)) as repo:
        graph = repo.index.graph
        by_name = {stage.name: stage for stage in graph}
        reached = {other.name for name in names for other in networkx.ancestors(graph, by_name[name])}
    return names | reached


def test_snakemake_all_uses_all_cores_and_leaves_both_with_nothing_to_do(smoke: Project, project: Project) -> None:
    assert f"Provided cores: {len(os.sched_getaffinity(0))}" in smoke.log.read_text(encoding="utf-8")
    assert project.status() == {}
    assert project.nothing in project.run("snakemake", "--dry-run", "all")
    assert "Running stage" not in project.run("dvc", "repro", "--dry")


def test_dvc_repro_after_snakemake_runs_nothing_and_after_an_edit_leaves_nothing_to_snakemake(project: Project) -> None:
    assert "Running stage" not in project.run("dvc", "repro")

    project.edit("report.gallery", 3)
    assert project.run("dvc", "repro").count("Running stage") == 1
    assert project.status() == {}
    assert project.planned_rules() == set()
    page = (project.root / "results/report/index.html").read_bytes()
    assert project.nothing in project.run("snakemake", "all")
    # Snakemake has adopted the result, now by its own books too
    assert project.nothing in project.run("snakemake", "--dry-run", "all", VLDISTILL_SYNC="off")
    assert project.status() == {}
    assert page == (project.root / "results/report/index.html").read_bytes()


@pytest.fixture(scope="module")
def clone(smoke: Project, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A fresh clone with `dvc pull` from a local remote; no run has happened in it."""
    base = tmp_path_factory.mktemp("clone")
    origin = smoke.copy_to(base / "origin")
    origin.run("dvc", "remote", "add", "--default", "store", str(base / "store"))
    origin.commit("remote")
    origin.run("dvc", "push")
    origin.run("git", "clone", "--quiet", str(origin.root), str(base / "clone"))
    made = type(smoke)(base / "clone")
    made.run("dvc", "pull")
    return made


@pytest.mark.parametrize(
    ("key", "value"),
    [
        (None, None),
        ("report.gallery", 3),
        ("evaluate.vlkd.decoding.vqa.num_beams", 2),
        ("evaluate.mad.batch_size", 7),
        ("world.seed", 9),
    ],
)
def test_clone_and_pull_then_one_edited_key_give_equal_lists(
    clone: Project, tmp_path: Path, key: str | None, value: object
) -> None:
    project = clone.copy_to(tmp_path / "project")
    if key:
        project.edit(key, value)
    listed = project.stages_of(project.planned_rules())
    changed = set(project.status())

    planned = project.vldistill("plan")

    assert bool(changed) == bool(key)
    assert listed == downstream(project, changed)
    assert ("nothing to be done" in planned) == (not changed)
    assert all(f"  {name}: " in planned for name in changed)
    # neither a dry run nor a plan leaves a trace
    assert not (project.root / ".snakemake/vldistill-agreed.json").exists()
    assert not list(project.root.glob(".snakemake/metadata/*"))


def test_clone_and_pull_then_a_run_makes_only_what_changed(clone: Project, tmp_path: Path) -> None:
    project = clone.copy_to(tmp_path / "project")
    assert project.nothing in project.run("snakemake", "all")
    project.edit("report.gallery", 3)
    text = project.run("snakemake", "all")
    assert "changed by DVC, will be made again: report" not in text, "adopted outputs are known to Snakemake"
    assert "rule report" in text
    assert "2 of 2 steps" in text
    assert "recorded in dvc.lock: report" in text
    assert project.status() == {}


def test_a_failed_job_leaves_the_finished_stages_recorded_and_says_how_to_go_on(project: Project) -> None:
    (project.root / "data/reference/papers.csv").write_text("broken\n", encoding="utf-8")
    project.edit("evaluate.vlkd.resamples", 50)
    cells = {path: path.stat().st_mtime_ns for path in project.root.glob("scratch/distill/*/result.json")}
    text = project.run("snakemake", "all", check=False)

    assert "failed: rule report" in text
    assert "log: logs/report.log" in text
    assert "go on with: snakemake all" in text
    # the first prediction stage reads all of evaluate.vlkd, so it ran, found every run folder finished, and is recorded
    assert "recorded in dvc.lock: evaluate_vlkd_predict, evaluate_vlkd_score" in text
    assert set(project.status()) == {"report"}
    assert "papers.csv" in (project.root / "logs/report.log").read_text(encoding="utf-8")

    project.run("git", "checkout", "--quiet", "data/reference/papers.csv")
    text = project.run("snakemake", "all")
    assert "2 of 2 steps" in text
    assert project.status() == {}
    assert cells == {path: path.stat().st_mtime_ns for path in project.root.glob("scratch/distill/*/result.json")}


def test_synchronisation_can_be_switched_off_and_made_up_for(project: Project) -> None:
    project.edit("report.gallery", 3)
    text = project.run("snakemake", "all", VLDISTILL_SYNC="off")
    assert "sync:" not in text
    assert set(project.status()) == {"report"}
    copy = project.copy_to(project.root.with_name("copy"))
    assert "recorded in dvc.lock: report" in project.vldistill("sync")
    assert project.status() == {}
    assert "everything is current" in project.vldistill("sync")

    # a run that finds nothing to do makes up for it too
    text = copy.run("snakemake", "all")
    assert copy.nothing in text
    assert "recorded in dvc.lock: report" in text
    assert copy.status() == {}


def test_params_edited_during_a_run_are_not_recorded_for_its_results(project: Project) -> None:
    project.edit("report.gallery", 3)
    rule = project.root / "rules/report.smk"
    text = rule.read_text(encoding="utf-8")
    # the job itself edits the file, so that the moment is certain
    rule.write_text(
        text.replace('"vldistill report', '"sed -i s/failures:.*/failures:\\ 1/ params.yaml; vldistill report')
    )
    assert "edited during the run, not recorded: report" in project.run("snakemake", "all")
    assert set(project.status()) == {"report"}
