"""`vldistill distill`: train cells, or gather them."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import click

from vldistill import distill
from vldistill.cells import batches
from vldistill.distill.batch import Method, train_batch
from vldistill.distill.batch import gather as gather_cells
from vldistill.layout import PARAMS
from vldistill.params import Params, load
from vldistill.params.mad_grid import TASKS
from vldistill.runs import launched


@click.group("distill")
def command() -> None:
    """Distil CLIP into a language model (vlkd), or into a student while it learns a task (mad)."""


def _options(decorated: Any) -> Any:
    """The options that both methods' commands have."""
    for option in (
        click.option(
            "--deadline",
            type=click.FloatRange(min=0),
            help="Seconds from now by which to save and exit with code 75; the same command then goes on.",
        ),
        click.option("--gather", is_flag=True, help="Assemble the models of the finished cells."),
        click.option("--batch", type=click.IntRange(min=0), help="Train the cells of this batch."),
    ):
        decorated = option(decorated)
    return decorated


@command.command("vlkd")
@_options
def vlkd(batch: int | None, gather: bool, deadline: float | None) -> None:
    """VLKD: every active arm of params.yaml with each of its seeds.

    Without --batch or --gather: train all batches here, one after the other, and gather them. Several GPUs train a cell
    together under torchrun: torchrun --nproc-per-node=4 -m vldistill.cli.main distill vlkd --batch 0
    """
    params = load(Path.cwd() / PARAMS)
    _run(distill.vlkd_method(params, Path.cwd()), params, batch, gather, deadline)


@command.command("mad")
@click.argument("task", type=click.Choice(TASKS))
@_options
def mad(task: str, batch: int | None, gather: bool, deadline: float | None) -> None:
    """MAD on TASK: every arm of params.yaml that is run on it, on each of its training subsets, with each seed.

    Without --batch or --gather: train all batches here, one after the other, and gather them.
    """
    params = load(Path.cwd() / PARAMS)
    _run(distill.mad_method(params, Path.cwd(), task), params, batch, gather, deadline)


def _run(method: Method[Any], params: Params, batch: int | None, gather: bool, deadline: float | None) -> None:
    if batch is not None and gather:
        raise click.UsageError("give --batch or --gather, not both")
    if batch is None and not gather and launched()[1] > 1:
        # a process group is made for a batch; the next one could meet the addresses of the last
        raise click.UsageError("under torchrun give --batch, one command for each batch")
    if not gather:
        count = len(batches(method.cells, method.per_job))
        began = time.monotonic()
        for number in range(count) if batch is None else [batch]:
            left = None if deadline is None else deadline - (time.monotonic() - began)
            train_batch(method, params, Path.cwd(), number, left)
    if batch is None:
        gather_cells(method, params)
