"""Trials of DVC experiments in a real repository: read as folders are, and refused where scores are of other models."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

REPO = Path(__file__).parents[2]
MAKE = """
import shutil
import sys
from pathlib import Path

import yaml

from tests.tuning.factory import write_trial

SWEEP = {"tasks": ["vcr"], "fractions": [10], "seeds": {"10": 3}}
trial = yaml.safe_load(Path("params.yaml").read_text())["distill"]["mad"]["sweep"]["trial"]
write_trial(Path("made"), trial, lambda arm, task, fraction, trial: (50.0 + trial, 60.0 - trial), sweep=SWEEP)
for name in sys.argv[1:]:
    Path(name).parent.mkdir(parents=True, exist_ok=True)
    (shutil.copytree if Path("made", name).is_dir() else shutil.copy)(Path("made", name), name)
"""
STAGES = """
stages:
  distill:
    cmd: python make.py results/distill/mad/vcr
    params: [distill.mad]
    outs: [results/distill/mad/vcr]
  score:
    cmd: python make.py results/evaluate/mad/score/scores-vcr.jsonl
    deps: [results/distill/mad/vcr]
    outs: [results/evaluate/mad/score/scores-vcr.jsonl]
  score_of_a_task_that_was_not_run:
    cmd: exit 1
    outs: [results/evaluate/mad/score/scores-vqa.jsonl, results/distill/mad/vqa]
"""
PARAMS = """
distill: {mad: {sweep: {trial: 1, tasks: [vcr], fractions: [10], seeds: {"10": 3}}}}
evaluate: {mad: {split: dev}}
"""

pytestmark = pytest.mark.slow


def call(root: Path, command: str, *, fails: bool = False) -> str:
    who = {f"GIT_{role}_{what}": "test@localhost" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    places = f"{REPO / 'src'}{os.pathsep}{REPO}"
    env = {**os.environ, **who, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "PYTHONPATH": places}
    done = subprocess.run(command.split(), cwd=root, env=env, capture_output=True, text=True, check=False)
    assert bool(done.returncode) == fails, f"{command}:\n{done.stdout}{done.stderr}"
    return done.stderr if fails else done.stdout


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Trial 1 committed, trial 2 an experiment, and trial 3 one that was only trained."""
    root = tmp_path_factory.mktemp("tuned") / "project"
    root.mkdir()
    for name in ("workflow", "src"):
        (root / name).symlink_to(REPO / name)
    files = {"make.py": MAKE, "dvc.yaml": STAGES, "params.yaml": PARAMS, ".gitignore": "__pycache__/\nmade/\n"}
    for name, text in files.items():
        (root / name).write_text(text)
    for command in (
        "git init --quiet --initial-branch main",
        "dvc init --quiet",
        "git add --all",
        "git commit -qm start",
        "dvc repro --quiet score",
        "git add --all",
        "git commit -qm first",
        "dvc exp run --quiet --temp --name second --set-param distill.mad.sweep.trial=2 score",
        "dvc exp run --quiet --temp --name half --set-param distill.mad.sweep.trial=3 distill",
    ):
        call(root, command)
    return root


def test_commits_and_experiments_make_one_table(repository: Path) -> None:
    said = call(repository, f"{sys.executable} -m vldistill.cli.main tuning main second")
    rows = [line.split() for line in said.splitlines() if line.startswith(("baseline", "nkd", "mad "))]
    assert [(row[0], row[1]) for row in rows] == [(arm, n) for arm in ("baseline", "nkd", "mad") for n in ("1", "2")]
    # seeds 0 to 2 are one point better on average
    assert [row[5:7] for row in rows] == [["52.0", "60.0"], ["53.0", "59.0"]] * 3
    assert [row[7:] for row in rows] == [["dev:", "10", "%"], ["hold-out:", "10", "%"]] * 3
    # with the workspace it is the same table
    again = call(repository, f"{sys.executable} -m vldistill.cli.main tuning workspace second")
    assert again.split("Read from")[0] == said.split("Read from")[0]


def test_scores_of_other_models_are_refused(repository: Path) -> None:
    said = call(repository, f"{sys.executable} -m vldistill.cli.main tuning main second half", fails=True)
    assert "revision 'half': score was made of another results/distill/mad/vcr than the one beside it" in said
    assert "Traceback" not in said
