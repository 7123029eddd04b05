"""`vldistill accept`: an edit that changes no result re-runs nothing."""

from __future__ import annotations

from pathlib import Path

import click

from vldistill import code_version
from vldistill.cli.frontends import ask
from vldistill.errors import InputError

# DVC's stage, or group of stages -> the stages whose code version its run folders hold
CODE = {
    "download": ("download",),
    "download_mad": ("download",),
    "pretrain": ("pretrain",),
    "pretrain_student": ("pretrain_student",),
    "features": ("features",),
    "features_mad": ("features", "features_texts"),
    "split": ("split",),
    "split_mad": ("split",),
    "distill_vlkd": ("distill",),
    "distill_mad": ("distill_mad",),
    "evaluate_vlkd_predict": ("evaluate_predict",),
    "evaluate_vlkd_score": ("evaluate_score",),
    "evaluate_mad_predict": ("evaluate_mad_predict",),
    "evaluate_mad_score": ("evaluate_mad_score",),
    "report": ("report",),
}


@click.command("accept")
@click.argument("stages", nargs=-1, required=True, type=click.Choice(list(CODE)), metavar="STAGE...")
def command(stages: tuple[str, ...]) -> None:
    """Take the present results of STAGE... as those of the present code, after an edit that changes no result.

    Nothing runs: Snakemake and DVC record the results as current, and run folders of the old code are found under the
    new one. STAGE is a stage of dvc.yaml, or for MAD all of its tasks: download, download_mad, pretrain,
    pretrain_student, features, features_mad, split, split_mad, distill_vlkd, distill_mad, evaluate_vlkd_predict,
    evaluate_vlkd_score, evaluate_mad_predict, evaluate_mad_score, report.
    """
    root = Path.cwd()
    for stage in dict.fromkeys(code for each in stages for code in CODE[each]):
        try:
            new, old = code_version.accept(stage, root)
            click.echo(f"{stage}: run folders of code {old} are found under {new}")
        except InputError:
            # no run folders, or none of another version: there is nothing to find again
            continue
    click.echo(f"accepted as current: {', '.join(ask(root, 'accept', *stages)['accepted'])}")
