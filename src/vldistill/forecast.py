"""What a run will cost and what it can reuse, by what earlier runs recorded."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from vldistill import layout
from vldistill.cells import Cell, MadCell, batches, mad_batches, mad_cells, vlkd_cells
from vldistill.errors import InputError
from vldistill.files import read_json
from vldistill.params import Params
from vldistill.runs import RunFolder

# the gathering job's record holds the times of all cells
GATHERED = {
    "distill_vlkd_cells": ("results/distill/vlkd.run.json", "cells"),
    "distill_mad_cells": ("results/distill/mad/{task}.run.json", "cells"),
    "evaluate_vlkd_predict_cells": ("results/evaluate/vlkd/predict.run.json", "jobs"),
    "evaluate_mad_predict_cells": ("results/evaluate/mad/predict/{task}.run.json", "cells"),
}
METHODS = {"distill_vlkd_cells": "VLKD", "distill_mad_cells": "MAD"}
# what the key of a cell's run folder is made of: not known before these have run
BEFORE = {
    "distill_vlkd_cells": {"download", "pretrain", "features"},
    "distill_mad_cells": {
        "download",
        "download_mad",
        "pretrain",
        "pretrain_student",
        "features",
        "features_mad",
        "split_mad",
    },
}


States = dict[str, dict[Cell | MadCell, str]]
"""Rule -> cell -> whether its run folder is finished, begun, new or unknown; rules whose inputs are to be made are left
out."""


def states(jobs: list[dict[str, Any]], params: Params, root: Path) -> States:
    """What stands in the run folders of the cells that are to be trained, found by content without a heavy import."""
    due, stages = {job["rule"] for job in jobs}, {job["stage"] for job in jobs}
    found: States = {}
    for rule, (cells, look_up) in _grids(params, root).items():
        if rule in due and not stages & BEFORE[rule]:
            tasks = {job["wildcards"].get("task") for job in jobs if job["rule"] == rule}
            own = [cell for cell in cells if getattr(cell, "task", None) in tasks]
            found[rule] = {cell: _state(cell, look_up) for cell in own}
    return found


def _grids(params: Params, root: Path) -> dict[str, tuple[Sequence[Cell | MadCell], Callable[[Any], RunFolder]]]:
    from vldistill.distill import key as vlkd
    from vldistill.distill.mad import key as mad

    return {
        "distill_vlkd_cells": (vlkd_cells(params), lambda cell: vlkd.look_up(params, root, cell)),
        "distill_mad_cells": (mad_cells(params), lambda cell: mad.look_up(params, root, cell)),
    }


def _state(cell: Cell | MadCell, look_up: Callable[[Any], RunFolder]) -> str:
    try:
        run = look_up(cell)
    except InputError:
        return "unknown"
    return "finished" if run.done else "begun" if run.path.exists() else "new"


def cost(jobs: list[dict[str, Any]], found: States, params: Params, root: Path) -> list[str]:
    """Lines on computing time and disk; where no earlier run tells, the jobs' time limits as an upper bound."""
    known = {id(job): _seconds(job, found, params, root) for job in jobs}
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
            lines.append(f"{what}: {told:.2f} by earlier runs, if nothing but the cells below can be reused")
    return [*lines, _disk(jobs, params, root)]


def _seconds(job: dict[str, Any], found: States, params: Params, root: Path) -> float | None:
    if job["rule"] not in GATHERED:
        return job["seconds"]
    path, field = GATHERED[job["rule"]]
    task, number = job["wildcards"].get("task"), int(job["wildcards"]["batch"])
    try:
        times = [entry["wall_seconds"] for entry in read_json(root / path.format(task=task))[field].values()]
    except (InputError, KeyError, AttributeError):
        return None
    if not times or None in times:
        return None
    cells: Sequence[Cell | MadCell] = (
        mad_batches(params, task)[number] if task else batches(vlkd_cells(params), params.compute.runs_per_job)[number]
    )
    left = [cell for cell in cells if found.get(job["rule"], {}).get(cell) != "finished"]
    # what a cell took on average, times the cells of this batch that are not finished
    return sum(times) / (len(times) if task else max(len(_cells_recorded(root)), 1)) * len(left)


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


def reuse(jobs: list[dict[str, Any]], found: States, params: Params, root: Path) -> list[str]:
    """For each method of whose cells some are to be trained, a line on those that are new, finished or begun."""
    lines = []
    for rule, method in METHODS.items():
        if rule in found:
            lines.append(_counted(method, list(found[rule].items()), root))
        elif any(job["rule"] == rule for job in jobs):
            earlier = ", ".join(sorted({job["stage"] for job in jobs} & BEFORE[rule]))
            count = len(vlkd_cells(params) if method == "VLKD" else mad_cells(params))
            lines.append(
                f"{method}: {count} cells; how many are reused is known when {earlier} have run: equal inputs lead to "
                "the same run folders"
            )
    return lines


def _counted(method: str, cells: list[tuple[Cell | MadCell, str]], root: Path) -> str:
    finished, begun = ([cell for cell, state in cells if state == wanted] for wanted in ("finished", "begun"))
    new = len(cells) - len(finished) - len(begun)
    names = ", ".join(f"{cell.task}/{cell.name}" if isinstance(cell, MadCell) else cell.name for cell in begun)
    scratch = layout.scratch_root(root)
    text = f"{method}: reused: {len(finished)} of {len(cells)} cells stand finished in {scratch}, {new} are new"
    return text + (f", {len(begun)} go on where they stopped ({names})" if begun else "")
