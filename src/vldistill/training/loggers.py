"""Optional mirrors of the metric log: DVCLive, TensorBoard, offline W&B. `metrics.jsonl` is always written.

The environment names them, not params.yaml: what is looked at while it trains changes no result, and so no key.
"""

from __future__ import annotations

import importlib
import os
from pathlib import Path
from typing import Any, Protocol

from vldistill.errors import InputError

VARIABLE = "VLDISTILL_LOGGERS"
"""Names of loggers, separated by commas."""


class Logger(Protocol):
    """Receives each line of the metric log."""

    def log(self, step: int, values: dict[str, float]) -> None:
        """Record `values` of 1-based `step`."""

    def close(self) -> None:
        """Flush and release."""


class _TensorBoard:
    def __init__(self, folder: Path, name: str, step: int) -> None:
        # steps behind the checkpoint that a run goes on from are logged again
        self._writer = _require("torch.utils.tensorboard", "tensorboard").SummaryWriter(
            str(folder / "tensorboard"), purge_step=step + 1
        )

    def log(self, step: int, values: dict[str, float]) -> None:
        for key, value in values.items():
            self._writer.add_scalar(key, value, step)

    def close(self) -> None:
        self._writer.close()


class _DvcLive:
    def __init__(self, folder: Path, name: str, step: int) -> None:
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
    def __init__(self, folder: Path, name: str, step: int) -> None:
        self._run = _require("wandb", "wandb").init(project="vldistill", name=name, dir=str(folder), mode="offline")

    def log(self, step: int, values: dict[str, float]) -> None:
        self._run.log(values, step=step)

    def close(self) -> None:
        self._run.finish()


LOGGERS: dict[str, Any] = {"tensorboard": _TensorBoard, "dvclive": _DvcLive, "wandb": _Wandb}


def open_loggers(folder: Path, name: str, step: int = 0) -> list[Logger]:
    """Open the loggers that `VLDISTILL_LOGGERS` names, writing below `folder`.

    Args:
        folder: of the run.
        name: what the run is called.
        step: the run goes on after this step.

    Raises:
        InputError: unknown logger, or its package is not installed.
    """
    names = os.environ.get(VARIABLE, "").replace(",", " ").split()
    for wanted in names:
        if wanted not in LOGGERS:
            raise InputError(f"unknown logger {wanted!r}", field=VARIABLE, action=f"Choose from: {', '.join(LOGGERS)}")
    return [LOGGERS[wanted](folder, name, step) for wanted in names]


def _require(module: str, package: str) -> Any:
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise InputError(
            f"the logger needs the package {package}: {error}",
            field=VARIABLE,
            action=f"pip install {package}, or leave the logger out",
        ) from error
