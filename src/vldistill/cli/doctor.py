"""`vldistill doctor`: what is here, what is missing, what to do."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from vldistill import doctor


@click.command("doctor")
@click.option("--brief", is_flag=True, help="Name only what is missing; say nothing when nothing is.")
def command(brief: bool) -> None:
    """Tell what is installed here, what is missing and what to do about it.

    Ends with exit code 1 if something is missing without which nothing runs.
    """
    found = list(doctor.checks(Path.cwd()))
    missing = [check for check in found if check.status == "missing"]
    if brief:
        for check in missing:
            click.echo(f"missing: {check.name}. {check.found}. {check.action}", err=True)
    else:
        _print_table(found)
    if any(check.required for check in missing):
        sys.exit(1)


def _print_table(found: list[doctor.Check]) -> None:
    from rich.console import Console
    from rich.table import Table

    colours = {"ok": "green", "note": "yellow", "missing": "red"}
    table = Table("what", "", "found", "what to do", box=None, pad_edge=False)
    for check in found:
        table.add_row(check.name, f"[{colours[check.status]}]{check.status}[/]", check.found, check.action)
    Console().print(table)
