"""`vldistill pretrain`: make the teacher, the language model or a student."""

from __future__ import annotations

from pathlib import Path

import click

from vldistill.layout import PARAMS
from vldistill.params import load
from vldistill.pretrain.names import NAMES


@click.command("pretrain")
@click.argument("name", type=click.Choice(list(NAMES)), metavar="NAME")
@click.option(
    "--deadline",
    type=click.FloatRange(min=0),
    help="Seconds from now by which to save and exit with code 75; the same command then goes on.",
)
def command(name: str, deadline: float | None) -> None:
    """Make the model NAME: clip, clip_untrained, bart, bart_no_direct, student, student_gap0, _gap25 or _gap50.

    Those of a chosen gap go on from student, which is made first.

    Trains a stand-in, or loads published weights, as params.yaml says. Stopped or killed, it goes on where it was when
    called again. Dev figures stand in the manifest's meta.
    """
    from vldistill import pretrain
    from vldistill.artifact import read_manifest

    root = Path.cwd()
    folder = pretrain.run(load(root / PARAMS), root, name, deadline=deadline)
    meta = read_manifest(folder)["meta"]
    if reason := meta.get("absent"):
        click.echo(f"{folder} is not made: {reason}")
        return
    click.echo(folder)
    for figure, value in meta["metrics"].items():
        click.echo(f"  {figure}: {value}")
