"""`vldistill preset`: show or apply a preset."""

from __future__ import annotations

from pathlib import Path

import click

from vldistill import presets


@click.command("preset")
@click.argument("name", type=click.Choice(presets.NAMES), required=False)
@click.option("--force", is_flag=True, help="Overwrite params.yaml although it holds edits that are in no preset.")
@click.option("--show", is_flag=True, help="Only show how the preset differs from params.yaml.")
def command(name: str | None, force: bool, show: bool) -> None:
    """Show the difference between params.yaml and a preset, and apply it.

    Without NAME: say which preset params.yaml equals. An edited params.yaml is not overwritten without --force.
    """
    root = Path.cwd()
    if name is None:
        click.echo(presets.describe(root))
        return
    for line in presets.difference(root, name):
        click.echo(line)
    if show:
        return
    presets.apply(root, name, force=force)
    click.echo(f"params.yaml is now the preset {name}")
