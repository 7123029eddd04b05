"""`vldistill evaluate`: predict and score."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import click

from vldistill import evaluate, layout, params
from vldistill.params.mad_grid import TASKS, Task


@click.group("evaluate")
def command() -> None:
    """Predict with every distilled model and its controls, and score the predictions."""


@command.group("vlkd")
def vlkd() -> None:
    """Evaluation of VLKD."""


BATCH = click.option("--batch", type=click.IntRange(min=0), help="Predict the cells of this batch.")
TASK = click.argument("task", type=click.Choice(TASKS))
DEADLINE = click.option(
    "--deadline",
    type=click.FloatRange(min=0),
    help="Seconds from now by which to stop behind a finished task with code 75; the same command then goes on.",
)


@vlkd.command("predict")
@BATCH
@click.option("--gather", is_flag=True, help="Assemble results/evaluate/vlkd/predict/ from all batches.")
@DEADLINE
def predict(batch: int | None, gather: bool, deadline: float | None) -> None:
    """Predict: one batch of cells, or the gathering of all of them.

    With neither option every batch runs, one after the other, and is gathered.
    """
    from vldistill.cells import batches, vlkd_cells

    root = Path.cwd()
    tree = params.load(root / layout.PARAMS)
    _predict(
        lambda number, left: evaluate.vlkd_predict_batch(tree, root, number, deadline=left),
        lambda: evaluate.vlkd_predict_gather(tree, root),
        len(batches(vlkd_cells(tree), tree.compute.runs_per_job)),
        batch,
        gather,
        deadline,
    )


@vlkd.command("score")
def score() -> None:
    """Score the gathered predictions into results/evaluate/vlkd/score/."""
    root = Path.cwd()
    click.echo(evaluate.vlkd_score(params.load(root / layout.PARAMS), root))


@command.group("mad")
def mad() -> None:
    """Evaluation of MAD, task by task."""


@mad.command("predict")
@TASK
@BATCH
@click.option("--gather", is_flag=True, help="Assemble results/evaluate/mad/predict/TASK/ from all batches.")
@DEADLINE
def predict_mad(task: Task, batch: int | None, gather: bool, deadline: float | None) -> None:
    """Predict the sets of TASK: with one batch of its cells, or the gathering of all of them.

    With neither option every batch runs, one after the other, and is gathered.
    """
    from vldistill.cells import mad_batches

    root = Path.cwd()
    tree = params.load(root / layout.PARAMS)
    _predict(
        lambda number, left: evaluate.mad_predict_batch(tree, root, task, number, deadline=left),
        lambda: evaluate.mad_predict_gather(tree, root, task),
        len(mad_batches(tree, task)),
        batch,
        gather,
        deadline,
    )


@mad.command("score")
@TASK
def score_mad(task: Task) -> None:
    """Score the gathered predictions of TASK into results/evaluate/mad/score/."""
    root = Path.cwd()
    click.echo(evaluate.mad_score(params.load(root / layout.PARAMS), root, task))


def _predict(
    run: Callable[[int, float | None], Path],
    assemble: Callable[[], Path],
    count: int,
    batch: int | None,
    gather: bool,
    deadline: float | None,
) -> None:
    """One batch, or the gathering, or with neither all of it."""
    if batch is not None and gather:
        raise click.UsageError("--batch and --gather exclude each other")
    if batch is not None:
        click.echo(run(batch, deadline))
        return
    began = time.monotonic()
    for number in range(0 if gather else count):
        run(number, None if deadline is None else deadline - (time.monotonic() - began))
    click.echo(assemble())
