"""Cells of the experiment grid, and the batches of cells that one process works through.

A cell is the smallest unit that is trained and evaluated: for VLKD an arm and a seed. Snakemake knows batches, DVC
knows neither: a cell's results live in a run folder found by content, so the batching never decides what is run.
"""

from __future__ import annotations

from dataclasses import dataclass

from vldistill.params import Params

METHOD = "vlkd"
"""The method's name in keys, scores and the papers' numbers."""


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


def batches(cells: list[Cell], per_job: int) -> list[list[Cell]]:
    """Deal ``cells`` into as few batches as hold at most ``per_job`` each, their sizes within one of each other."""
    count = -(-len(cells) // per_job)
    return [cells[batch::count] for batch in range(count)]
