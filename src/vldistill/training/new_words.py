"""Words that a model meets for the first time: their embeddings have farther to go than all else."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor


class NewWords(NamedTuple):
    """Rows of a table of word embeddings that learn at a rate of their own.

    Attributes:
        table: [V, D], a parameter.
        rows: [n] numbers of the rows.
    """

    table: Tensor
    rows: Tensor


@torch.no_grad()
def step(optimiser: torch.optim.Optimizer, words: NewWords, factor: float) -> None:
    """One step of AdamW in which the rows of ``words`` move ``factor`` times as far.

    All that AdamW adds, weight decay included, is a multiple of the learning rate: as if theirs were ``factor`` times
    that of all else.
    """
    rows = words.rows.to(words.table.device)
    before = words.table[rows]
    optimiser.step()
    words.table[rows] += (factor - 1) * (words.table[rows] - before)
