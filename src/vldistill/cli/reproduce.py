"""`vldistill reproduce`: the last step of `make reproduce`."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from vldistill import layout, params, presets, reproduce


@click.command("reproduce")
@click.option("--preset", default="mini", show_default=True, help="Compare with data/reference/PRESET.json.")
@click.option("--write", is_flag=True, help="Make this run the reference instead of comparing with it.")
def command(preset: str, write: bool) -> None:
    """Compare the headline numbers of results/report/ with the tracked reference.

    The tolerance of each number is the interval in which the mean of as many other seeds would lie. The last line
    begins with REPRODUCED (exit code 0) or DIFFERS (exit code 1) and names the report.
    """
    root = Path.cwd()
    if write:
        click.echo(reproduce.write_reference(root, preset))
        return
    outcomes = reproduce.compare(root, preset)
    _print_table(outcomes)
    here = root / layout.PARAMS
    if here.is_file() and params.load(here) != presets.params_of(root, preset):
        click.echo(f"note: params.yaml is not the preset {preset}, so these numbers come from another experiment")
    counts = [f"{name} {held} of {measured} hold" for name, (held, measured) in reproduce.bars(root).items()]
    click.echo(f"bars of this run: {', '.join(counts) or 'none measured'}")
    same = sum(outcome.agrees for outcome in outcomes)
    word = "REPRODUCED" if same == len(outcomes) else "DIFFERS"
    page = layout.report(root) / "index.html"
    click.echo(f"{word}: {same} of {len(outcomes)} headline numbers within their seed interval; report: {page}")
    sys.exit(0 if word == "REPRODUCED" else 1)


def _print_table(outcomes: list[reproduce.Outcome]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table("number", "reference", "interval", "this run", "seeds", "", box=None, pad_edge=False)
    for outcome in outcomes:
        expected = outcome.reference
        table.add_row(
            expected.name,
            f"{expected.value:.6g} {expected.unit}",
            f"{expected.low:.6g} to {expected.high:.6g}",
            "absent" if outcome.value is None else f"{outcome.value:.6g}",
            str(expected.n),
            "same" if outcome.agrees else "[bold]DIFFERS[/]",
        )
    Console(width=None if sys.stdout.isatty() else 120).print(table)
