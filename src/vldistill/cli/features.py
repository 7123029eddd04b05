"""`vldistill features`: extract frozen teacher features, or check a store."""

from __future__ import annotations

import os
from pathlib import Path

import click

from vldistill import layout
from vldistill.params import load


@click.command("features")
@click.argument("encoder", metavar="ENCODER")
@click.argument("dataset", metavar="SET")
@click.option(
    "--writers",
    type=click.IntRange(1),
    default=lambda: int(os.environ.get("VLDISTILL_WRITERS", "1")),
    help="Processes that extract at the same time; default: $VLDISTILL_WRITERS, else 1.",
)
@click.option(
    "--deadline",
    type=click.FloatRange(min=0),
    help="Seconds from now by which to stop behind a shard with code 75; the same command then goes on.",
)
def command(encoder: str, dataset: str, writers: int, deadline: float | None) -> None:
    """Extract the features of data set SET with the encoder ENCODER (clip, clip_untrained).

    With `texts` in the place of SET: the vectors of all texts that teach a student, with clip or a language model.

    Stopped or killed, it goes on where it was when called again. `vldistill features verify PATH` checks a store
    byte by byte.
    """
    if encoder == "verify":
        _verify(Path(dataset))
        return
    from vldistill import features

    root = Path.cwd()
    params = load(root / layout.PARAMS)
    click.echo(features.run(params, root, encoder, dataset, writers=writers, deadline=deadline))


def _verify(folder: Path) -> None:
    from vldistill.features import store

    found = store.verify(folder)
    tables = ", ".join(f"{each['rows']} {name} ({each['invalid']} invalid)" for name, each in found["tables"].items())
    kinds = ", ".join(f"{kind} {'x'.join(map(str, shape))}" for kind, shape in found["kinds"].items())
    click.echo(f"{folder}: whole. {tables}; {kinds}; {found['bytes'] / 2**20:.1f} MiB")
