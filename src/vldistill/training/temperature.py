"""The limited temperature of contrastive losses."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

MAX_SCALE = 100.0
"""CLIP's limit of the inverse temperature (Radford et al. 2021, section 2.5)."""


class _Limited(torch.autograd.Function):
    """A clamp from above that lets gradients lead back below the limit.

    OpenAI's weights stand at the limit, where a plain clamp has no gradient: their temperature would never move.
    """

    @staticmethod
    def forward(ctx: Any, scale: Tensor) -> Tensor:
        ctx.save_for_backward(scale)
        return scale.clamp(max=MAX_SCALE)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        (scale,), (gradient,) = ctx.saved_tensors, gradients
        # a positive gradient makes a step of descent lower the scale
        return torch.where((scale < MAX_SCALE) | (gradient > 0), gradient, torch.zeros_like(gradient))


def limited_scale(log_scale: Tensor) -> Tensor:
    """The inverse temperature, at most `MAX_SCALE`, from its learned logarithm (both scalars)."""
    scale: Tensor = _Limited.apply(log_scale.exp())
    return scale
