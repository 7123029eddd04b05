"""Stage pretrain: teacher and language model, trained here as miniature stand-ins or loaded as published.

Writes results/pretrain/NAME in the formats open_clip and transformers load, whichever way the weights came.
"""

from __future__ import annotations

from pathlib import Path

from vldistill.params import Params
from vldistill.pretrain.names import NAMES

__all__ = ["NAMES", "run"]


def run(params: Params, root: str | Path, name: str, *, deadline: float | None = None) -> Path:
    """Make the model ``name``; see `vldistill.pretrain.stage.run`."""
    from vldistill.pretrain import stage

    return stage.run(params, Path(root), name, deadline=deadline)
