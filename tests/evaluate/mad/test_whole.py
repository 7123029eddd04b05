"""From trained cells to the summary, all of it real: distilled, predicted and scored by the commands."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from tests.distill.mad import project
from vldistill.cli.distill import command as distill
from vldistill.cli.evaluate import command as evaluate
from vldistill.evaluate.mad.statistics import Draw
from vldistill.evaluate.mad.summary import summarise
from vldistill.evaluate.mad.tables import read_results
from vldistill.params.mad_grid import TASKS

pytestmark = pytest.mark.slow


def test_a_task_is_distilled_predicted_and_scored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # the tiny world has too few questions for changed priors
    monkeypatch.setattr(project, "SIZES", {**project.SIZES, "coco_train": 40, "coco_test": 24, "vcr_test": 16})
    project.make_project(tmp_path)
    project.write_params(
        tmp_path,
        fractions=[50],
        active=["baseline", "nkd", "mad"],
        extra={"some": {"arms": ["projected_input", "stopped_50"], "tasks": list(TASKS), "fractions": [50]}},
    )
    monkeypatch.chdir(tmp_path)
    for task in TASKS:
        for command, words in (
            (distill, ["mad", task]),
            (evaluate, ["mad", "predict", task]),
            (evaluate, ["mad", "score", task]),
        ):
            done = CliRunner().invoke(command, words, catch_exceptions=False)
            assert done.exit_code == 0, done.output
    summary = summarise(read_results(tmp_path, TASKS), TASKS, Draw(resamples=40))
    assert {(one.place.task, one.arm) for one in summary.means} >= {
        (task, arm) for task in TASKS for arm in ("baseline", "nkd", "mad", "projected_input", "majority", "blind")
    }
    assert all(one.seeds == 2 for one in summary.means)
    assert {bar.met for bar in summary.bars} == {None}, "no bar is about half of the training set"
