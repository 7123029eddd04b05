"""What a run will cost and what it can reuse, by what earlier runs recorded."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from vldistill import layout
from vldistill.cells import Cell, batches, vlkd_cells
from vldistill.errors import InputError
from vldistill.files import read_json
from vldistill.params import Params

# the gathering job's record holds the times of all cells
GATHERED = {
    "distill_vlkd_cells": ("results/distill/vlkd.run.json", "cells"),
    "evaluate_vlkd_predict_cells": ("results/evaluate/vlkd/predict.run.json", "jobs"),
}


def cost(jobs: list[dict[str, Any]], params: Params, root: Path) -> list[str]:
    """Lines on computing time and disk; where no earlier run tells, the jobs' time limits as an upper bound."""
    known = {id(job): _seconds(job, params, root) for job in jobs}
    lines = []
    for gpu, what in ((True, "GPU hours"), (False, "CPU hours")):
        own = [job for job in jobs if bool(job["resources"]["gpu"]) == gpu]
        times = [known[id(job)] for job in own]
        told = sum(time for time in times if time is not None) / 3600
        limits = sum(job["resources"]["runtime"] for job, time in zip(own, times, strict=True) if time is None) / 60
        unknown = sum(time is None for time in times)
        if not own:
            lines.append(f"{what}: 0")
        elif unknown:
            lines.append(
                f"{what}: {told:.2f} by earlier runs, and at most {limits:.0f} (their time limits) for {unknown} jobs "
                "that have never run here"
            )
        else:
            lines.append(f"{what}: {told:.2f} by earlier runs, if no run folder can be reused")
    return [*lines, _disk(jobs, params, root)]


def _seconds(job: dict[str, Any], params: Params, root: Path) -> float | None:
    if job["rule"] not in GATHERED:
        return job["seconds"]
    path, field = GATHERED[job["rule"]]
    try:
        times = [entry["wall_seconds"] for entry in read_json(root / path)[field].values()]
    except (InputError, KeyError, AttributeError):
        return None
    if not times or None in times:
        return None
    # what a cell took on average, times the cells of this batch
    share = len(batches(vlkd_cells(params), params.compute.runs_per_job)[int(job["wildcards"]["batch"])])
    return sum(times) / max(len(_cells_recorded(root)), 1) * share


def _cells_recorded(root: Path) -> list[str]:
    try:
        return list(read_json(layout.run_record(layout.distill_vlkd(root)))["cells"])
    except (InputError, KeyError):
        return []


def _disk(jobs: list[dict[str, Any]], params: Params, root: Path) -> str:
    manifests = [root / path for job in jobs for path in job["outputs"] if path.endswith("/manifest.json")]
    sizes = [_bytes(path) for path in manifests]
    told = sum(size for size in sizes if size is not None)
    unknown = sum(size is None for size in sizes)
    text = f"disk: {told / 2**20:.0f} MiB of results by earlier runs"
    if unknown:
        text += f", unknown for {unknown} results never made here"
        if params.download.source == "registry":
            text += f"; downloads listed in data/registry.csv: {_registry_bytes(root) / 2**30:.1f} GiB"
    return text


def _bytes(manifest: Path) -> int | None:
    if not manifest.is_file():
        return None
    return sum(entry["bytes"] for entry in read_json(manifest)["files"].values())


def _registry_bytes(root: Path) -> int:
    import csv

    with open(root / "data" / "registry.csv", encoding="utf-8", newline="") as handle:
        return sum(int(row["bytes"]) for row in csv.DictReader(handle) if (row.get("bytes") or "").isdigit())


def reuse(jobs: list[dict[str, Any]], params: Params, root: Path) -> list[str]:
    """A line on the cells that stand finished or begun in run folders, if cells are to be run."""
    if not any(job["rule"] == "distill_vlkd_cells" for job in jobs):
        return []
    if earlier := sorted({job["stage"] for job in jobs} & {"download", "pretrain", "features"}):
        return [f"reused cells: known when {', '.join(earlier)} have run; equal inputs lead to the same run folders"]
    found = {cell: _state(params, root, cell) for cell in vlkd_cells(params)}
    finished = [cell.name for cell, state in found.items() if state == "finished"]
    begun = [cell.name for cell, state in found.items() if state == "begun"]
    text = f"reused: {len(finished)} of {len(found)} cells stand finished in {layout.scratch_root(root)}"
    return [text + (f", {len(begun)} go on where they stopped ({', '.join(begun)})" if begun else "")]


def _state(params: Params, root: Path, cell: Cell) -> str:
    from vldistill.distill.key import look_up

    try:
        run = look_up(params, root, cell)
    except InputError:
        return "unknown"
    return "finished" if run.done else "begun" if run.path.exists() else "new"
