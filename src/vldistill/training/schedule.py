"""Learning-rate schedule: linear warm-up, then cosine."""

from __future__ import annotations

import math


def rate_share(step: int, *, steps: int, warmup: int, final_share: float) -> float:
    """Share of the peak learning rate used by 0-based `step`.

    The first step already moves (share 1/warmup) and the last one uses `final_share` of the peak.
    """
    if step < warmup:
        return (step + 1) / warmup
    done = (step - warmup) / max(1, steps - 1 - warmup)
    return final_share + (1 - final_share) * 0.5 * (1 + math.cos(math.pi * min(1.0, done)))
