"""The metric log: one JSON line each N steps, without gaps or repeats however often the run was killed."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import torch

from vldistill.files import write_text

NAME = "metrics.jsonl"


class MetricLog:
    """Collects values step by step and writes their means over each window of `every` steps.

    Values stay tensors until a line is written: reading a number each step would stall a GPU. Lines hold nothing that
    differs between equal runs (no times). The window belongs to the checkpoint, see `state`.
    """

    def __init__(
        self, folder: Path, every: int, *, step: int = 0, window: list[dict[str, float]] | None = None
    ) -> None:
        self.path = folder / NAME
        self.every = every
        self._window: list[dict[str, Any]] = list(window or [])
        self.last: dict[str, float] = {}
        self._cut_back(step)

    def _cut_back(self, step: int) -> None:
        """Drop lines later than the checkpoint, and half a line left by a kill."""
        lines = self.path.read_text(encoding="utf-8").split("\n") if self.path.exists() else []
        kept = [line for line in lines[:-1] if (row := _parse(line)) is not None and row["step"] <= step]
        write_text(self.path, "".join(f"{line}\n" for line in kept))
        self.last = json.loads(kept[-1]) if kept else {}

    def add(
        self, step: int, values: dict[str, torch.Tensor | float], *, final: bool = False
    ) -> dict[str, float] | None:
        """Record the values of 1-based `step`; returns the line if one was written."""
        self._window.append(values)
        if step % self.every and not final:
            return None
        rows = self.state()
        names = dict.fromkeys(name for row in rows for name in row)
        means = {name: _mean([row[name] for row in rows if name in row]) for name in names}
        self.last = {"step": step, **means}
        with open(self.path, "a", encoding="utf-8") as handle:
            handle.write(json.dumps(self.last, allow_nan=False) + "\n")
        self._window = []
        return self.last

    def state(self) -> list[dict[str, float]]:
        """The values not yet written, as plain numbers."""
        flat = [value for row in self._window for value in row.values()]
        tensors = [value.detach().reshape(()).double() for value in flat if isinstance(value, torch.Tensor)]
        numbers = iter(torch.stack(tensors).tolist() if tensors else [])
        self._window = [
            {name: next(numbers) if isinstance(value, torch.Tensor) else value for name, value in row.items()}
            for row in self._window
        ]
        return self._window

    def sync(self) -> None:
        """Put all lines on the disk: a checkpoint must never be newer than the log."""
        with open(self.path, "rb") as handle:
            os.fsync(handle.fileno())


def _mean(values: list[float]) -> float:
    return sum(values) / len(values)


def _parse(line: str) -> dict[str, Any] | None:
    try:
        row = json.loads(line)
    except json.JSONDecodeError:
        return None
    return row if isinstance(row, dict) and "step" in row else None
