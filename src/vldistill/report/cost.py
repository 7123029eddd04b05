"""Time and memory of every step, read from the run records that stand beside the results."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vldistill.errors import InputError
from vldistill.files import read_json
from vldistill.report.table import Cell, Table

PEAK = (
    "Peak memory is the process\u2019s highest so far: cells of one batch share a process, so the peak of a later cell "
    "includes those of the earlier ones. A dash: not recorded."
)
ORDER = ("download", "pretrain", "features", "split", "distill", "evaluate", "report")


@dataclass(frozen=True)
class Run:
    """One run record: the step's name, such as ``pretrain/clip``, and what was recorded."""

    step: str
    path: Path
    record: dict[str, Any]

    @property
    def parts(self) -> dict[str, dict[str, Any]]:
        """Records of the cells or jobs that this step gathered; their time is not in the step's own."""
        found = self.record.get("cells") or self.record.get("jobs") or {}
        return found if isinstance(found, dict) else {}

    def total(self, field: str) -> float:
        """Sum of ``field`` over the step itself and its parts."""
        return math.fsum(float(record.get(field) or 0) for record in (self.record, *self.parts.values()))

    @property
    def wall(self) -> float:
        """Wall time in seconds, parts included."""
        return self.total("wall_seconds")

    @property
    def memory(self) -> float | None:
        """Peak memory in bytes: of a step with parts, the largest part's; None where nothing was recorded.

        Gathering takes little: its own peak says nothing about the work it gathers.
        """
        records = list(self.parts.values()) or [self.record]
        peaks = [record.get("peak_memory_bytes") for record in records]
        return max((float(peak) for peak in peaks if isinstance(peak, int | float)), default=None)


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
            "step": Cell(run.step + (f" ({len(run.parts)} parts)" if run.parts else "")),
            "wall": number(run.wall, 1),
            "cpu": number(run.total("cpu_seconds"), 1),
            "memory": number(run.memory, 0, 2**20),
            "commit": Cell(_commit(run.record)),
        }
        for run in found
    ]
    if rows:
        total = {"step": Cell("sum of the steps"), "memory": Cell(), "commit": Cell("")}
        for key, name in (("wall", "wall_seconds"), ("cpu", "cpu_seconds")):
            total[key] = number(math.fsum(run.total(name) for run in found), 1)
        rows.append(total)
    columns = [("step", "step"), ("wall", "wall time, s"), ("cpu", "processor time, s")]
    return Table(
        "cost",
        "Time and memory of each step",
        [*columns, ("memory", "peak memory, MiB"), ("commit", "commit")],
        rows,
        head=("step",),
        notes=(
            "From the run records, results/STEP.run.json. A step with parts counts the work of each part, even where "
            "this run only took over its finished run folder; any other step counts its latest call alone, next to "
            "nothing where that took over a finished folder. What was interrupted counts from its last start.",
            "Steps that ran side by side overlap: the sum of wall times is not the time to wait.",
            PEAK,
        ),
        emphasised=(len(rows) - 1,) if rows else (),
    )


def number(value: Any, digits: int, divisor: float = 1) -> Cell:
    """A cell of a recorded number; a dash where nothing was recorded."""
    if not isinstance(value, int | float) or isinstance(value, bool):
        return Cell()
    return Cell(number=value / divisor, digits=digits)


def _commit(record: dict[str, Any]) -> str:
    commit = record.get("commit")
    if not isinstance(commit, str):
        return "not in git"
    return commit[:9] + (" (edited)" if record.get("dirty") else "")
