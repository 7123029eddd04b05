"""`vldistill tuning`: the trial table of a sweep."""

from __future__ import annotations

import tempfile
from pathlib import Path

import click

from vldistill.cli.compare import located, show
from vldistill.layout import PARAMS


@click.command("tuning")
@click.argument("revisions", metavar="REVISION...", nargs=-1, required=True)
@click.option(
    "--write",
    "file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Also write tables and choices between the marks of this Markdown file, as in docs/tuning.md.",
)
def command(revisions: tuple[str, ...], file: Path | None) -> None:
    """Show what each trial of a sweep scored, and the settings chosen by hold-out and by dev: a table a task.

    Each REVISION is a DVC experiment, a git revision, `workspace` or a folder of another checkout in which
    distill.mad.sweep.trial was run; all together must hold the same trials for every arm. Trials, arms and tasks are
    those of distill.mad.sweep in params.yaml.
    """
    from vldistill.compare.table import to_markdown
    from vldistill.params import load
    from vldistill.tuning.table import choices, tables, to_yaml, write
    from vldistill.tuning.trials import gathered, read_models

    mad = load(Path.cwd() / PARAMS).distill.mad
    with tempfile.TemporaryDirectory(prefix="vldistill-tuning-") as folder:
        there = located(Path.cwd(), revisions, Path(folder), "trials")
        models = [model for name, (path, _) in there.items() for model in read_models(name, path, mad.sweep)]
    trials = gathered(models, mad.sweep)
    made = tables(trials, mad, {name: commit for name, (_, commit) in there.items()})
    chosen = to_yaml(choices(trials, mad))
    for each in made:
        show(each, None)
        click.echo()
    click.echo(f"For params.yaml:\n{chosen}", nl=False)
    if file is not None:
        write(file, [*map(to_markdown, made), f"For params.yaml:\n\n```yaml\n{chosen}```"])
        click.echo(f"written: {file}")
