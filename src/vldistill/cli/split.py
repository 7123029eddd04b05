"""`vldistill split`: the id lists of one task."""

from __future__ import annotations

from pathlib import Path

import click


@click.command("split")
@click.argument("task", metavar="TASK")
def command(task: str) -> None:
    """Write results/split/TASK/dev.json and test.json from the records of TASK's data set.

    TASK: coco, nocaps, vqav2, okvqa, domains, reading, summary.
    """
    from vldistill import layout, params, split

    root = Path.cwd()
    for path in split.run(params.load(root / layout.PARAMS), root, task):
        click.echo(path)
