"""`vldistill ask`: answer a question about an image."""

from __future__ import annotations

from pathlib import Path

import click

from vldistill.cli.caption import DEFAULT_MODEL, load_model


@click.command("ask")
@click.argument("image", type=click.Path(path_type=Path))
@click.argument("question")
@click.option(
    "--model", type=click.Path(path_type=Path), default=DEFAULT_MODEL, show_default=True, help="Folder of the model."
)
@click.option("--beams", type=click.IntRange(1, 32), help="Beams; 1 is greedy.  [default: as evaluated]")
def command(image: Path, question: str, model: Path, beams: int | None) -> None:
    """Answer QUESTION about IMAGE, a picture of any format, with a distilled model.

    Prompt and decoding are the model's own, wherever the command runs: those of prompts.json in its folder, else of the
    params.yaml of the project it lies in, else the defaults for its kind of weights.
    """
    from vldistill.models.images import open_image

    opened = open_image(image)  # before the model is loaded: a wrong path is told at once
    click.echo(load_model(model).ask(opened, question, num_beams=beams))
