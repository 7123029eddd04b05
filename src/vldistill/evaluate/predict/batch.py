"""The predict stage: a batch of cells in one process, and the gathering of all of them."""

from __future__ import annotations

import shutil
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from vldistill import layout
from vldistill.artifact import publish
from vldistill.cells import batches, vlkd_cells
from vldistill.errors import InputError
from vldistill.evaluate.predict import jobs
from vldistill.evaluate.predict.jobs import Job
from vldistill.files import write_json
from vldistill.params import Params
from vldistill.provenance import recorded
from vldistill.runs import folder_of, look_up

INDEX = "index.json"
RECEIPTS = "evaluate/vlkd"
FORMATS = {"predictions.json": "json", "predictions.jsonl": "jsonl"}
TIMES = ("wall_seconds", "cpu_seconds")


def batch_jobs(params: Params, batch: int) -> list[Job]:
    """The jobs of one batch; the references that are no arm belong to the first.

    Raises:
        InputError: there is no such batch.
    """
    cells = vlkd_cells(params)
    dealt = batches(cells, params.compute.runs_per_job)
    if not 0 <= batch < len(dealt):
        raise InputError(f"there is no batch {batch}", action=f"Batches: 0 to {len(dealt) - 1}")
    own = [job for cell in dealt[batch] for job in jobs.cell_jobs(params, cell)]
    return own + (jobs.reference_jobs(params, cells) if batch == 0 else [])


def vlkd_predict_batch(params: Params, root: str | Path, batch: int, *, deadline: float | None = None) -> Path:
    """Predict the cells of one batch and write its receipt; tasks of absent data sets are skipped and said.

    Finished jobs are recognised before anything heavy is imported.

    Args:
        params: the experiment.
        root: project root.
        batch: number of the batch, from 0.
        deadline: seconds from now by which the job at hand must be finished.

    Raises:
        InputError: no such batch, an arm that does not exist, or an input that is missing.
        Stopped: by a signal or the deadline, behind a job; the same call goes on with the next one.
    """
    root = Path(root)
    moment = None if deadline is None else time.monotonic() + deadline
    jobs.check(params)
    asked = batch_jobs(params, batch)
    absent = jobs.absent_tasks(asked, root)
    for task, reason in absent.items():
        print(f"skipped {task}: {reason}", flush=True)
    wanted = [job for job in asked if job.task not in absent]
    pending = [job for job in wanted if not look_up(jobs.STAGE, jobs.key(job, params, root), root).done]
    if pending:
        from vldistill.evaluate.predict.run import run_jobs

        run_jobs(pending, params, root, deadline=moment)
    receipt = layout.receipt(root, RECEIPTS, batch)
    folders = {f"{job.task}/{job.name}": folder_of(jobs.STAGE, jobs.key(job, params, root), root) for job in wanted}
    write_json(receipt, {"stage": jobs.STAGE, "jobs": {name: folder.name for name, folder in folders.items()}})
    return receipt


def vlkd_predict_gather(params: Params, root: str | Path) -> Path:
    """Assemble ``results/evaluate/vlkd/predict/`` from the run folders of all jobs.

    Raises:
        InputError: a job is not finished.
    """
    root = Path(root)
    cells = vlkd_cells(params)
    asked = jobs.all_jobs(params, cells)
    absent = jobs.absent_tasks(asked, root)
    wanted = [job for job in asked if job.task not in absent]
    folder = layout.predict_vlkd(root)
    with recorded(layout.run_record(folder)) as record:
        finished = []
        for job in wanted:
            run = look_up(jobs.STAGE, jobs.key(job, params, root), root)
            if run.result is None:
                raise InputError(
                    f"{job.task}/{job.name} is not predicted yet",
                    file=run.path,
                    action="Run every batch first: vldistill evaluate vlkd predict --batch I",
                )
            finished.append((job, run.path, run.result))
        publish(folder, lambda fresh: _fill(fresh, finished, params), {"split": params.evaluate.vlkd.split})
        record["absent"] = absent
        record["jobs"] = {f"{job.task}/{job.name}": {t: result.get(t) for t in TIMES} for job, _, result in finished}
    return folder


def _fill(folder: Path, finished: list[tuple[Job, Path, dict[str, Any]]], params: Params) -> None:
    index = []
    for job, run, result in finished:
        source = next(run / name for name in FORMATS if (run / name).is_file())
        name = f"{job.task}/{job.name}.{FORMATS[source.name]}"
        (folder / job.task).mkdir(exist_ok=True)
        shutil.copyfile(source, folder / name)
        facts = {key: value for key, value in result.items() if key not in TIMES}
        identity = {key: value for key, value in asdict(job).items() if key != "source"}
        index.append({"file": name, **identity, "split": params.evaluate.vlkd.split, **facts})
    write_json(folder / INDEX, index)
