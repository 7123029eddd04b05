"""Distillation: a method's cells are trained in batches, then gathered into one artifact (MAD: one for each task)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from vldistill import layout
from vldistill.cells import Cell, MadCell, mad_cells, vlkd_cells
from vldistill.distill.batch import Method, gather, train_batch
from vldistill.distill.card import mad_card, model_card
from vldistill.distill.key import look_up
from vldistill.distill.mad.key import look_up as look_up_mad
from vldistill.errors import InputError
from vldistill.files import read_json, write_json, write_text
from vldistill.params import Params
from vldistill.params.mad_grid import TASKS
from vldistill.runs import RunFolder


def vlkd_batch(params: Params, root: str | Path, batch: int, *, deadline: float | None = None) -> Path:
    """Train VLKD's cells of one batch; see `vldistill.distill.batch.train_batch`."""
    return train_batch(vlkd_method(params, Path(root)), params, Path(root), batch, deadline)


def vlkd_gather(params: Params, root: str | Path) -> Path:
    """Assemble `results/distill/vlkd/`; see `vldistill.distill.batch.gather`."""
    return gather(vlkd_method(params, Path(root)), params)


def mad_batch(params: Params, root: str | Path, task: str, batch: int, *, deadline: float | None = None) -> Path:
    """Train MAD's cells of one batch of a task; see `vldistill.distill.batch.train_batch`.

    Raises:
        InputError: no such task, or no cell on it; else as there.
    """
    method = mad_method(params, Path(root), task)
    if not method.cells:
        raise InputError(f"no cell on {task}", field="distill.mad.tasks", action="Name the task there")
    return train_batch(method, params, Path(root), batch, deadline)


def mad_gather(params: Params, root: str | Path, task: str) -> Path:
    """Assemble `results/distill/mad/TASK/`; see `vldistill.distill.batch.gather`."""
    return gather(mad_method(params, Path(root), task), params)


def vlkd_method(params: Params, root: Path) -> Method[Cell]:
    """VLKD."""

    def run(cell: Cell, moment: float | None) -> RunFolder:
        from vldistill.distill.cell import run_cell

        return run_cell(params, root, cell, deadline=moment)

    return Method(
        part="distill/vlkd",
        cells=vlkd_cells(params),
        per_job=params.compute.runs_per_job,
        target=layout.distill_vlkd(root),
        look_up=lambda cell: look_up(params, root, cell),
        run=run,
        finish=lambda folder, cell: _finish(folder, cell.arm, model_card),
    )


def mad_method(params: Params, root: Path, task: str) -> Method[MadCell]:
    """MAD on one task; the experiment may have no cell on it.

    Raises:
        InputError: there is no such task.
    """
    if task not in TASKS:
        raise InputError(f"no task called {task!r}", action=f"Tasks: {', '.join(TASKS)}")

    def run(cell: MadCell, moment: float | None) -> RunFolder:
        from vldistill.distill.mad.cell import run_mad_cell

        return run_mad_cell(params, root, cell, deadline=moment)

    return Method(
        part=f"distill/mad/{task}",
        cells=mad_cells(params, task),
        per_job=params.compute.mad_runs_per_job,
        target=layout.distill_mad(root, task),
        look_up=lambda cell: look_up_mad(params, root, cell),
        run=run,
        finish=lambda folder, cell: _finish(folder, cell.arm, mad_card),
    )


def _finish(folder: Path, arm: str, card: Callable[[dict[str, Any]], str]) -> None:
    """Add the arm to config.json, and the model card: cells of equal options share a run folder, which names no arm."""
    config = {**read_json(folder / "config.json"), "arm": arm}
    # a new file, not an edit in place: the old one is a link into the run folder
    write_json(folder / "config.json", config)
    write_text(folder / "README.md", card(config))
