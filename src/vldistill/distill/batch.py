"""Batches of cells and their gathering into one artifact: the same for every method."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from vldistill import layout
from vldistill.artifact import publish
from vldistill.cells import Cell, MadCell, batches
from vldistill.errors import InputError
from vldistill.files import write_json
from vldistill.params import Params
from vldistill.provenance import recorded
from vldistill.runs import RunFolder, launched

AnyCell = TypeVar("AnyCell", Cell, MadCell)
MODEL = "model"
METRICS = "metrics.jsonl"


@dataclass(frozen=True)
class Method(Generic[AnyCell]):
    """A method's cells, and what to do with one.

    Attributes:
        part: the command that trains them, as in ``distill/vlkd``; also where the receipts are.
        cells: all that are to be trained and gathered.
        per_job: how many of them one process trains, at most.
        target: the artifact that they are gathered in, a folder each.
        look_up: a cell's run folder as it is; imports nothing heavy.
        run: trains a cell by the given `time.monotonic()` moment, or adopts or resumes it.
        finish: adds to a cell's gathered folder what depends on its name.
    """

    part: str
    cells: Sequence[AnyCell]
    per_job: int
    target: Path
    look_up: Callable[[AnyCell], RunFolder]
    run: Callable[[AnyCell, float | None], RunFolder]
    finish: Callable[[Path, AnyCell], None]


def train_batch(method: Method[AnyCell], params: Params, root: Path, batch: int, deadline: float | None) -> Path:
    """Train the cells of one batch, one after the other; finished ones are recognised without importing torch.

    Under torchrun all ranks call this (VLKD only); together they compute what one process does, up to rounding.

    Args:
        method: whose cells.
        params: the experiment.
        root: project root.
        batch: number of the batch, from 0.
        deadline: seconds from now by which to save and stop (exit code 75).

    Returns:
        The batch's receipt, a JSON file that names each cell's run folder.

    Raises:
        InputError: no such batch, or an input is missing.
        Stopped: by a signal or the deadline; the same call goes on.
    """
    moment = None if deadline is None else time.monotonic() + deadline
    cells = _batch(method, params, batch)
    rank, ranks = launched()
    folders = {}
    with _together(params) if ranks > 1 else nullcontext():
        for cell in cells:
            run = method.look_up(cell)
            # whether a cell is finished is for the first rank to say, to all others
            if not run.done or ranks > 1:
                run = method.run(cell, moment)
            folders[cell.name] = run.path.name
    receipt = layout.receipt(root, method.part, batch)
    if rank == 0:
        write_json(receipt, {"cells": folders})
    return receipt


def _together(params: Params) -> AbstractContextManager[None]:
    from vldistill.training.distributed import session

    return session(params.compute.device)


def gather(method: Method[AnyCell], params: Params) -> Path:
    """Assemble the method's artifact from the finished run folders: links where possible, else copies.

    Raises:
        InputError: a cell is not finished; names the batch to run.
    """
    found = {cell: _finished(method, params, cell) for cell in method.cells}
    with recorded(layout.run_record(method.target)) as facts:
        facts["cells"] = {cell.name: _cost(run.result) for cell, run in found.items() if run.result}
        meta = {"cells": [cell.name for cell in method.cells]}
        publish(method.target, lambda folder: _fill(method, folder, found), meta)
    return method.target


def _batch(method: Method[AnyCell], params: Params, number: int) -> list[AnyCell]:
    all_batches = batches(method.cells, method.per_job)
    if not 0 <= number < len(all_batches):
        raise InputError(f"no batch {number}", field="--batch", action=f"Batches: 0 to {len(all_batches) - 1}")
    return all_batches[number]


def _finished(method: Method[AnyCell], params: Params, cell: AnyCell) -> RunFolder:
    run = method.look_up(cell)
    if not run.done:
        all_batches = batches(method.cells, method.per_job)
        number = next(number for number, cells in enumerate(all_batches) if cell in cells)
        command = method.part.replace("/", " ")
        raise InputError(
            f"cell {cell.name} is not finished", file=run.path, action=f"vldistill {command} --batch {number}"
        )
    return run


def _fill(method: Method[AnyCell], folder: Path, found: Mapping[AnyCell, RunFolder]) -> None:
    for cell, run in found.items():
        target = folder / cell.name
        shutil.copytree(run.path / MODEL, target, copy_function=_link)
        _link(run.path / METRICS, target / METRICS)
        method.finish(target, cell)


def _link(source: str | Path, target: str | Path) -> None:
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)


def _cost(result: Mapping[str, Any]) -> dict[str, Any]:
    return {name: result[name] for name in ("wall_seconds", "cpu_seconds", "peak_memory_bytes")}
