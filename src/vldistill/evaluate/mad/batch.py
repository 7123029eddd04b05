"""The predict stage of MAD: a batch of a task's cells in one process, and the gathering of all of them."""

from __future__ import annotations

import shutil
import time
from pathlib import Path
from typing import Any

from vldistill import layout
from vldistill.artifact import publish, publish_absent
from vldistill.errors import InputError
from vldistill.evaluate.mad import jobs
from vldistill.evaluate.mad.data import BOARDS, MadData
from vldistill.evaluate.mad.jobs import Job
from vldistill.files import write_json
from vldistill.params import Params
from vldistill.params.mad_grid import Task
from vldistill.provenance import recorded
from vldistill.runs import folder_of, look_up

INDEX = "index.json"
PREDICTIONS = ("*.jsonl", "*.json")
NOT_PREDICTIONS = ("key.json", "result.json", "lock.json", *BOARDS.values())
NO_BOARD = {
    "vcr": "the records of VCR hold no question of its official test part",
    "vqa": "the questions of VQA v2 without public answers are on COCO's test2015 images, which are not there: "
    "docs/data.md says what to fetch (13 GB)",
}
"""Why the leaderboard's file is not there although a cell is named (`evaluate.mad.leaderboard`)."""
TIMES = ("wall_seconds", "cpu_seconds")


def receipts(task: str) -> str:
    """The stage's part of a receipt's path."""
    return f"evaluate/mad/{task}"


def mad_predict_batch(
    params: Params, root: str | Path, task: Task, batch: int, *, deadline: float | None = None
) -> Path:
    """Predict the cells of one batch of a task, the same batches as in distillation, and write the receipt.

    Finished cells are recognised before anything heavy is imported; an absent data set has nothing to predict.

    Args:
        params: the experiment.
        root: project root.
        task: snli_ve, vcr or vqa.
        batch: number of the batch, from 0.
        deadline: seconds from now by which the cell at hand must be predicted.

    Raises:
        InputError: no such batch, or an input is missing.
        Stopped: by a signal or the deadline, behind a cell; the same call goes on with the next one.
    """
    root = Path(root)
    moment = None if deadline is None else time.monotonic() + deadline
    jobs.check(params)
    wanted = jobs.batch_jobs(params, task, batch)
    if reason := MadData(params, root, task).absent:
        print(f"skipped {task}: {reason}", flush=True)
        wanted = []
    keys = {job: jobs.key(job, params, root) for job in wanted}
    pending = [job for job, key in keys.items() if not look_up(jobs.STAGE, key, root).done]
    if pending:
        from vldistill.evaluate.mad.predict import run_jobs

        run_jobs(pending, params, root, deadline=moment)
    receipt = layout.receipt(root, receipts(task), batch)
    folders = {job.cell.name: folder_of(jobs.STAGE, key, root).name for job, key in keys.items()}
    write_json(receipt, {"stage": jobs.STAGE, "cells": folders})
    return receipt


def mad_predict_gather(params: Params, root: str | Path, task: Task) -> Path:
    """Assemble ``results/evaluate/mad/predict/TASK/`` from the run folders of the task's cells.

    Raises:
        InputError: a cell is not predicted.
    """
    root, options = Path(root), params.evaluate.mad
    target = layout.predict_mad(root, task)
    with recorded(layout.run_record(target)) as record:
        if reason := MadData(params, root, task).absent:
            return publish_absent(target, reason)
        finished = []
        for job in jobs.all_jobs(params, task):
            run = look_up(jobs.STAGE, jobs.key(job, params, root), root)
            if run.result is None:
                raise InputError(
                    f"{job.cell.name} is not predicted yet",
                    file=run.path,
                    action=f"Run every batch first: vldistill evaluate mad predict {task} --batch I",
                )
            finished.append((job, run.path, run.result))
        unreadable = sorted({key for _, _, result in finished for key in result["unreadable"]})
        facts: dict[str, Any] = {"split": options.split, "unreadable": unreadable}
        if any(job.leaderboard and not (run / BOARDS[task]).is_file() for job, run, _ in finished):
            print(f"no {BOARDS[task]} of {task}: {NO_BOARD[task]}", flush=True)
            facts["no_leaderboard"] = NO_BOARD[task]
        publish(target, lambda folder: _fill(folder, finished), facts)
        record["cells"] = {job.cell.name: {time: result.get(time) for time in TIMES} for job, _, result in finished}
    return target


def _fill(folder: Path, finished: list[tuple[Job, Path, dict[str, Any]]]) -> None:
    index = []
    for job, run, result in finished:
        for pattern in PREDICTIONS:
            for source in sorted(path for path in run.glob(pattern) if path.name not in NOT_PREDICTIONS):
                target = folder / source.stem / f"{job.cell.name}{source.suffix}"
                target.parent.mkdir(exist_ok=True)
                shutil.copyfile(source, target)
        if job.leaderboard and (board := run / BOARDS[job.cell.task]).is_file():
            shutil.copyfile(board, folder / board.name)
        facts = {name: value for name, value in result.items() if name not in TIMES}
        cell = job.cell
        identity = {"task": cell.task, "arm": cell.arm, "fraction": cell.fraction, "seed": cell.seed}
        index.append({"cell": cell.name, **identity, **facts})
    write_json(folder / INDEX, index)
