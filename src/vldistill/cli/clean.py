"""`vldistill clean`: free the disk of what nothing refers to."""

from __future__ import annotations

from pathlib import Path

import click

from vldistill import leftovers
from vldistill.layout import PARAMS
from vldistill.params import load


@click.command("clean")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--unfinished", is_flag=True, help="Also run folders that are not finished (they would be resumed).")
@click.option("--others", is_flag=True, help="Also cells and predictions of other experiments than the present one.")
def command(yes: bool, unfinished: bool, others: bool) -> None:
    """Remove run folders of other versions of the code, and what killed processes left: halves, spent checkpoints.

    Run folders that a process works in are never touched. results/ stays; what is removed can be made again, at the
    cost of its computation: with --others, other branches and queued experiments may have use for it.
    """
    root = Path.cwd()
    found = leftovers.find(load(root / PARAMS), root, unfinished=unfinished, others=others)
    if not found:
        click.echo("nothing to remove")
        return
    for path in found:
        click.echo(f"{leftovers.size(path) / 2**20:9.1f} MiB  {path}")
    total = sum(leftovers.size(path) for path in found) / 2**20
    if not yes:
        click.confirm(f"Remove these {len(found)} ({total:.1f} MiB)?", abort=True)
    leftovers.remove(found)
    click.echo(f"removed {len(found)}, {total:.1f} MiB")
