"""Cells of the experiment grid, and the batches of cells that one process works through.

A cell is the smallest unit that is trained and evaluated: for VLKD an arm and a seed, for MAD these on a training
subset of a task. Snakemake knows batches, DVC
knows neither: a cell's results live in a run folder found by content, so the batching never decides what is run.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

from vldistill.params import Params
from vldistill.params.mad import Priors
from vldistill.params.mad_arms import untuned
from vldistill.params.mad_grid import TASKS, Task

METHOD = "vlkd"
"""VLKD's name in keys, scores and the papers' numbers."""
MAD = "mad"
"""MAD's name, likewise."""


@dataclass(frozen=True, order=True)
class Cell:
    """One arm at one seed."""

    arm: str
    seed: int

    @property
    def name(self) -> str:
        """The folder name of the cell's results."""
        return f"{self.arm}-s{self.seed}"


def vlkd_cells(params: Params) -> list[Cell]:
    """The cells of VLKD: every active arm with each of its seeds, seed by seed, so that all first seeds come first."""
    vlkd = params.distill.vlkd
    cells = [Cell(arm, seed) for arm in vlkd.active for seed in range(vlkd.seeds_of(arm))]
    return sorted(cells, key=lambda cell: (cell.seed, vlkd.active.index(cell.arm)))


@dataclass(frozen=True, order=True)
class MadCell:
    """One arm at one seed, trained on a subset of a task's training set: `fraction` percent of it."""

    task: Task
    fraction: int
    arm: str
    seed: int

    @property
    def name(self) -> str:
        """The folder name of the cell's results, below the task's."""
        return f"{self.arm}-f{self.fraction}-s{self.seed}"

    def subset(self, priors: Priors) -> str:
        """The name of its training subset among the task's lists; ``priors`` tells which ones of VQA are used."""
        part = "cp-train" if self.task == "vqa" and priors == "changed" else "train"
        return f"{part}-{self.fraction}-s{self.seed}"


def mad_cells(params: Params, task: str | None = None) -> list[MadCell]:
    """The cells of MAD on one task or on all: the grid of the active arms and the extra ones, seed by seed.

    An arm that refers to another one's weights comes after it.
    """
    mad = params.distill.mad
    cells = {
        MadCell(on, fraction, arm, seed)
        for grid in mad.grids
        for arm in grid.arms
        for on in grid.tasks
        if task in (None, on)
        for fraction in grid.fractions
        for seed in range(mad.seeds_of(arm, fraction))
    }
    arms = list(mad.arms)

    def place(cell: MadCell) -> tuple[int, int, int, bool, int, str]:
        options = mad.options_of(cell.arm, cell.task, cell.fraction)
        refers = options.confidence.kind == "equal_mean"
        return cell.seed, TASKS.index(cell.task), cell.fraction, refers, arms.index(untuned(cell.arm)), cell.arm

    return sorted(cells, key=place)


def mad_batches(params: Params, task: str) -> list[list[MadCell]]:
    """The batches of a task's cells."""
    return batches(mad_cells(params, task), params.compute.mad_runs_per_job)


AnyCell = TypeVar("AnyCell", Cell, MadCell)


def batches(cells: Sequence[AnyCell], per_job: int) -> list[list[AnyCell]]:
    """Deal ``cells`` into as few batches as hold at most ``per_job`` each, their sizes within one of each other."""
    count = -(-len(cells) // per_job)
    return [list(cells[batch::count]) for batch in range(count)]
