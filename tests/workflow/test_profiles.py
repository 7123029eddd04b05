"""Which cores and resources a call gets: all of this machine by itself, none of its limits on SLURM."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from conftest import Project

pytestmark = pytest.mark.slow
GPU_RULES = {
    "pretrain_model",
    "pretrain_student",
    "features_set",
    "features_mad_set",
    "features_texts",
    "distill_vlkd_cells",
    "distill_mad_cells",
    "evaluate_vlkd_predict_cells",
    "evaluate_mad_predict_cells",
}
OPTIONS = """
import os
import sys
from snakemake.cli import parse_args
options = parse_args(sys.argv[1:])[1]
print(options.cores, options.executor, options.jobs)
"""


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory, new_project: Callable[[Path], Project]) -> Project:
    return new_project(tmp_path_factory.mktemp("fresh") / "project")


@pytest.mark.parametrize(
    ("arguments", "environment", "cores_executor_jobs"),
    [
        (["all"], {}, f"{len(os.sched_getaffinity(0))} None None"),
        (["--cores", "1", "all"], {}, "1 None None"),
        (["--profile", "slurm", "all"], {}, "None slurm 50"),
        (["all"], {"SNAKEMAKE_PROFILE": "slurm"}, "None slurm 50"),
        (["all"], {"SNAKEMAKE_PROFILE": "workflow/profiles/slurm", "VLDISTILL_SLURM_JOBS": "7"}, "None slurm 7"),
    ],
)
def test_all_cores_here_and_no_core_limit_on_slurm(
    fresh: Project, arguments: list[str], environment: dict[str, str], cores_executor_jobs: str
) -> None:
    # what Snakemake itself makes of the call: a dry run would not tell, it plans with one core
    text = fresh.run(sys.executable, "-c", OPTIONS, *arguments, **environment)
    assert text.splitlines()[-1] == cores_executor_jobs


def test_gpu_jobs_are_asked_for_in_one_place(fresh: Project, tmp_path: Path) -> None:
    project = fresh.copy_to(tmp_path / "project")
    project.edit("compute.device", "cuda")
    text = project.run("snakemake", "--profile", "slurm", "--dry-run", "all")
    asking = {block.split(":")[0] for block in text.split("\nrule ")[1:] if "gpu=1" in block}
    assert asking == GPU_RULES


def test_a_site_sets_resources_of_one_rule_and_keeps_its_gpus(fresh: Project) -> None:
    site = {
        "VLDISTILL_SLURM_GPU_PARTITION": "gpu",
        "VLDISTILL_SLURM_RESOURCES": "distill_vlkd_cells:runtime=2880 report:mem_mb=9000",
    }
    text = fresh.run("snakemake", "--profile", "slurm", "--dry-run", "all", **site)
    jobs = {block.split(":")[0]: block for block in text.split("\nrule ")[1:]}
    assert "runtime=2880" in jobs["distill_vlkd_cells"]
    assert "mem_mb=9000" in jobs["report"]
    assert {rule for rule, block in jobs.items() if "slurm_partition=gpu" in block} == GPU_RULES
    text = fresh.run(
        "snakemake", "--profile", "slurm", "--dry-run", "all", check=False, VLDISTILL_SLURM_RESOURCES="report"
    )
    assert "RULE:NAME=VALUE is expected, not 'report'" in text
    assert "Traceback" not in text


def test_overrides_outside_params_are_refused(fresh: Project) -> None:
    text = fresh.run("snakemake", "--dry-run", "--config", "compute=1", "--", "all", check=False)
    assert "--config and --configfile are refused" in text


def test_a_wrong_parameter_is_one_clear_message(fresh: Project, tmp_path: Path) -> None:
    project = fresh.copy_to(tmp_path / "project")
    path = project.root / "params.yaml"
    path.write_text(path.read_text(encoding="utf-8").replace("  gallery:", "  galery:"), encoding="utf-8")
    text = project.run("snakemake", "--dry-run", "all", check=False)
    assert "report.galery: unknown key" in text
    assert "report.gallery" in text
    assert "Traceback" not in text


def test_outside_git_snakemake_goes_without_dvc_and_says_so(fresh: Project, tmp_path: Path) -> None:
    project = fresh.copy_to(tmp_path / "project")
    (project.root / ".git").rename(tmp_path / "git")
    text = project.run("snakemake", "--cores", "2", "results/split/reading/dev.json", GIT_CEILING_DIRECTORIES="/")
    assert text.count("sync: ") == 1
    assert "so this run goes without DVC" in text
    assert (project.root / "results/split/reading/dev.json").is_file()


@pytest.mark.parametrize("flag", ["--lint", "--unlock", "--summary", "--list-rules"])
def test_calls_that_make_nothing_do_not_synchronise(smoke: Project, tmp_path: Path, flag: str) -> None:
    project = smoke.copy_to(tmp_path / "project")
    project.edit("report.gallery", 3)
    before = (project.root / ".snakemake/vldistill-agreed.json").read_bytes()
    assert "sync:" not in project.run("snakemake", flag)
    assert (project.root / ".snakemake/vldistill-agreed.json").read_bytes() == before


def test_the_snakemake_report_holds_page_and_captions(smoke: Project, tmp_path: Path) -> None:
    project = smoke.copy_to(tmp_path / "project")
    project.run("snakemake", "--report", "report.html")
    text = (project.root / "report.html").read_text(encoding="utf-8")
    assert "The report page: tables with controls" in text
    assert "VLKD distils CLIP" in text
