"""Dropout whose random numbers are cheap on a CPU, where drawing them is a sixth of a small student's step."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

LEVELS = 2**16


def dropout(states: Tensor, rate: float) -> Tensor:
    """``states`` of any shape with a share ``rate`` of the values set to 0 and the others scaled up, mean unchanged.

    On a CPU 16 random bits decide about a value, four values a draw: the rate is the next multiple of 1 / 65,536.
    Elsewhere it is PyTorch's own.
    """
    if states.device.type != "cpu":
        return functional.dropout(states, rate)
    dropped = min(round(rate * LEVELS), LEVELS - 1)
    count = states.numel()
    draws = torch.empty((count + 3) // 4, dtype=torch.int64).random_(-(2**63), None)
    keep = draws.view(torch.int16)[:count].view(states.shape) >= dropped - LEVELS // 2
    return states * (keep.to(states.dtype) * (LEVELS / (LEVELS - dropped)))
