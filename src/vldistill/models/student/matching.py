"""The layer that told matching texts and images in a student's pre-training; a task's scores may start from it."""

from __future__ import annotations

from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import nn

from vldistill.errors import InputError

MATCHING = "matching.safetensors"


def save_matching(layer: nn.Linear, folder: str | Path) -> None:
    """Keep the layer, of one output, beside the student in ``folder``."""
    save_file({name: value.contiguous() for name, value in layer.state_dict().items()}, Path(folder) / MATCHING)


def load_matching(folder: str | Path, width: int) -> nn.Linear:
    """The layer of the student in ``folder``: pooled states [B, width] -> logit of a match [B, 1].

    Raises:
        InputError: the student has none, or one of another shape.
    """
    file = Path(folder) / MATCHING
    if not file.is_file():
        raise InputError(
            "the student has no layer for matching: a published one, or made by an older version",
            file=file,
            action="Make the student again (vldistill pretrain NAME), or leave arms out that start from it",
        )
    layer = nn.Linear(width, 1)
    try:
        layer.load_state_dict(load_file(file))
    except (OSError, RuntimeError, SafetensorError) as error:
        raise InputError(
            f"the layer does not load: {error}", file=file, action="Make the student again (vldistill pretrain NAME)"
        ) from None
    return layer
