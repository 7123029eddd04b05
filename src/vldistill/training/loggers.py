"""Optional mirrors of the metric log: DVCLive, TensorBoard, offline W&B. `metrics.jsonl` is always written."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any, Protocol

from vldistill.errors import InputError


class Logger(Protocol):
    """Receives each line of the metric log."""

    def log(self, step: int, values: dict[str, float]) -> None:
        """Record `values` of 1-based `step`."""

    def close(self) -> None:
        """Flush and release."""


class _TensorBoard:
    def __init__(self, folder: Path, name: str) -> None:
        self._writer = _require("torch.utils.tensorboard", "tensorboard").SummaryWriter(str(folder / "tensorboard"))

    def log(self, step: int, values: dict[str, float]) -> None:
        for key, value in values.items():
            self._writer.add_scalar(key, value, step)

    def close(self) -> None:
        self._writer.close()


class _DvcLive:
    def __init__(self, folder: Path, name: str) -> None:
        # no experiment of its own: the pipeline's stage is what DVC tracks
        self._live = _require("dvclive", "dvclive").Live(
            str(folder / "dvclive"), save_dvc_exp=False, resume=True, dvcyaml=None
        )

    def log(self, step: int, values: dict[str, float]) -> None:
        self._live.step = step
        for key, value in values.items():
            self._live.log_metric(key, value)
        self._live.next_step()

    def close(self) -> None:
        self._live.end()


class _Wandb:
    def __init__(self, folder: Path, name: str) -> None:
        self._run = _require("wandb", "wandb").init(project="vldistill", name=name, dir=str(folder), mode="offline")

    def log(self, step: int, values: dict[str, float]) -> None:
        self._run.log(values, step=step)

    def close(self) -> None:
        self._run.finish()


LOGGERS: dict[str, Any] = {"tensorboard": _TensorBoard, "dvclive": _DvcLive, "wandb": _Wandb}


def open_loggers(names: tuple[str, ...], folder: Path, name: str) -> list[Logger]:
    """Open the loggers called `names`, writing below `folder`; `name` labels the run.

    Raises:
        InputError: unknown logger, or its package is not installed.
    """
    for wanted in names:
        if wanted not in LOGGERS:
            raise InputError(f"unknown logger {wanted!r}", action=f"Choose from: {', '.join(LOGGERS)}")
    return [LOGGERS[wanted](folder, name) for wanted in names]


def _require(module: str, package: str) -> Any:
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise InputError(
            f"the logger needs the package {package}: {error}", action=f"pip install {package}, or leave the logger out"
        ) from error
