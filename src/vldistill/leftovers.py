"""What can be removed: run folders that nothing finds any more, and what killed processes left."""

from __future__ import annotations

import shutil
from pathlib import Path

from vldistill import code_version, layout
from vldistill.errors import InputError
from vldistill.files import read_json, writer_of
from vldistill.params import Params
from vldistill.runs import KEY, LOCK, RESULT, identity, process_start, read_owner

CELLS = ("distill", "distill_mad", "evaluate_predict", "evaluate_mad_predict")
"""Stages of whose run folders there are many, of whatever experiments."""
CHECKPOINTS = "checkpoints"
"""As `training.checkpoint.FOLDER`, which cannot be had without torch."""


def find(params: Params, root: str | Path, *, unfinished: bool = False, others: bool = False) -> list[Path]:
    """Everything that can go, sorted.

    Run folders of another code version than the present one go: their key is never asked for again. A folder that a
    process works in stays in any case. Checkpoints of finished ones go: a kill kept the owner from it.

    Args:
        params: the present experiment.
        root: project root.
        unfinished: also run folders without a result, which would be resumed.
        others: also cells and predictions of other experiments than the present one.
    """
    root = Path(root)
    scratch = layout.scratch_root(root)
    own = _of_experiment(params, root) if others else None
    runs = [folder for stage in code_version.SOURCES for folder in sorted((scratch / stage).glob("*/"))]
    gone = [folder for folder in runs if not _in_use(folder) and _useless(folder, root, unfinished, own)]
    gone += [folder / CHECKPOINTS for folder in sorted({*runs} - {*gone}) if _is_spent(folder)]
    inside = set(gone)
    places = [path for path in (root / "results", scratch) if path.is_dir()]
    strays = [path for place in places for path in sorted(place.rglob(".*")) if _is_stray(path)]
    return gone + [path for path in strays if not inside.intersection(path.parents)]


def _useless(folder: Path, root: Path, unfinished: bool, own: set[Path] | None) -> bool:
    if not (folder / KEY).is_file():
        return False
    stage = folder.parent.name
    key = read_json(folder / KEY)
    if key.get("code") != code_version.code_version(stage, root):
        return True
    if unfinished and not (folder / RESULT).is_file():
        return True
    return own is not None and stage in CELLS and folder not in own


def _is_spent(folder: Path) -> bool:
    return (folder / RESULT).is_file() and (folder / CHECKPOINTS).is_dir() and not _in_use(folder)


def _of_experiment(params: Params, root: Path) -> set[Path]:
    """Run folders of the cells and predictions of the present experiment.

    Raises:
        InputError: results that their keys are made of are missing, so that they cannot be told.
    """
    from vldistill.cells import vlkd_cells
    from vldistill.distill.key import look_up
    from vldistill.evaluate.predict import jobs
    from vldistill.runs import folder_of

    cells = vlkd_cells(params)
    try:
        distilled = {look_up(params, root, cell).path for cell in cells}
        asked = jobs.all_jobs(params, cells)
        absent = jobs.absent_tasks(asked, root)
        predicting = [job for job in asked if job.task not in absent]
        predicted = {folder_of(jobs.STAGE, jobs.key(job, params, root), root) for job in predicting}
        return distilled | predicted | _of_mad(params, root)
    except InputError as error:
        raise InputError(
            f"what belongs to the present experiment cannot be told: {error}",
            action="Run it first, or leave out --others",
        ) from error


def _of_mad(params: Params, root: Path) -> set[Path]:
    from vldistill.cells import mad_cells
    from vldistill.distill.mad import key
    from vldistill.evaluate.mad import jobs
    from vldistill.evaluate.mad.data import MadData
    from vldistill.params.mad_grid import TASKS
    from vldistill.runs import folder_of

    found: set[Path] = set()
    for task in TASKS:
        if MadData(params, root, task).absent:
            continue
        for cell in mad_cells(params, task):
            partner = key.partner_of(params, cell)
            found |= {key.look_up(params, root, each).path for each in (cell, partner) if each is not None}
            if key.asks_teacher(params.distill.mad.options_of(cell.arm, task, cell.fraction)):
                found.add(folder_of(key.STAGE, key.maps_key(params, root, cell), root))
        found |= {folder_of(jobs.STAGE, jobs.key(job, params, root), root) for job in jobs.all_jobs(params, task)}
    return found


def _in_use(folder: Path) -> bool:
    owner = read_owner(folder / LOCK)
    # a lock of another host counts as held: its process cannot be looked up from here
    return owner is not None and (owner["host"] != identity()["host"] or _alive(owner["pid"], owner["started"]))


def _alive(pid: int, started: str | None = None) -> bool:
    found = process_start(pid)
    return found is not None and started in (None, found)


def _is_stray(path: Path) -> bool:
    writer = writer_of(path)
    return writer is not None and not _alive(writer)


def size(path: Path) -> int:
    """Bytes that ``path`` takes, hard links counted once by their number of names."""
    files = [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]
    return sum(file.stat().st_size // file.stat().st_nlink for file in files)


def remove(paths: list[Path]) -> None:
    """Delete files and folders."""
    for path in paths:
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
