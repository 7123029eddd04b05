"""What the page says about MAD is made of: read once, per-item scores turned into statistics."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from vldistill import layout
from vldistill.artifact import absence
from vldistill.cells import MadCell, mad_cells
from vldistill.evaluate.mad.chief import CHIEF
from vldistill.evaluate.mad.effects import BASELINE, METHOD_ARM
from vldistill.evaluate.mad.statistics import IN_DOMAIN, Draw, chief
from vldistill.evaluate.mad.summary import Summary, summarise
from vldistill.evaluate.mad.tables import Results, read_results
from vldistill.params import Params
from vldistill.params.mad_grid import TASKS, Task

HEADLINE_FRACTIONS = (10, 25, 100)
FEW = 10
"""The fraction whose items are shown, where it was run."""


@dataclass(frozen=True)
class Found:
    """MAD's results.

    Attributes:
        tasks: those with scores.
        absent: those without, and why.
        cells: of `tasks`.
        results: per-item scores.
        summary: all statistics.
    """

    tasks: Sequence[Task]
    absent: Mapping[Task, str]
    cells: list[MadCell]
    results: Results
    summary: Summary


def read(params: Params, root: Path) -> Found | None:
    """Read MAD's scores and do all statistics; None where no task is active.

    Raises:
        InputError: an active task is not scored, or a record is broken.
    """
    cells = mad_cells(params)
    if not cells:
        return None
    tasks, absent = scored_tasks(params, root)
    options = params.evaluate.mad
    results = read_results(root, tasks)
    draw = Draw(options.resamples, options.level)
    sweep = params.distill.mad.sweep
    # arms are held against each other as tuned on dev only after a sweep was taken over
    summary = summarise(results, tasks, draw, sweep.dev_choices if sweep.chosen else {})
    return Found(tasks, absent, [cell for cell in cells if cell.task in tasks], results, summary)


def scored_tasks(params: Params, root: Path) -> tuple[list[Task], dict[Task, str]]:
    """The active tasks that have scores, and those that have none, with the reason.

    Raises:
        InputError: an active task is not scored.
    """
    active = {cell.task for cell in mad_cells(params)}
    reasons = {task: absence(layout.score_items_mad(root, task)) for task in TASKS if task in active}
    absent = {task: reason for task, reason in reasons.items() if reason is not None}
    return [task for task in reasons if task not in absent], absent


def metrics(found: Found) -> dict[str, dict[str, float]]:
    """MAD's numbers for ``metrics.json``: what it scores, what it gains over the baseline, and how many bars hold."""
    tree: dict[str, dict[str, float]] = {}
    for name, values in per_seed(found.results, found.tasks).items():
        task, _, key = name.partition(".")
        tree.setdefault(task, {})[key] = sum(values) / len(values)
    measured = [bar.met for bar in found.summary.bars if bar.met is not None]
    if measured:
        tree["bars"] = {"held": float(sum(measured)), "measured": float(len(measured))}
    return tree


def per_seed(results: Results, tasks: Sequence[str]) -> dict[str, list[float]]:
    """The headline numbers of each seed by name: ``TASK.fFRACTION`` and ``TASK.fFRACTION_gain`` over the baseline.

    The baseline's score is the difference of the two, and has no column of its own in ``dvc exp show``.
    """
    values: dict[str, list[float]] = {}
    for task in tasks:
        for fraction in HEADLINE_FRACTIONS:
            tables = results.tables(chief(task, fraction), [METHOD_ARM, BASELINE])
            if tables is None:
                continue
            mine, others = (table.means.tolist() for table in tables)
            values[f"{task}.f{fraction}"] = mine
            values[f"{task}.f{fraction}_gain"] = [one - other for one, other in zip(mine, others, strict=True)]
    return values


def few_of(results: Results, task: str) -> int:
    """The fraction whose items are shown: 10 %, else the smallest."""
    fractions = results.fractions(task)
    return FEW if FEW in fractions else fractions[0]


def in_domain(task: str) -> tuple[str, str]:
    """The subset and the metric of a task's chief score."""
    return IN_DOMAIN[task], CHIEF[task]
