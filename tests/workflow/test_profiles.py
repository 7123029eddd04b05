"""Which cores and resources a call gets: all of this machine by itself, none of its limits on SLURM."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from conftest import Project

pytestmark = pytest.mark.slow
THREADS = 63


@pytest.fixture(scope="module")
def wide(tmp_path_factory: pytest.TempPathFactory, new_project: Callable[[Path], Project]) -> Project:
    """A project whose jobs ask for more threads than this machine has cores: a core limit would lower them."""
    project = new_project(tmp_path_factory.mktemp("wide") / "project")
    project.edit("compute.threads", THREADS)
    return project


def threads(text: str) -> set[str]:
    """The `threads:` lines of the jobs of rule pretrain_model (one thread has no line)."""
    blocks = text.split("rule pretrain_model:")[1:]
    return {line.strip() for block in blocks for line in block.split("rule ")[0].splitlines() if "threads:" in line}


@pytest.mark.skipif((os.cpu_count() or 1) >= THREADS, reason="this machine has more cores than the job asks for")
@pytest.mark.parametrize(
    ("arguments", "environment"),
    [
        (["--profile", "slurm"], {}),
        ([], {"SNAKEMAKE_PROFILE": "slurm"}),
        ([], {"SNAKEMAKE_PROFILE": "workflow/profiles/slurm"}),
    ],
)
def test_the_slurm_profile_inherits_no_core_limit(
    wide: Project, arguments: list[str], environment: dict[str, str]
) -> None:
    text = wide.run("snakemake", *arguments, "--dry-run", "pretrain", **environment)
    assert threads(text) == {f"threads: {THREADS}"}


def test_overrides_outside_params_are_refused(wide: Project) -> None:
    text = wide.run("snakemake", "--dry-run", "--config", "compute=1", "--", "all", check=False)
    assert "--config and --configfile are refused" in text


def test_a_wrong_parameter_is_one_clear_message(wide: Project, tmp_path: Path) -> None:
    project = wide.copy_to(tmp_path / "project")
    path = project.root / "params.yaml"
    path.write_text(path.read_text(encoding="utf-8").replace("  gallery:", "  galery:"), encoding="utf-8")
    text = project.run("snakemake", "--dry-run", "all", check=False)
    assert "report.galery: unknown key" in text
    assert "report.gallery" in text
    assert "Traceback" not in text


def test_outside_git_snakemake_goes_without_dvc_and_says_so(wide: Project, tmp_path: Path) -> None:
    project = wide.copy_to(tmp_path / "project")
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
