"""`vldistill report`: write the report page, its tables and plots."""

from __future__ import annotations

from pathlib import Path

import click

from vldistill import layout, params, provenance, report


@click.command("report")
def command() -> None:
    """Write results/report/ from what the other stages left in results/.

    The page, results/report/index.html, opens from disk and needs no network.
    """
    root = Path.cwd()
    with provenance.recorded(layout.run_record(layout.report(root))):
        page = report.run(params.load(root / layout.PARAMS), root)
    click.echo(f"report: {page}")
