"""Evaluation: `predict` writes files of the official result formats, `score` turns them into numbers.

The entries of the stage are imported when called: predicting needs torch, scoring does not.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from vldistill.params import Params
    from vldistill.params.mad_grid import Task


def vlkd_predict_batch(params: Params, root: str | Path, batch: int, *, deadline: float | None = None) -> Path:
    """Predict one batch of cells; see `vldistill.evaluate.predict.batch`."""
    from vldistill.evaluate.predict.batch import vlkd_predict_batch as run

    return run(params, root, batch, deadline=deadline)


def vlkd_predict_gather(params: Params, root: str | Path) -> Path:
    """Assemble ``results/evaluate/vlkd/predict/``; see `vldistill.evaluate.predict.batch`."""
    from vldistill.evaluate.predict.batch import vlkd_predict_gather as run

    return run(params, root)


def vlkd_score(params: Params, root: str | Path) -> Path:
    """Score the gathered predictions into ``results/evaluate/vlkd/score/``; see `vldistill.evaluate.score.run`."""
    from vldistill.evaluate.score.run import vlkd_score as run

    return run(params, root)


def mad_predict_batch(
    params: Params, root: str | Path, task: Task, batch: int, *, deadline: float | None = None
) -> Path:
    """Predict one batch of a task's cells; see `vldistill.evaluate.mad.batch`."""
    from vldistill.evaluate.mad.batch import mad_predict_batch as run

    return run(params, root, task, batch, deadline=deadline)


def mad_predict_gather(params: Params, root: str | Path, task: Task) -> Path:
    """Assemble ``results/evaluate/mad/predict/TASK/``; see `vldistill.evaluate.mad.batch`."""
    from vldistill.evaluate.mad.batch import mad_predict_gather as run

    return run(params, root, task)


def mad_score(params: Params, root: str | Path, task: Task) -> Path:
    """Score a task's gathered predictions into ``results/evaluate/mad/score/``; see `vldistill.evaluate.mad.score`."""
    from vldistill.evaluate.mad.score import mad_score as run

    return run(params, root, task)
