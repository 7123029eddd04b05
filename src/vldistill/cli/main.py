"""The command line. Commands are imported when called, so that `--help` stays fast."""

from __future__ import annotations

import importlib
import sys
from typing import Any

import click

from vldistill import __version__
from vldistill.errors import VldistillError
from vldistill.signals import Stopped

# One line each, here and not taken from the commands: asking them would import every one of them.
STAGES = {
    "download": "Fetch or render one data set and turn it into records and images.",
    "pretrain": "Load published weights, or train the miniature stand-ins.",
    "features": "Extract frozen teacher features into a memory-mapped store.",
    "split": "Write id lists: dev and test, low-shot subsets, shifted tests; also of your own files.",
    "distill": "Distil by VLKD or MAD: train cells (arm, seed, MAD: task and size) or gather them.",
    "evaluate": "Predict and score.",
    "report": "Write the report page, its tables and plots.",
}
UTILITIES = {
    "accept": "Declare that an edit of a stage's code changes no result.",
    "ask": "Ask a distilled model a question about an image.",
    "caption": "Caption images with a distilled model.",
    "clean": "Remove run folders and leftovers that nothing refers to.",
    "compare": "Compare revisions or arms item by item, with intervals.",
    "doctor": "Tell what is installed here, what is missing and what to do.",
    "plan": "Tell what would run and why, before anything runs.",
    "preset": "Show or apply a preset to params.yaml.",
    "reproduce": "Compare the headline numbers with the tracked reference.",
    "score": "Score caption or VQA result files.",
    "tuning": "Show the trials of a sweep and what each criterion chooses.",
    "sync": "Make Snakemake and DVC agree on what is done.",
}


class Lazy(click.Group):
    """A group that imports a command's module only when the command is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [*STAGES, *UTILITIES]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in STAGES and cmd_name not in UTILITIES:
            return None
        command: click.Command = importlib.import_module(f"vldistill.cli.{cmd_name}").command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        for title, table in (("Stages, in order", STAGES), ("Utilities", UTILITIES)):
            with formatter.section(title):
                formatter.write_dl(list(table.items()))


@click.command(cls=Lazy, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="vldistill")
def cli() -> None:
    """Vision-language knowledge distillation as a reproducible pipeline.

    The whole pipeline: snakemake all, or dvc repro. A stage by hand: the commands below, run in the project's root;
    the experiment is what params.yaml holds.
    """


def main(arguments: list[str] | None = None) -> Any:
    """Run the command line; an error the user can mend is one message and exit code 2, stopped work one and code 75."""
    try:
        return cli.main(args=arguments, standalone_mode=True)
    except VldistillError as error:
        click.echo(f"error: {error}", err=True)
        sys.exit(2)
    except Stopped as stopped:
        click.echo(str(stopped), err=True)
        raise


if __name__ == "__main__":
    main()
