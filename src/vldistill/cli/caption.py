"""`vldistill caption`: say what is on images."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from vldistill.errors import InputError

if TYPE_CHECKING:
    from vldistill.inference import Distilled

DEFAULT_MODEL = Path("results/distill/vlkd/all-s0")


@click.command("caption")
@click.argument("images", metavar="IMAGE...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--model", type=click.Path(path_type=Path), default=DEFAULT_MODEL, show_default=True, help="Folder of the model."
)
@click.option("--beams", type=click.IntRange(1, 32), help="Beams; 1 is greedy.  [default: as evaluated]")
def command(images: tuple[Path, ...], model: Path, beams: int | None) -> None:
    """Caption images of any format with a distilled model, one line an image.

    Prompt and decoding are the model's own, wherever the command runs: those of prompts.json in its folder, else of the
    params.yaml of the project it lies in, else the defaults for its kind of weights.

    An image that cannot be read is reported on standard error; the others are captioned, and the exit code is 2.
    """
    opened, problems = [], []
    from vldistill.models.images import open_image

    for path in images:
        try:
            opened.append((path, open_image(path)))
        except InputError as error:
            problems.append(error)
    for problem in problems:
        click.echo(f"error: {problem}", err=True)
    if opened:
        captions = load_model(model).caption([image for _, image in opened], num_beams=beams)
        for (path, _), caption in zip(opened, captions, strict=True):
            click.echo(f"{path}: {caption}")
    if problems:
        sys.exit(2)


def load_model(folder: Path) -> Distilled:
    """The model of ``folder``, asked as `inference.options_of` says; a toy is said to be one."""
    from vldistill import inference

    found = inference.load(folder)
    if found.is_toy:
        click.echo(f"note: {inference.TOY}", err=True)
    return found
