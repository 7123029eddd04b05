"""What a VLKD cell's result depends on. Light: finished cells are recognised before torch is imported."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from vldistill import layout, runs
from vldistill.artifact import fingerprint, refuse_absent
from vldistill.cells import METHOD, Cell
from vldistill.code_version import code_version
from vldistill.params import Params
from vldistill.provenance import libraries

STAGE = "distill"
PAIRS = "cc3m"
CORPUS = "corpus"
# What to do about an absent input, by the part it plays; else the arm that asks for it cannot be run.
WITHOUT = {"corpus": "Set distill.vlkd.replay.share to 0, or supply the corpus"}


def inputs(params: Params, root: str | Path, cell: Cell) -> dict[str, Path]:
    """The artifacts `cell` reads, by the part they play."""
    options = params.distill.vlkd.options_of(cell.arm)
    found = {
        "pairs": layout.download(root, PAIRS),
        "encoder": layout.pretrain(root, options.encoder),
        "features": layout.features(root, options.encoder, PAIRS),
        "language_model": layout.pretrain(root, options.language_model),
    }
    if options.replay.share and options.weights.replay:
        found["corpus"] = layout.download(root, CORPUS)
    return found


def cell_key(params: Params, root: str | Path, cell: Cell) -> dict[str, Any]:
    """The key of the cell's run folder; two arms with equal options share one.

    Raises:
        InputError: an input is not there, or does not exist in this experiment.
    """
    paths = inputs(params, root, cell)
    for name, path in paths.items():
        refuse_absent(path, WITHOUT.get(name, f"Take the arm {cell.arm} out of distill.vlkd.active"))
    return {
        "method": METHOD,
        "options": params.distill.vlkd.options_of(cell.arm).model_dump(mode="json"),
        "seed": cell.seed,
        "compute": params.compute.model_dump(mode="json", include={"device", "dtype", "threads"}),
        "toy": params.download.source == "world",
        "inputs": {name: fingerprint(path) for name, path in paths.items()},
        "code": code_version(STAGE, root),
        "libraries": libraries(),
    }


def look_up(params: Params, root: str | Path, cell: Cell) -> runs.RunFolder:
    """The cell's run folder as it is."""
    return runs.look_up(STAGE, cell_key(params, root, cell), root)
