"""What there is to predict: a job a cell, with a run folder found by content. Imports no torch."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from vldistill import layout
from vldistill.cells import MadCell, mad_batches, mad_cells
from vldistill.code_version import code_version
from vldistill.distill.mad.key import CLIP, RECORDS, record_set, region_identities
from vldistill.errors import InputError
from vldistill.evaluate.inputs import identity, list_identity, model_identity
from vldistill.evaluate.mad.data import BOARDS, REFERENCES, TEACHER, subsets
from vldistill.params import Params
from vldistill.params.mad import MadOptions
from vldistill.params.mad_grid import Task
from vldistill.params.mad_parts import Tuning
from vldistill.provenance import libraries
from vldistill.records import UNLABELLED
from vldistill.split.mad import rule_name
from vldistill.split.pronouns import RULES

STAGE = "evaluate_mad_predict"


@dataclass(frozen=True)
class Job:
    """All predictions of one cell, or of the teacher's head on a cell's training subset.

    Attributes:
        cell: whose model predicts; the arm `TEACHER` stands for the head.
        leaderboard: the task's leaderboard file is written, too.
        sees_teacher: it gets the teachers' vectors as input.
    """

    cell: MadCell
    leaderboard: bool
    sees_teacher: bool


def job_of(params: Params, cell: MadCell) -> Job:
    """The job of a cell."""
    options = params.distill.mad.options_of(cell.arm, cell.task, cell.fraction)
    # a trial of a sweep is for dev alone, and has other cells
    named = cell.name == params.evaluate.mad.leaderboard and not params.distill.mad.sweep.trial
    return Job(cell, cell.task in BOARDS and named, options.projected_input)


def head_jobs(params: Params, task: Task) -> list[Job]:
    """The teacher's heads, one for each training subset."""
    if not params.evaluate.mad.references:
        return []
    subsets_trained = dict.fromkeys((cell.fraction, cell.seed) for cell in mad_cells(params, task))
    cells = [MadCell(task, fraction, TEACHER, seed) for fraction, seed in subsets_trained]
    return [Job(cell, leaderboard=False, sees_teacher=True) for cell in cells]


def all_jobs(params: Params, task: Task) -> list[Job]:
    """The jobs of a task, whatever the batches."""
    return [job_of(params, cell) for cell in mad_cells(params, task)] + head_jobs(params, task)


def batch_jobs(params: Params, task: Task, batch: int) -> list[Job]:
    """The jobs of one batch of a task's cells, the batches of distillation; the teacher's heads belong to the first.

    Raises:
        InputError: there is no such batch.
    """
    dealt = mad_batches(params, task)
    if not 0 <= batch < len(dealt):
        raise InputError(f"there is no batch {batch} of {task}", action=f"Batches: 0 to {len(dealt) - 1}")
    return [job_of(params, cell) for cell in dealt[batch]] + (head_jobs(params, task) if batch == 0 else [])


def check(params: Params) -> None:
    """Refuse a leaderboard cell that does not exist, and arms that are called like a reference.

    A trial of a sweep, and an experiment without the tasks that have a leaderboard, write none, whatever is named.

    Raises:
        InputError: names the key.
    """
    wanted, mad = params.evaluate.mad.leaderboard, params.distill.mad
    names = list(dict.fromkeys(cell.name for task in BOARDS for cell in mad_cells(params, task)))
    if wanted and names and wanted not in names and not mad.sweep.trial:
        raise InputError(
            f"there is no cell {wanted!r} of {' or '.join(BOARDS)}",
            file=layout.PARAMS,
            field="evaluate.mad.leaderboard",
            action=f"Cells: {', '.join(names)}",
        )
    if taken := [arm for grid in mad.grids for arm in grid.arms if arm in REFERENCES]:
        raise InputError(
            f"an arm is called {taken[0]!r}, as a reference is",
            file=layout.PARAMS,
            field="distill.mad.arms",
            action="Give the arm another name",
        )


def key(job: Job, params: Params, root: Path) -> dict[str, Any]:
    """All that a job's result depends on.

    Raises:
        InputError: an input is missing.
    """
    options, task = params.evaluate.mad, job.cell.task
    return {
        "job": asdict(job),
        "code": code_version(STAGE, root),
        "libraries": libraries(),
        "params": {
            **options.model_dump(include={"split", "batch_size", "max_items"}),
            "tagged_as": params.features.tagged_as if job.sees_teacher else None,
            "vcr_text": params.features.vcr_text if job.sees_teacher and task == "vcr" else None,
            "head": _read_by_head(params, job.cell) if job.cell.arm == TEACHER else None,
            "compute": params.compute.model_dump(include={"device", "dtype", "threads"}),
        },
        "inputs": _inputs(job, params, root, task),
        **({} if job.cell.arm == TEACHER else region_identities(params, root, RECORDS[task][1])),
    }


def head_options(params: Params, cell: MadCell) -> MadOptions:
    """The options of the teacher's head on a cell's training subset: no arm's, and fitted on all of it."""
    options = params.distill.mad.options_of(None, cell.task, cell.fraction)
    return options.model_copy(update={"tuning": Tuning(holdout=0.0)})


def _read_by_head(params: Params, cell: MadCell) -> dict[str, Any]:
    answers = {"most_answers", "least_count"} if cell.task == "vqa" else set()
    return head_options(params, cell).model_dump(mode="json", include={"head", *answers})


def _inputs(job: Job, params: Params, root: Path, task: str) -> dict[str, Any]:
    images = RECORDS[task][1]
    lists = {subset.list for subset in subsets(params, task, 0, 0) if subset.of == subset.name}
    found: dict[str, Any] = {
        "records": identity(layout.download(root, record_set(params, root, task))),
        "images": identity(layout.download(root, images)),
        "features": identity(layout.features(root, CLIP, images)),
        "lists": {name: list_identity(root, task, name) for name in sorted(lists)},
    }
    if job.cell.arm == TEACHER:
        found["training"] = list_identity(root, task, job.cell.subset(params.distill.mad.vqa_priors))
    else:
        again = f"vldistill distill mad {task}"
        found["model"] = model_identity(layout.distill_mad(root, task), job.cell.name, again)
    if job.sees_teacher:
        found["texts"] = identity(layout.features(root, CLIP, layout.TEXTS))
    if job.leaderboard:
        found["unlabelled"] = {
            "records": identity(layout.download(root, RECORDS[task][0])),
            "list": list_identity(root, task, UNLABELLED),
        }
    if task == "vcr" and params.evaluate.mad.split == "test":
        # the list of a rule does not tell how its items were rewritten
        found["rewritten"] = [identity(layout.split(root, task, rule_name(rule)).with_suffix("")) for rule in RULES]
    return found
