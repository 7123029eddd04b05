"""`vldistill distill`: train cells, or gather them."""

from __future__ import annotations

import time
from pathlib import Path

import click

from vldistill import distill
from vldistill.cells import batches, vlkd_cells
from vldistill.layout import PARAMS
from vldistill.params import load
from vldistill.runs import launched


@click.group("distill")
def command() -> None:
    """Distil CLIP into a language model."""


@command.command("vlkd")
@click.option("--batch", type=click.IntRange(min=0), help="Train the cells of this batch.")
@click.option("--gather", is_flag=True, help="Assemble results/distill/vlkd from the finished cells.")
@click.option(
    "--deadline",
    type=click.FloatRange(min=0),
    help="Seconds from now by which to save and exit with code 75; the same command then goes on.",
)
def vlkd(batch: int | None, gather: bool, deadline: float | None) -> None:
    """VLKD: every active arm of params.yaml with each of its seeds.

    Without --batch or --gather: train all batches here, one after the other, and gather them. Several GPUs train a cell
    together under torchrun: torchrun --nproc-per-node=4 -m vldistill.cli.main distill vlkd --batch 0
    """
    root = Path.cwd()
    params = load(root / PARAMS)
    if batch is not None and gather:
        raise click.UsageError("give --batch or --gather, not both")
    if batch is None and not gather and launched()[1] > 1:
        # a process group is made for a batch; the next one could meet the addresses of the last
        raise click.UsageError("under torchrun give --batch, one command for each batch")
    if not gather:
        count = len(batches(vlkd_cells(params), params.compute.runs_per_job))
        began = time.monotonic()
        for number in range(count) if batch is None else [batch]:
            left = None if deadline is None else deadline - (time.monotonic() - began)
            distill.vlkd_batch(params, root, number, deadline=left)
    if batch is None:
        distill.vlkd_gather(params, root)
