"""The text loss: how well a language model still does what it was pre-trained for, on documents it has not read."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from vldistill.models.language_model import IGNORED, LanguageModel


@torch.inference_mode()
def text_losses(
    model: LanguageModel,
    texts: Sequence[str],
    rng: np.random.Generator,
    *,
    mask_ratio: float,
    span: float,
    batch: int,
) -> list[tuple[float, int]]:
    """Summed cross-entropy in nats, and number of target tokens, of infilling each text.

    The same ``rng`` state and texts give the same corruption for every model with the same tokenizer.
    """
    found: list[tuple[float, int]] = []
    for at in range(0, len(texts), batch):
        corrupted = model.corrupt(texts[at : at + batch], rng, mask_ratio=mask_ratio, span=span)
        states = model.encode(corrupted.ids, corrupted.mask)
        losses = model.decode_loss(states, corrupted.mask, corrupted.labels, per_token=True)
        tokens = (corrupted.labels != IGNORED).sum(dim=1)
        found += list(zip(losses.double().sum(dim=1).tolist(), tokens.tolist(), strict=True))
    return found
