"""`vldistill split`: the id lists of one task, or lists and rewrites of any file of an official format."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from vldistill.cli.types import FILE, FOLDER, Finite, elsewhere

SEED = click.option("--seed", type=int, default=0, show_default=True, help='Seed of the order sha256("seed:unit").')
OUT = click.option("--out", required=True, type=FILE, help="Where to write the result.")
TASKS = {
    "snli_ve": "MAD's task on SNLI-VE",
    "vcr": "MAD's task on VCR",
    "vqa": "MAD's task on VQA v2",
    **dict.fromkeys(("coco", "nocaps", "vqav2", "okvqa", "domains", "reading", "summary"), "dev and test of VLKD"),
}


class Kinds(click.Group):
    """Kinds of splits; any other name is a task of the experiment."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [*sorted(self.commands), *TASKS]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        known = super().get_command(ctx, cmd_name)
        if known is not None:
            return known
        said = f"Write the lists of {TASKS.get(cmd_name, cmd_name)}."
        return click.Command(cmd_name, callback=lambda: _task(cmd_name), help=said, short_help=said)


@click.group("split", cls=Kinds)
def command() -> None:
    """Write the id lists of a task into results/split/TASK, or split any file of an official format."""


def _task(task: str) -> None:
    from vldistill import layout, params, split
    from vldistill.errors import InputError

    root = Path.cwd()
    if task not in (*split.TASKS, *split.MAD_TASKS):
        raise InputError(f"no task called {task!r}", action=f"Known: {', '.join((*split.TASKS, *split.MAD_TASKS))}")
    write = split.mad_splits if task in split.MAD_TASKS else split.run
    for path in write(params.load(root / layout.PARAMS), root, task):
        click.echo(path)


@command.command("low-shot")
@click.option("--records", required=True, type=FILE, help="JSON lines, or a JSON list of records, alone or in a key.")
@click.option("--unit", required=True, help="Field that groups items, e.g. image, Flickr30K_ID, movie, image_id.")
@click.option("--id", "identity", default="id", show_default=True, help="Field with the item's id.")
@click.option("--fraction", required=True, type=Finite(0, 1), help="Share of the units to keep.")
@SEED
@OUT
def low_shot(records: Path, unit: str, identity: str, fraction: float, seed: int, out: Path) -> None:
    """A subset of the first ceil(fraction n) units; of one seed, smaller subsets are part of larger ones."""
    from vldistill.cli.split_files import held, records_of, unit_table
    from vldistill.files import write_json
    from vldistill.split import lists

    elsewhere(out, records)
    made = lists.low_shot(held(unit_table(records_of(records), identity, unit), records), unit, seed, fraction)
    write_json(out, made)
    click.echo(f"{len(made['ids'])} items: {out}")


@command.command("vqa-cp")
@click.option("--questions", required=True, type=FILE, help="VQA questions JSON.")
@click.option("--annotations", required=True, type=FILE, help="VQA annotations JSON.")
@click.option("--test-share", type=Finite(0, 1), default=0.4, show_default=True, help="Share of the images.")
@click.option(
    "--prior-share",
    type=Finite(0.5, 1, min_open=True, max_open=True),
    default=0.85,
    show_default=True,
    help="Share of each question type's training items with an answer of the preferred side.",
)
@SEED
@click.option("--out", required=True, type=FOLDER, help="Folder for cp-train.json, cp-iid.json and cp-shift.json.")
def vqa_cp(questions: Path, annotations: Path, test_share: float, prior_share: float, seed: int, out: Path) -> None:
    """Lists with changed answer priors: for training, in-domain test and shifted test; no image across."""
    from vldistill.cli.split_files import changed_priors
    from vldistill.files import write_json

    for name, made in changed_priors(questions, annotations, test_share, prior_share, seed).items():
        write_json(out / f"{name}.json", made)
        click.echo(f"{len(made['ids'])} items: {out / name}.json")


@command.command("vcr-rules")
@click.option("--annotations", required=True, type=FILE, help="Labelled VCR JSON lines, e.g. val.jsonl.")
@click.option("--rule", required=True, type=click.Choice(["singular", "plural"]), help="Which rule.")
@click.option("--class", "classes", multiple=True, default=["person"], show_default=True, help="Classes of tags.")
@OUT
def vcr_rules(annotations: Path, rule: Any, classes: tuple[str, ...], out: Path) -> None:
    """Rewritten VCR items: the right answer's tag becomes a pronoun, wrong ones get the question's tag."""
    from vldistill.cli.split_files import rewritten
    from vldistill.files import write_jsonl

    elsewhere(out, annotations)
    click.echo(f"{write_jsonl(out, rewritten(annotations, rule, classes))} items: {out}")


@command.command("snli-ve-hard")
@click.option("--train", required=True, type=FILE, help="SNLI-VE JSON lines to train the classifier on.")
@click.option("--subset", type=FILE, help="An id list (low-shot): only its pairs of the training file.")
@click.option("--test", required=True, type=FILE, help="SNLI-VE JSON lines to choose from.")
@OUT
def snli_ve_hard(train: Path, subset: Path | None, test: Path, out: Path) -> None:
    """The test pairs that a classifier of hypotheses alone gets wrong."""
    from vldistill.cli.split_files import hard_pairs
    from vldistill.files import write_json

    elsewhere(out, train, subset, test)
    made = hard_pairs(train, subset, test)
    write_json(out, made)
    click.echo(f"{len(made['ids'])} items: {out}")
