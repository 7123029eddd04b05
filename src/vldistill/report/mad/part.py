"""MAD's part of the page, laid out by the template ``mad.html``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from vldistill.evaluate.mad.effects import METHOD_ARM
from vldistill.params import Params
from vldistill.params.mad import Priors
from vldistill.report.cost import Run
from vldistill.report.mad import charts, difference_tables, gallery, names, origin, score_tables
from vldistill.report.mad.found import Found, few_of
from vldistill.report.page import Chart
from vldistill.report.papers import Reported
from vldistill.report.table import Table

SECTIONS = {
    "mad": "MAD: headline",
    "mad-bars": "MAD: bars",
    "mad-shift": "MAD: under shift",
    "mad-controls": "MAD: controls",
    "mad-gap": "MAD: gap-size curve",
    "mad-papers": "MAD: beside the paper",
    "mad-gallery": "MAD: gallery",
}
CONTROLS = {"mad_controls", "mad_blind", "mad_arms"}
"""The tables of the section on controls."""


@dataclass(frozen=True)
class TaskPart:
    """One task: its charts and its table."""

    title: str
    charts: Sequence[Chart]
    table: Table


@dataclass(frozen=True)
class MadPart:
    """Everything about MAD on the page.

    Attributes:
        warnings: reasons not to trust the headline.
        notes: what a reader must know before any number.
        verdict: the bars in one sentence.
        conditional: what the intervals are conditional on.
        tasks: accuracy against the size of the training subset.
        tables: by name; those without rows are left out.
        gap: the gap-size curves.
        galleries: examples by title.
        gallery_sentence: how they were chosen.
        models: of how many cells.
    """

    warnings: Sequence[str]
    notes: Sequence[str]
    verdict: str
    conditional: str
    tasks: Sequence[TaskPart]
    tables: Mapping[str, Table]
    gap: Sequence[Chart]
    galleries: Mapping[str, Sequence[gallery.Example]]
    gallery_sentence: str
    models: int

    @property
    def all_tables(self) -> list[Table]:
        """Every table, to be written as files."""
        return [*(task.table for task in self.tasks), *self.tables.values()]

    @property
    def contents(self) -> list[tuple[str, str]]:
        """(id, title) of the sections that are there."""
        absent = {name for name in ("mad-bars", "mad-papers") if name.replace("-", "_") not in self.tables}
        absent |= set() if "mad_shift" in self.tables else {"mad-shift"}
        absent |= set() if CONTROLS & self.tables.keys() else {"mad-controls"}
        absent |= set() if self.gap else {"mad-gap"}
        absent |= set() if self.galleries else {"mad-gallery"}
        return [(name, title) for name, title in SECTIONS.items() if name not in absent]


def build(
    params: Params,
    root: Path,
    found: Found,
    *,
    runs: Sequence[Run],
    reported: Sequence[Reported],
    differences: Mapping[str, Sequence[str]],
) -> MadPart:
    """The part of what was read.

    Args:
        params: the experiment.
        root: project root.
        found: MAD's results.
        runs: run records.
        reported: the paper's numbers of MAD.
        differences: task -> what sets our number apart from the paper's.

    Raises:
        InputError: a cell has no weights, or what an example is made of is missing or broken.
    """
    summary, level = found.summary, params.evaluate.mad.level
    made = [
        difference_tables.bars(summary.bars),
        difference_tables.gains(summary, "gain", "MAD minus baseline at the chief places, points", level),
        difference_tables.gains(
            summary, "over_naive", "MAD minus naive distillation with the same projections, points", level
        ),
        score_tables.shift(summary),
        difference_tables.matched(summary),
        difference_tables.gains(summary, "more", "MAD minus baseline on further sets and metrics, points", level),
        difference_tables.controls(summary, level, params.distill.mad),
        difference_tables.gains(summary, "blind", "MAD minus a classifier that sees no image, points", level),
        difference_tables.gains(summary, "arms", "Every other arm minus the baseline, points", level),
        difference_tables.gains(summary, "on_dev", "Arms minus baseline, both tuned on dev\u2021, points", level),
        difference_tables.gap(summary),
        origin.papers(reported, found, differences),
        score_tables.everything(summary),
        origin.cells(params, root, found, runs),
    ]
    parts = [
        TaskPart(names.task(task), charts.accuracy(summary, task), table)
        for task in found.tasks
        if (table := score_tables.accuracy(summary, task, params.distill.mad)).rows
    ]
    galleries = gallery.galleries(params, root, found)
    return MadPart(
        warnings=list(dict.fromkeys(summary.warnings)),  # a metric and its variant may say the same
        notes=_notes(params, found),
        verdict=_verdict(found),
        conditional=conditional(params, found.tasks),
        tasks=parts,
        tables={table.name: table for table in made if table.rows},
        gap=charts.gap(summary),
        galleries=galleries,
        gallery_sentence=_gallery_sentence(params, found, galleries),
        models=len(found.cells),
    )


PRIORS: dict[Priors, str] = {
    "changed": "VQA v2 is re-split by answer priors: none of its numbers is one of the official split.",
    "official": "VQA v2 is split as published: nothing of it is measured under shift.",
}
"""What `distill.mad.vqa_priors` makes of VQA v2."""


def conditional(params: Params, tasks: Sequence[str]) -> str:
    """What the intervals do not cover, and which questions VQA's numbers are about."""
    world = "one world" if params.download.source == "world" else "one collection of data sets"
    told = (
        f"Everything here is conditional on {world}, one teacher and one pre-trained student of each kind: seeds vary "
        "the training subset, initialisation and order, and resampling varies the test images (VCR: movies)."
    )
    return f"{told} {PRIORS[params.distill.mad.vqa_priors]}" if "vqa" in tasks else told


