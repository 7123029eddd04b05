"""`vldistill evaluate`: predict and score."""

from __future__ import annotations

import time
from pathlib import Path

import click

from vldistill import evaluate, layout, params


@click.group("evaluate")
def command() -> None:
    """Predict with every distilled model and its controls, and score the predictions."""


@command.group("vlkd")
def vlkd() -> None:
    """Evaluation of VLKD."""


@vlkd.command("predict")
@click.option("--batch", type=click.IntRange(min=0), help="Predict the cells of this batch.")
@click.option("--gather", is_flag=True, help="Assemble results/evaluate/vlkd/predict/ from all batches.")
@click.option(
    "--deadline",
    type=click.FloatRange(min=0),
    help="Seconds from now by which to stop behind a finished task with code 75; the same command then goes on.",
)
def predict(batch: int | None, gather: bool, deadline: float | None) -> None:
    """Predict: one batch of cells, or the gathering of all of them.

    With neither option every batch runs, one after the other, and is gathered.
    """
    root = Path.cwd()
    tree = params.load(root / layout.PARAMS)
    if batch is not None and gather:
        raise click.UsageError("--batch and --gather exclude each other")
    if batch is not None:
        click.echo(evaluate.vlkd_predict_batch(tree, root, batch, deadline=deadline))
        return
    if not gather:
        from vldistill.cells import batches, vlkd_cells

        began = time.monotonic()
        for number in range(len(batches(vlkd_cells(tree), tree.compute.runs_per_job))):
            left = None if deadline is None else deadline - (time.monotonic() - began)
            evaluate.vlkd_predict_batch(tree, root, number, deadline=left)
    click.echo(evaluate.vlkd_predict_gather(tree, root))


@vlkd.command("score")
def score() -> None:
    """Score the gathered predictions into results/evaluate/vlkd/score/."""
    root = Path.cwd()
    click.echo(evaluate.vlkd_score(params.load(root / layout.PARAMS), root))
