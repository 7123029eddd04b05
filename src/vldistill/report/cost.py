"""Time and memory of every step, read from the run records that stand beside the results."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vldistill.errors import InputError
from vldistill.files import read_json
from vldistill.report.table import Cell, Table

ORDER = ("download", "pretrain", "features", "split", "distill", "evaluate", "report")


@dataclass(frozen=True)
class Run:
    """One run record: the step's name, such as ``pretrain/clip``, and what was recorded."""

    step: str
    path: Path
    record: dict[str, Any]

    @property
    def wall(self) -> float:
        """Wall time in seconds."""
        return float(self.record["wall_seconds"])


def runs(results: Path) -> list[Run]:
    """Every ``*.run.json`` below ``results``, in pipeline order; empty if there is none.

    Raises:
        InputError: a record is not JSON, or lacks its wall time.
    """
    found = []
    for path in sorted(results.rglob("*.run.json")):
        step = path.relative_to(results).as_posix().removesuffix(".run.json")
        if step == "report":  # of an earlier report: this one is not finished yet
            continue
        record = read_json(path)
        if not isinstance(record, dict) or not isinstance(record.get("wall_seconds"), int | float):
            raise InputError(
                "wall time is missing", file=path, field="wall_seconds", action=f"Run the step {step} again"
            )
        found.append(Run(step, path, record))
    return sorted(found, key=lambda run: (_stage(run.step), run.step))


def _stage(step: str) -> int:
    stage = step.split("/")[0]
    return ORDER.index(stage) if stage in ORDER else len(ORDER)


def duration(seconds: float) -> str:
    """Seconds for readers: 0.4 s, 12 s, 3 min 05 s, 2 h 10 min."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    return f"{minutes // 60} h {minutes % 60:02d} min"


def table(found: list[Run]) -> Table:
    """Wall time, processor time and peak memory of each step, with a sum."""
    rows = [
        {
            "step": Cell(run.step),
            "wall": _number(run.record.get("wall_seconds"), 1),
            "cpu": _number(run.record.get("cpu_seconds"), 1),
            "memory": _number(run.record.get("peak_memory_bytes"), 0, 2**20),
            "commit": Cell(_commit(run.record)),
        }
        for run in found
    ]
    if rows:
        total = {"step": Cell("sum of the steps"), "memory": Cell(), "commit": Cell("")}
        for key, name in (("wall", "wall_seconds"), ("cpu", "cpu_seconds")):
            total[key] = _number(sum(float(run.record.get(name) or 0) for run in found), 1)
        rows.append(total)
    columns = [("step", "step"), ("wall", "wall time, s"), ("cpu", "processor time, s")]
    return Table(
        "cost",
        "Time and memory of each step",
        [*columns, ("memory", "peak memory, MiB"), ("commit", "commit")],
        rows,
        head=("step",),
        notes=("Steps that ran side by side overlap: the sum of wall times is not the time to wait.",),
        emphasised=(len(rows) - 1,) if rows else (),
    )


def _number(value: Any, digits: int, divisor: float = 1) -> Cell:
    if not isinstance(value, int | float) or isinstance(value, bool):
        return Cell()
    return Cell(number=value / divisor, digits=digits)


def _commit(record: dict[str, Any]) -> str:
    commit = record.get("commit")
    if not isinstance(commit, str):
        return "not in git"
    return commit[:9] + (" (edited)" if record.get("dirty") else "")
