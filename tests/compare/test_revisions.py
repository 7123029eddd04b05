"""Git revisions, DVC experiments and the workspace of a real repository, compared through DVC's cache and remotes."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

REPO = Path(__file__).parents[2]
MAKE = """
import sys
from pathlib import Path

import yaml

sys.path.insert(0, "tests")
import factory

params = yaml.safe_load(Path("params.yaml").read_text())
if sys.argv[1] == "vlkd":
    factory.write_vlkd(Path("."), {"all": params["gain"], "pooled": 0.1}, range(params["seeds"]))
else:
    factory.write_mad(Path("."), {"mad": params["gain"], "baseline": 0.0}, range(params["seeds"]))
"""
STAGES = """
stages:
  score:
    cmd: python make.py vlkd
    params: [gain, seeds]
    outs: [results/evaluate/vlkd/score]
  score_mad:
    cmd: python make.py mad
    params: [gain, seeds]
    outs: [results/evaluate/mad/score/items/snli_ve]
"""

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def shell() -> Callable[..., None]:
    def call(folder: Path, *commands: str) -> None:
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        who = {f"GIT_{role}_{what}": "test@localhost" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
        env = {**os.environ, **who, "PATH": path, "PYTHONPATH": str(REPO / "src")}
        for command in commands:
            done = subprocess.run(command.split(), cwd=folder, env=env, capture_output=True, text=True, check=False)
            assert done.returncode == 0, f"{command}:\n{done.stdout}{done.stderr}"

    return call


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, shell: Callable[..., None]) -> Path:
    """Two revisions, `v1` and `better`, and an experiment `wide` with one seed more."""
    root = tmp_path_factory.mktemp("compared") / "project"
    (root / "tests").mkdir(parents=True)
    for name in ("workflow", "src"):
        (root / name).symlink_to(REPO / name)
    shutil.copy(Path(__file__).with_name("factory.py"), root / "tests")
    (root / "make.py").write_text(MAKE)
    (root / "dvc.yaml").write_text(STAGES)
    (root / "params.yaml").write_text("gain: 0.1\nseeds: 3\n")
    (root / ".gitignore").write_text("__pycache__/\n")
    shell(root, "git init --quiet --initial-branch main", "dvc init --quiet", "git add --all", "git commit -qm start")
    shell(root, "git tag empty", "dvc repro --quiet", "git add --all", "git commit -qm first", "git tag v1")
    (root / "params.yaml").write_text("gain: 0.2\nseeds: 3\n")
    shell(root, "dvc repro --quiet", "git add --all", "git commit -qm second", "git branch better")
    shell(root, "dvc exp run --quiet --temp --name wide --set-param gain=0.4 --set-param seeds=4")
    return root


@pytest.fixture
def repository(finished: Path, tmp_path: Path) -> Path:
    """A copy to work in."""
    root = tmp_path / "project"
    shutil.copytree(finished, root, symlinks=True)
    return root


def test_revisions_experiments_workspace_and_folders(repository: Path, shell, run, rows) -> None:
    found = rows(repository, "v1", "better", "wide", "--method", "vlkd")
    assert [(row["compared"], row["arm"], row["seeds"]) for row in found] == [
        ("better", "all", 3),
        ("better", "pooled", 3),
        ("wide", "all", 3),
        ("wide", "pooled", 3),
    ]
    gains = [row["difference"] for row in found]
    assert 0 == gains[1] == gains[3] < gains[0] < gains[2]
    assert found[2]["left_out"]["seeds_other"] == [3]

    # without a name: the last commit against the workspace; nothing of the workspace is touched
    (repository / "params.yaml").write_text("gain: 0.3\nseeds: 3\n")
    shell(repository, "dvc repro --quiet")
    (row,) = rows(repository, "--arm", "all")
    assert (row["base"], row["compared"]) == ("HEAD", "workspace")
    assert 0 < row["difference"] < gains[2]
    assert "workspace minus HEAD (" in run(repository)
    # a folder is a checkout of its own
    (elsewhere,) = rows(repository, "wide", str(repository), "--arm", "all")
    assert elsewhere["difference"] == pytest.approx(row["difference"] - (gains[2] - gains[0]))
    # arms inside a revision
    (inside,) = rows(repository, "wide", "--against", "pooled")
    assert (inside["base"], inside["compared"], inside["seeds"]) == ("pooled", "all", 4)


def test_mad_is_compared_size_by_size_through_git_and_dvc(repository: Path, run, rows) -> None:
    found = rows(repository, "v1", "better", "wide", "--method", "mad", "--power", "5")
    places = [(row["compared"], row["task"], row["split"], row["arm"], row["seeds"]) for row in found]
    assert places == [
        (name, "snli_ve", split, arm, 3)
        for name in ("better", "wide")
        for split in ("full 10 %", "hard 10 %")
        for arm in ("baseline", "mad")
    ]
    gains = {(row["compared"], row["split"]): row["difference"] for row in found if row["arm"] == "mad"}
    assert 0 < gains["better", "hard 10 %"] < gains["wide", "hard 10 %"] < gains["wide", "full 10 %"]
    assert {row["difference"] for row in found if row["arm"] == "baseline"} == {0.0}
    assert all(row["left_out"]["seeds_other"] == ([3] if row["compared"] == "wide" else []) for row in found)
    (hard,) = [row for row in found if (row["compared"], row["split"], row["arm"]) == ("wide", "hard 10 %", "mad")]
    assert (hard["power"]["difference"], hard["metric"], hard["items"]) == (5.0, "accuracy", 60)
    assert 1 < hard["power"]["seeds"] < hard["power"]["cautious"]
    said = run(repository, "v1", "wide", "--method", "mad", "--arm", "mad", "--power", "5", "--markdown")
    head, _, *lines = [line.split(" | ") for line in said.splitlines() if line.startswith("|")]
    assert (head[0], head[1], head[-1]) == ("| task", "split", "seeds for 5 |")
    assert [line[1] for line in lines] == ["full 10 %", "hard 10 %"]
    needed = hard["power"]
    assert lines[1][-1] == f"{needed['seeds']} ({needed['cautious']}) |"
    assert "Seeds for 5: how many resolve a true difference of that size" in said
    # arms of one revision at one size
    inside = rows(repository, "wide", "--method", "mad", "--against", "baseline")
    assert [(row["split"], row["compared"], row["seeds"]) for row in inside] == [
        ("full 10 %", "mad", 4),
        ("hard 10 %", "mad", 4),
    ]


def test_results_come_from_a_remote_or_another_cache(repository: Path, shell, run, rows, tmp_path: Path) -> None:
    expected = rows(repository, "v1", "better")
    # DVC pushes a revision to the remotes of its own configuration and of the local one
    shell(repository, f"dvc remote add --quiet --local --default store {tmp_path}/store")
    shell(repository, "dvc push --quiet --all-commits", "dvc remote remove --quiet --local store")
    # the remote is younger than both revisions
    shell(repository, f"dvc remote add --quiet --default store {tmp_path}/store")
    shutil.move(repository / ".dvc/cache", tmp_path / "cache")
    assert rows(repository, "v1", "better") == expected
    shutil.rmtree(tmp_path / "store")
    said = run(repository, "v1", "better", fails=True)
    assert "the scores of 'v1' are neither in DVC's cache nor in a remote" in said
    assert "dvc fetch" in said
    shell(repository, f"dvc config --local cache.dir {tmp_path}/cache")
    assert rows(repository, "v1", "better") == expected


def test_revisions_without_scores_and_unknown_ones(repository: Path, run) -> None:
    said = run(repository, "v1", "nowhere", fails=True)
    assert "no revision 'nowhere'" in said
    assert "dvc exp list" in said
    said = run(repository, "empty", "v1", fails=True)
    assert "revision 'empty' has no scores" in said
    assert "commit dvc.lock" in said
