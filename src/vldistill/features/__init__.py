"""Stage features: frozen teacher features, once, into a memory-mapped store.

Reads results/download/SET and results/pretrain/ENCODER, writes results/features/ENCODER/SET. In the place of a set,
`texts` is all texts that teach a student (`vldistill.features.sentences`), from whatever sets they are.
"""

from __future__ import annotations

from pathlib import Path

from vldistill.layout import TEXTS
from vldistill.params import Params

__all__ = ["run"]


def run(
    params: Params, root: str | Path, encoder: str, dataset: str, *, writers: int = 1, deadline: float | None = None
) -> Path:
    """Extract the features of one data set, or of all texts, with one encoder.

    See `vldistill.features.extract.run` and `vldistill.features.texts.run`; texts have one writer.
    """
    # torch and open_clip are imported by those who extract, not by those who read a store
    if dataset == TEXTS:
        from vldistill.features import texts

        return texts.run(params, Path(root), encoder, deadline=deadline)
    from vldistill.features import extract

    return extract.run(params, Path(root), encoder, dataset, writers=writers, deadline=deadline)
