"""plan, accept, clean: what the commands say holds."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from conftest import Project

pytestmark = pytest.mark.slow


def test_plan_names_the_changed_key_and_what_is_reused(project: Project) -> None:
    assert "nothing to be done" in project.vldistill("plan")
    said = project.run("vldistill", "plan", "nope", check=False, PYTHONPATH=str(project.root / "src"))
    assert "error: No rule to produce nope" in said and "Traceback" not in said

    project.edit("report.gallery", 3)
    text = project.vldistill("plan")
    assert "1 jobs, by stage and cause" in text
    assert "because report.gallery: 4 -> 3" in text
    assert "GPU hours: 0" in text

    project.edit("distill.vlkd.seeds", {"all": 3, "untrained_clip": 1})
    text = project.vldistill("plan")
    assert "because distill.vlkd.seeds.all: 2 -> 3" in text
    cells = len(list(project.root.glob("results/distill/vlkd/*/")))
    assert f"VLKD: reused: {cells} of {cells + 1} cells stand finished" in text
    assert "by earlier runs" in text
    # and that is what happens: one more run folder, the others untouched
    before = {path: path.stat().st_mtime_ns for path in project.root.glob("scratch/distill/*/result.json")}
    project.run("snakemake", "distill_vlkd")
    after = {path: path.stat().st_mtime_ns for path in project.root.glob("scratch/distill/*/result.json")}
    assert before.items() < after.items()
    assert len(after) == len(before) + 1


def test_plan_before_any_run_names_all_stages_and_upper_bounds(project: Project) -> None:
    for name in ("results", "scratch", ".snakemake", "dvc.lock"):
        project.run("rm", "-r", name)
    text = project.vldistill("plan")
    for stage in ("download", "pretrain", "features", "split", "distill_vlkd", "evaluate_vlkd_score", "report"):
        assert f"  {stage}: " in text
    assert "not made yet" in text
    assert "their time limits" in text
    assert not (project.root / "results").exists()


def test_accept_lets_an_edit_of_code_pass(project: Project) -> None:
    with open(project.root / "src/vldistill/distill/losses.py", "a", encoding="utf-8") as handle:
        handle.write("\n# an edit that changes no result\n")
    assert "distill_vlkd_cells" in project.planned_rules()
    folders = sorted(path.name for path in project.root.glob("scratch/distill/*/"))
    text = project.vldistill("accept", "distill_vlkd")
    assert "run folders of code" in text
    assert project.planned_rules() == set()
    assert project.status() == {}
    # a later change of the stage finds the old run folders
    project.edit("distill.vlkd.seeds", {"all": 1, "untrained_clip": 1})
    project.run("snakemake", "distill_vlkd")
    assert folders == sorted(path.name for path in project.root.glob("scratch/distill/*/"))


def test_clean_removes_what_nothing_finds_and_nothing_else(project: Project) -> None:
    dead = project.root / "scratch/features/.key.json.999999.tmp"
    dead.write_text("{", encoding="utf-8")
    alive = project.root / f"scratch/features/.key.json.{os.getpid()}.tmp"
    alive.write_text("{", encoding="utf-8")
    assert str(dead) in project.vldistill("clean", "--yes")
    assert not dead.exists()
    assert alive.exists()
    assert "nothing to remove" in project.vldistill("clean", "--yes")

    cells = list(project.root.glob("scratch/distill/*/"))
    project.edit("distill.vlkd.seeds", {"all": 1, "untrained_clip": 1})
    project.run("snakemake", "distill_vlkd")
    project.vldistill("clean", "--yes")
    assert len(list(project.root.glob("scratch/distill/*/"))) == len(cells)
