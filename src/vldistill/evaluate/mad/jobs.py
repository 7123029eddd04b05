"""What there is to predict: a job a cell, with a run folder found by content. Imports no torch."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from vldistill import layout
from vldistill.cells import MadCell, mad_cells
from vldistill.code_version import code_version
from vldistill.distill.mad.key import CLIP, RECORDS, record_set
from vldistill.errors import InputError
from vldistill.evaluate.inputs import identity, list_identity, model_identity
from vldistill.evaluate.mad.data import subsets
from vldistill.params import Params
from vldistill.provenance import libraries
from vldistill.records import UNLABELLED
from vldistill.split.mad import rule_name
from vldistill.split.pronouns import RULES

STAGE = "evaluate_mad_predict"
LEADERBOARD = "leaderboard.csv"
BOARD_TASK = "vcr"


@dataclass(frozen=True)
class Job:
    """All predictions of one cell.

    Attributes:
        cell: whose model predicts.
        leaderboard: VCR's leaderboard file is written, too.
        sees_teacher: the model gets the teachers' vectors as input.
    """

    cell: MadCell
    leaderboard: bool
    sees_teacher: bool


def job_of(params: Params, cell: MadCell) -> Job:
    """The job of a cell."""
    options = params.distill.mad.options_of(cell.arm, cell.task, cell.fraction)
    board = cell.task == BOARD_TASK and cell.name == params.evaluate.mad.leaderboard
    return Job(cell, board, options.projected_input)


def check(params: Params) -> None:
    """Refuse a leaderboard cell that does not exist.

    Raises:
        InputError: names the key.
    """
    wanted = params.evaluate.mad.leaderboard
    names = [cell.name for cell in mad_cells(params, BOARD_TASK)]
    if wanted and wanted not in names:
        raise InputError(
            f"there is no cell {wanted!r} of {BOARD_TASK}",
            file=layout.PARAMS,
            field="evaluate.mad.leaderboard",
            action=f"Cells: {', '.join(names) or 'none'}",
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
            "compute": params.compute.model_dump(include={"device", "dtype", "threads"}),
        },
        "inputs": _inputs(job, params, root, task),
    }


def _inputs(job: Job, params: Params, root: Path, task: str) -> dict[str, Any]:
    split, images = params.evaluate.mad.split, RECORDS[task][1]
    lists = {subset.list for subset in subsets(task, split, 0, 0) if subset.of == subset.name}
    found: dict[str, Any] = {
        "records": identity(layout.download(root, record_set(root, task))),
        "images": identity(layout.download(root, images)),
        "features": identity(layout.features(root, CLIP, images)),
        "lists": {name: list_identity(root, task, name) for name in sorted(lists)},
        "model": model_identity(layout.distill_mad(root, task), job.cell.name, f"vldistill distill mad {task}"),
    }
    if job.sees_teacher:
        found["texts"] = identity(layout.features(root, CLIP, layout.TEXTS))
    if job.leaderboard:
        found["unlabelled"] = list_identity(root, task, UNLABELLED)
    if task == BOARD_TASK and split == "test":
        # the list of a rule does not tell how its items were rewritten
        found["rewritten"] = [identity(layout.split(root, task, rule_name(rule)).with_suffix("")) for rule in RULES]
    return found
