"""The smoke preset on a real SLURM cluster on this machine gives what it gives locally."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from conftest import Project

SCRIPTS = Path(__file__).parents[1] / "cluster"
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

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.slow,
    pytest.mark.skipif(os.geteuid() != 0, reason="daemons of a cluster on one machine need root"),
    pytest.mark.skipif(not shutil.which("slurmctld"), reason="no SLURM here: apt-get install slurm-wlm munge"),
]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    root = tmp_path_factory.mktemp("slurm")
    subprocess.run([SCRIPTS / "slurm_up.sh", root], check=True)
    yield root
    subprocess.run([SCRIPTS / "slurm_down.sh", root], check=True)


def hashes(root: Path) -> dict[str, str]:
    """sha256 of every result that does not tell of the run itself (times, hosts)."""
    results = root / "results"
    files = [path for path in results.rglob("*") if path.is_file() and not path.name.endswith(".run.json")]
    told = {path for path in files if results / "report" in path.parents and path.name != "metrics.json"}
    return {
        str(path.relative_to(results)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(set(files) - told)
    }


def accounted() -> dict[str, str]:
    """What SLURM knows of each job, by the rule that its comment names; the last one of each rule."""
    text = subprocess.run(["scontrol", "--oneliner", "show", "jobs"], capture_output=True, text=True, check=True).stdout
    jobs = {}
    for line in text.splitlines():
        for word in line.split():
            if word.startswith("Comment=rule_"):
                jobs[word.removeprefix("Comment=rule_").split("_wildcards_")[0]] = line
    return jobs


def test_slurm_gives_the_local_results_with_gpu_jobs_as_gres(cluster: Path, smoke: Project, tmp_path: Path) -> None:
    smoke.run("git", "clone", "--quiet", str(smoke.root), str(tmp_path / "project"))
    project = type(smoke)(tmp_path / "project")
    # the commit before the results of the local run
    project.run("git", "reset", "--quiet", "--hard", "HEAD~1")
    text = project.run(
        "snakemake",
        "--profile",
        "slurm",
        "all",
        VLDISTILL_SLURM_GRES="gpu:fake:1",
        VLDISTILL_SLURM_PARTITION="cpu",
        VLDISTILL_SLURM_GPU_PARTITION="gpu",
        VLDISTILL_SLURM_POLL="1",
        VLDISTILL_SLURM_JOBS="3",
    )

    assert "Provided cores" not in text
    assert hashes(project.root) == hashes(smoke.root)
    jobs = accounted()
    assert set(jobs) > GPU_RULES
    for rule, line in jobs.items():
        assert ("gpu:fake:1" in line) == (rule in GPU_RULES), line
        assert f"Partition={'gpu' if rule in GPU_RULES else 'cpu'}" in line
    assert "recorded in dvc.lock" in text
    assert project.status() == {}


def test_the_scripts_refuse_a_machine_of_a_real_cluster(tmp_path: Path, cluster: Path) -> None:
    # a file in place of our link looks like the machine of a site
    link = Path("/etc/slurm/gres.conf")
    target = os.readlink(link)
    link.unlink()
    try:
        link.write_text("NodeName=site\n", encoding="utf-8")
        done = subprocess.run([SCRIPTS / "slurm_up.sh", tmp_path], capture_output=True, text=True, check=False)
    finally:
        link.unlink()
        link.symlink_to(target)
    assert done.returncode == 3
    assert "refused" in done.stderr
    assert not list(tmp_path.iterdir())
