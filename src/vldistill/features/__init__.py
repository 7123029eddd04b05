"""Stage features: frozen teacher features, once, into a memory-mapped store.

Reads results/download/SET and results/pretrain/ENCODER, writes results/features/ENCODER/SET.
"""

from __future__ import annotations

from pathlib import Path

from vldistill.params import Params

__all__ = ["run"]


def run(
    params: Params, root: str | Path, encoder: str, dataset: str, *, writers: int = 1, deadline: float | None = None
) -> Path:
    """Extract the features of one data set with one encoder; see `vldistill.features.extract.run`."""
    # torch and open_clip are imported by those who extract, not by those who read a store
    from vldistill.features import extract

    return extract.run(params, Path(root), encoder, dataset, writers=writers, deadline=deadline)
