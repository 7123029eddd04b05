"""`vldistill download`: one data set into records and images."""

from __future__ import annotations

import shutil
from pathlib import Path

import click


@click.command("download")
@click.argument("dataset", metavar="SET")
@click.option(
    "--official",
    type=click.Path(path_type=Path),
    help="Only copy the official files of SET into this folder, to look at; makes no records.",
)
def command(dataset: str, official: Path | None) -> None:
    """Fetch or render SET and turn it into results/download/SET: records.jsonl and images.zip.

    SET: cc3m, coco, nocaps, vqav2, okvqa, domains, corpus, reading, summary, flickr30k, snli_ve, vcr, vg, vqa_cp.
    """
    from vldistill import download, layout, params
    from vldistill.errors import InputError

    root = Path.cwd()
    loaded = params.load(root / layout.PARAMS)
    if official is None:
        click.echo(download.run(loaded, root, dataset))
        return
    if official.exists() and any(official.iterdir()):
        raise InputError("the folder is not empty", file=official, action="Name a new folder")
    shutil.copytree(download.official(loaded, root, dataset), official, dirs_exist_ok=True)
    click.echo(official)
