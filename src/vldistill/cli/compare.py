"""`vldistill compare`: revisions or arms item by item."""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import click

from vldistill.cli.frontends import ask
from vldistill.cli.types import Finite
from vldistill.errors import InputError

if TYPE_CHECKING:
    from vldistill.compare.scores import Scores
    from vldistill.report.table import Table

WORKSPACE = "workspace"


@click.command("compare")
@click.argument("revisions", metavar="[BASE [EXPERIMENT...]]", nargs=-1)
@click.option("--against", metavar="ARM", help="Compare the arms of one revision [default: workspace] with ARM.")
@click.option("--power", type=Finite(0, min_open=True), metavar="POINTS", help="Seeds to resolve POINTS.")
@click.option("--method", "methods", multiple=True, help="Only this method (repeatable).")
@click.option("--task", "tasks", multiple=True, help="Only this task (repeatable).")
@click.option("--arm", "arms", multiple=True, help="This arm, also a control as in all.no_image (repeatable).")
@click.option("--metric", "metrics", multiple=True, help="This score of the items (repeatable).")
@click.option("--markdown", "form", flag_value="markdown", help="Print a Markdown table.")
@click.option("--latex", "form", flag_value="latex", help="Print a LaTeX table (package booktabs).")
@click.option("--json", "form", flag_value="json", help="Print everything, unrounded, as JSON.")
def command(
    revisions: tuple[str, ...],
    against: str | None,
    power: float | None,
    methods: tuple[str, ...],
    tasks: tuple[str, ...],
    arms: tuple[str, ...],
    metrics: tuple[str, ...],
    form: str | None,
) -> None:
    """Compare per-item scores: paired difference, interval, wins/ties/losses and corrected p.

    BASE and EXPERIMENT are git revisions, DVC experiments, `workspace`, or folders of other checkouts. Default: the
    last commit against the workspace. Compared are the trained arms by the scores that have intervals.
    """
    from vldistill.compare.pairs import Choice, compare_arms, compare_revisions
    from vldistill.compare.table import as_json, table

    choice = Choice(methods, tasks, arms, metrics, power)
    if against is not None and len(revisions) > 1:
        raise click.UsageError("--against compares the arms of one revision")
    names = revisions if against is not None or len(revisions) > 1 else (*(revisions or ("HEAD",)), WORKSPACE)
    with tempfile.TemporaryDirectory(prefix="vldistill-compare-") as folder:
        base, *others = loaded = load(Path.cwd(), names or (WORKSPACE,), Path(folder))
        if against is not None:
            found, title = compare_arms(base, against, choice), f"Arms of {base.label} minus {against}"
        else:
            found = compare_revisions(base, others, choice)
            title = f"{', '.join(other.label for other in others)} minus {base.label}"
    if form == "json":
        commits = {scores.name: scores.commit for scores in loaded if scores.commit}
        click.echo(json.dumps(as_json(found, commits), indent=2, allow_nan=False))
    else:
        show(table(found, title), form)


def load(root: Path, names: tuple[str, ...], folder: Path) -> list[Scores]:
    """The per-item scores of each revision; those of git and DVC are exported into ``folder`` first.

    Raises:
        InputError: a name stands twice, or a revision has no per-item scores.
        VldistillError: git and DVC know no such revision, or its scores are in no cache or remote.
    """
    from vldistill.compare.scores import open_scores

    return [open_scores(name, *found) for name, found in located(root, names, folder, "scores").items()]


def located(root: Path, names: tuple[str, ...], folder: Path, what: str) -> dict[str, tuple[Path, str]]:
    """Where the results of each revision are, and its commit (none of a folder).

    Args:
        root: the project.
        names: revisions of git, experiments of DVC, `workspace`, or folders of other checkouts.
        folder: where those of git and DVC are exported.
        what: `scores` or `trials`, the files that are exported.

    Raises:
        InputError: a name stands twice.
        VldistillError: git and DVC know no such revision, or its results are in no cache or remote.
    """
    if len(set(names)) < len(names):
        raise InputError(f"a revision is named twice: {', '.join(names)}", action="Name each once")
    exported = [name for name in names if name != WORKSPACE and not has_results(Path(name))]
    answer = ask(root, what, str(folder), *exported) if exported else {}
    there = {name: (Path(found["folder"]), found["commit"]) for name, found in answer.items()}
    return {name: there.get(name, (root if name == WORKSPACE else Path(name), "")) for name in names}


def has_results(folder: Path) -> bool:
    """Whether ``folder`` is a checkout with results, hence not meant as a revision of the same name."""
    return (folder / "results" / "evaluate").is_dir()


def show(made: Table, form: str | None) -> None:
    """Print a table for the terminal, as Markdown or as LaTeX."""
    if form == "markdown":
        from vldistill.compare.table import to_markdown

        click.echo(to_markdown(made), nl=False)
        return
    if form == "latex":
        from vldistill.report.table import to_latex

        click.echo(to_latex(made), nl=False)
        return
    from rich.console import Console
    from rich.table import Table as RichTable

    drawn = RichTable(title=made.title, title_justify="left", box=None, pad_edge=False)
    for key, label in made.columns:
        drawn.add_column(label, justify="right" if made.numeric(key) else "left", overflow="fold")
    for row in made.rows:
        drawn.add_row(*(row[key].shown for key, _ in made.columns))
    # a file or a pipe has no edge to wrap at
    console = Console(width=None if sys.stdout.isatty() else 1000, highlight=False, markup=False)
    console.print(drawn)
    for note in made.notes:
        console.print(note)
