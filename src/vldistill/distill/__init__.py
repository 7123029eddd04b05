"""Distillation: VLKD trains cells (arm, seed) in batches, then gathers them into one artifact."""

from __future__ import annotations

import os
import shutil
import time
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

from vldistill import layout
from vldistill.artifact import publish
from vldistill.cells import Cell, batches, vlkd_cells
from vldistill.distill.card import model_card
from vldistill.distill.key import look_up
from vldistill.errors import InputError
from vldistill.files import read_json, write_json, write_text
from vldistill.params import Params
from vldistill.provenance import recorded
from vldistill.runs import launched

PART = "distill/vlkd"


def vlkd_batch(params: Params, root: str | Path, batch: int, *, deadline: float | None = None) -> Path:
    """Train the cells of one batch, one after the other; finished ones are recognised without importing torch.

    Under torchrun all ranks call this; together they compute what one process does, up to rounding.

    Args:
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
    root = Path(root)
    moment = None if deadline is None else time.monotonic() + deadline
    cells = _batch(params, batch)
    rank, ranks = launched()
    folders = {}
    with _together(params) if ranks > 1 else nullcontext():
        for cell in cells:
            run = look_up(params, root, cell)
            # whether a cell is finished is for the first rank to say, to all others
            if not run.done or ranks > 1:
                from vldistill.distill.cell import run_cell

                run = run_cell(params, root, cell, deadline=moment)
            folders[cell.name] = run.path.name
    receipt = layout.receipt(root, PART, batch)
    if rank == 0:
        write_json(receipt, {"cells": folders})
    return receipt


def _together(params: Params) -> AbstractContextManager[None]:
    from vldistill.training.distributed import session

    return session(params.compute.device)


def vlkd_gather(params: Params, root: str | Path) -> Path:
    """Assemble `results/distill/vlkd/` from the finished run folders: links where possible, else copies.

    Raises:
        InputError: a cell is not finished; names the batch to run.
    """
    root = Path(root)
    cells = vlkd_cells(params)
    found = {cell: _finished(params, root, cell) for cell in cells}
    target = layout.distill_vlkd(root)
    with recorded(layout.run_record(target)) as facts:
        facts["cells"] = {cell.name: _cost(result) for cell, (_, result) in found.items()}
        meta = {"cells": [cell.name for cell in cells]}
        publish(target, lambda folder: _fill(folder, {cell: path for cell, (path, _) in found.items()}), meta)
    return target


def _batch(params: Params, number: int) -> list[Cell]:
    all_batches = batches(vlkd_cells(params), params.compute.runs_per_job)
    if not 0 <= number < len(all_batches):
        raise InputError(f"no batch {number}", field="--batch", action=f"Batches: 0 to {len(all_batches) - 1}")
    return all_batches[number]


def _finished(params: Params, root: Path, cell: Cell) -> tuple[Path, dict[str, Any]]:
    run = look_up(params, root, cell)
    if run.result is None:
        all_batches = batches(vlkd_cells(params), params.compute.runs_per_job)
        number = next(number for number, cells in enumerate(all_batches) if cell in cells)
        raise InputError(
            f"cell {cell.name} is not finished", file=run.path, action=f"vldistill distill vlkd --batch {number}"
        )
    return run.path, run.result


def _fill(folder: Path, cells: dict[Cell, Path]) -> None:
    for cell, run in cells.items():
        target = folder / cell.name
        shutil.copytree(run / "model", target, copy_function=_link)
        _link(run / "metrics.jsonl", target / "metrics.jsonl")
        config = {**read_json(target / "config.json"), "arm": cell.arm}
        # a new file, not an edit in place: the old one is a link into the run folder
        write_json(target / "config.json", config)
        write_text(target / "README.md", model_card(config))


def _link(source: str | Path, target: str | Path) -> None:
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)


def _cost(result: dict[str, Any]) -> dict[str, Any]:
    return {name: result[name] for name in ("wall_seconds", "cpu_seconds", "peak_memory_bytes")}
