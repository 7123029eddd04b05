"""`vldistill sync`: one opinion of Snakemake and DVC on what is done."""

from __future__ import annotations

from pathlib import Path

import click

from vldistill.cli.frontends import ask


@click.command("sync")
def command() -> None:
    """Make Snakemake and DVC agree on what is done, without running anything.

    Snakemake adopts what DVC proves current (after dvc pull, dvc checkout); DVC records what Snakemake has made. Runs
    of either do this by themselves; VLDISTILL_SYNC=off keeps them from it.
    """
    answer = ask(Path.cwd(), "sync")
    for verb, names in (
        ("adopted by Snakemake", answer["adopted"]),
        ("recorded in dvc.lock", answer["recorded"]),
        ("still to be made", answer["due"]),
    ):
        if names:
            click.echo(f"{verb}: {', '.join(names)}")
    if not any(answer.values()):
        click.echo("Snakemake and DVC agree: everything is current")