def _notes(params: Params, found: Found) -> list[str]:
    notes = [f"{names.task(task)} was not evaluated: {reason}." for task, reason in found.absent.items()]
    if params.evaluate.mad.split != "test":
        notes.append(f"MAD was evaluated on {params.evaluate.mad.split}, which tuning looks at: no test numbers.")
    notes += _settings_notes(params, found)
    if hidden := gallery.withheld(params, found.tasks):
        listed = ", ".join(map(names.task, hidden))
        notes.append(f"No examples of {listed}: their data may not be passed on (report.gated shows them).")
    return notes


def _settings_notes(params: Params, found: Found) -> list[str]:
    """Where a sweep chose the settings inside the training subset itself, and at which tasks and sizes none did."""
    mad = params.distill.mad
    cells = [cell for cell in found.cells if cell.arm in score_tables.MAIN]
    places = {(cell.task, cell.fraction) for cell in cells}
    elsewhere = {(cell.task, cell.fraction) for cell in cells if not mad.chosen_at(cell.arm, cell.task, cell.fraction)}
    told = []
    if here := places - elsewhere:
        told.append(
            f"{names.places(here)}: each arm\u2019s learning rate, embedding rate and weight of distillation are "
            "those that a hold-out inside the training subset of the same task and size chose; a control has those of "
            "the arm that it is held against. Steps, batch size and dropout are alike for all arms; the "
            "default\u2019s were chosen on dev, and the number of chosen words, the scope and the projections of "
            "distillation were chosen on dev, too, in more trials than the baseline had there (docs/tuning.md)."
        )
    if elsewhere:
        told.append(
            f"{names.places(elsewhere)}: settings that were not chosen inside a training subset of that size by a "
            "sweep (docs/tuning.md tells what they are)."
        )
    return told


def _verdict(found: Found) -> str:
    measured = [bar.met for bar in found.summary.bars if bar.met is not None]
    asked = len(found.summary.bars)
    if not measured:
        return f"None of the {asked} bars was measured: they are about 10, 25 and 100 % of the training data."
    return f"{sum(measured)} of the {len(measured)} bars measured are met, of {asked} asked."


def _gallery_sentence(params: Params, found: Found, galleries: Mapping[str, Sequence[gallery.Example]]) -> str:
    examples = [example for shown in galleries.values() for example in shown]
    told = (
        "Not picked by hand: of the items that one of the two arms gets right and the other does not, the first in the "
        "order of the sha256 of their id, successes and failures alike, seed 0."
    )
    if any(example.boxes for example in examples):
        told += (
            " Underlined: the content words whose CLIP vectors are nearest to that of the image, as many as training "
            "chooses (distill.mad.tokens; all of a text that has fewer); framed in full: the region nearest to the "
            "text (VCR: the right answer). The numbers at words and regions are those cosines, by which training "
            "chooses the states that are drawn to the teacher; dashed frames are other regions, and where their number "
            "does not fit a pointer shows it."
        )
    if any(said.chance is not None for example in examples for said in example.said):
        told += " p: what each gives the right answer."
        if limits := _largest_weights(params, found):
            told += (
                " In training an item weighs the p of the teacher\u2019s head over the student\u2019s, at most "
                f"{', '.join(limits)}."
            )
        if any(example.confidence is not None for example in examples):
            told += " Weight: what the item would weigh in training, with MAD as it is after it."
    return told


def _largest_weights(params: Params, found: Found) -> list[str]:
    """The largest weight of MAD's items where it is a ratio, task by task where tasks differ."""
    resolved = {
        task: params.distill.mad.options_of(METHOD_ARM, task, few_of(found.results, task)).confidence
        for task in found.tasks
    }
    limits = {task: each.most for task, each in resolved.items() if each.kind == "ratio"}
    if limits.keys() == resolved.keys() and len(set(limits.values())) == 1:
        return [f"{next(iter(limits.values())):g}"]
    return [f"{most:g} ({names.task(task)})" for task, most in limits.items()]
