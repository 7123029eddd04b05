"""Where MAD's numbers come from, what each cell cost, and what the paper reports."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from vldistill import layout
from vldistill.artifact import MANIFEST, read_manifest
from vldistill.cells import MadCell
from vldistill.distill.mad.key import STAGE, look_up
from vldistill.errors import InputError
from vldistill.evaluate.mad.chief import CHIEF
from vldistill.evaluate.mad.effects import METHOD_ARM
from vldistill.evaluate.mad.statistics import IN_DOMAIN
from vldistill.params import Params
from vldistill.report.cost import PEAK, Run, number
from vldistill.report.mad import names
from vldistill.report.mad.found import Found
from vldistill.report.papers import Reported
from vldistill.report.table import Cell, Table

HEAD = "model.safetensors"
NOT_COMPARABLE = "not comparable at this scale"


def cells(params: Params, root: Path, found: Found, runs: Sequence[Run]) -> Table:
    """Each trained cell: its cost, run folder and the sha256 of its weights.

    Raises:
        InputError: a cell has no weights.
    """
    rows = []
    for task in found.tasks:
        parts = next((run.parts for run in runs if run.step == f"distill/mad/{task}"), {})
        folder = layout.distill_mad(root, task)
        files: dict[str, Any] = read_manifest(folder)["files"]
        for cell in found.cells:
            if cell.task != task:
                continue
            own = {name: entry for name, entry in files.items() if name.startswith(f"{cell.name}/")}
            weights = {name: entry for name, entry in own.items() if name.endswith(".safetensors")}
            if not weights:
                raise InputError(
                    f"no weights of {cell.name} in it",
                    file=folder / MANIFEST,
                    field=cell.name,
                    action=f"Distil again: vldistill distill mad {task}, then --gather",
                )
            cost = parts.get(cell.name, {})
            rows.append(
                {
                    "cell": Cell(f"{task}/{cell.name}"),
                    "wall": number(cost.get("wall_seconds"), 1),
                    "cpu": number(cost.get("cpu_seconds"), 1),
                    "memory": number(cost.get("peak_memory_bytes"), 0, 2**20),
                    "size": Cell(number=sum(entry["bytes"] for entry in weights.values()) / 2**20, digits=2),
                    "run": Cell(run_folder(params, root, cell) or "\u2013"),
                    "sha256": Cell(next(iter(weights.values()))["sha256"]),
                }
            )
    columns = [("cell", "cell"), ("wall", "wall time, s"), ("cpu", "processor time, s"), ("memory", "peak memory, MiB")]
    columns += [("size", "weights, MiB"), ("run", "run folder"), ("sha256", "sha256 of the weights")]
    title = "MAD\u2019s models: results/distill/mad/CELL"
    return Table("mad_cells", title, columns, rows, ("cell",), (PEAK,))


def run_folder(params: Params, root: Path, cell: MadCell) -> str | None:
    """The run folder in scratch/ that trained ``cell``; None where it is not on this machine (after a pull, say)."""
    try:
        found = look_up(params, root, cell)
    except InputError:  # the inputs its key is made of are not here
        return None
    return f"scratch/{STAGE}/{found.path.name}" if found.done else None


def papers(reported: Sequence[Reported], found: Found, differences: Mapping[str, Sequence[str]]) -> Table:
    """The numbers the paper reports, and ours at full data.

    Args:
        reported: of MAD.
        found: ours.
        differences: task -> what sets our number apart from the paper's (`report.comparable`).
    """
    ours = {
        mean.place.task: mean
        for mean in found.summary.means
        if (mean.arm, mean.place.fraction) == (METHOD_ARM, 100)
        and (mean.place.subset, mean.place.metric) == (IN_DOMAIN[mean.place.task], CHIEF[mean.place.task])
    }
    rows = []
    for entry in reported:
        own = ours.get(entry.task)
        row = {
            "task": Cell(names.task(entry.task)),
            "split": Cell(entry.split.replace("->", "\u2192")),
            "reported": Cell(number=entry.value, digits=2, title=entry.source),
            "ours": Cell(number=own.value, low=own.low, high=own.high) if own else Cell("not run"),
            "n": Cell(number=own.items, digits=0) if own else Cell(),
            "seeds": Cell(number=own.seeds, digits=0) if own else Cell(),
            "mark": _mark(differences[entry.task]),
        }
        rows.append(row)
    columns = [("task", "benchmark"), ("split", "reported on"), ("reported", "reported"), ("ours", "ours, MAD, 100 %")]
    columns += [("n", "our n"), ("seeds", "seeds"), ("mark", "comparable")]
    sources = ", ".join(dict.fromkeys(entry.source for entry in reported))
    notes = [f"Reported: {sources}; full data, percent."]
    notes += [
        f"{names.task(task)} is not comparable: {'; '.join(reasons)}."
        for task, reasons in differences.items()
        if reasons
    ]
    return Table("mad_papers", "Numbers the paper reports, and ours", columns, rows, ("task",), tuple(notes))


def _mark(reasons: Sequence[str]) -> Cell:
    return Cell(NOT_COMPARABLE, tone="pill warn", title="; ".join(reasons)) if reasons else Cell("yes")
