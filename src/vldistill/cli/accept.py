"""`vldistill accept`: an edit that changes no result re-runs nothing."""

from __future__ import annotations

from pathlib import Path

import click

from vldistill import code_version
from vldistill.cli.frontends import ask
from vldistill.errors import InputError

# DVC's stage -> the stage whose code version its run folders hold
CODE = {
    "download": "download",
    "pretrain": "pretrain",
    "features": "features",
    "split": "split",
    "distill_vlkd": "distill",
    "evaluate_vlkd_predict": "evaluate_predict",
    "evaluate_vlkd_score": "evaluate_score",
    "report": "report",
}


@click.command("accept")
@click.argument("stages", nargs=-1, required=True, type=click.Choice(list(CODE)), metavar="STAGE...")
def command(stages: tuple[str, ...]) -> None:
    """Take the present results of STAGE... as those of the present code, after an edit that changes no result.

    Nothing runs: Snakemake and DVC record the results as current, and run folders of the old code are found under the
    new one. STAGE is a stage of dvc.yaml: download, pretrain, features, split, distill_vlkd, evaluate_vlkd_predict,
    evaluate_vlkd_score, report.
    """
    root = Path.cwd()
    for stage in stages:
        try:
            new, old = code_version.accept(CODE[stage], root)
            click.echo(f"{stage}: run folders of code {old} are found under {new}")
        except InputError:
            # no run folders, or none of another version: there is nothing to find again
            continue
    click.echo(f"accepted as current: {', '.join(ask(root, 'accept', *stages)['accepted'])}")
