"""Closed-form sampler: the examples of any step follow from (seed, step) alone.

There is no iterator state to save: a resumed run asks for step 1234 and gets the batch the undisturbed run had.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np

# Batches per pool in which examples are sorted by length: large enough to fill batches of equal length,
# small enough that every pool still is a random draw.
POOL_BATCHES = 50


class Sampler:
    """Batches of indices into a data set of `size` examples; every epoch yields each example at most once.

    Args:
        size: number of examples.
        batch_size: examples in one step, over all ranks. If the data set is smaller, the batch is the data set.
        seed: order of the examples.
        lengths: if given, batches hold examples of similar length (and come in random order).
        full_only: leave out the short batch at an epoch's end (contrastive losses depend on the batch size).
    """

    def __init__(
        self, size: int, batch_size: int, seed: int, *, lengths: Sequence[int] | None = None, full_only: bool = True
    ) -> None:
        if size < 1:
            raise ValueError("a sampler needs at least one example")
        self.size = size
        self.batch_size = min(batch_size, size)
        self.seed = seed
        self.full_only = full_only
        self._lengths = None if lengths is None else np.asarray(lengths)
        if self._lengths is not None and len(self._lengths) != size:
            raise ValueError(f"{len(self._lengths)} lengths for {size} examples")
        self._epoch = lru_cache(maxsize=2)(self._cut_epoch)

    @property
    def per_epoch(self) -> int:
        """Batches in one epoch."""
        return self.size // self.batch_size if self.full_only else -(-self.size // self.batch_size)

    def epoch(self, step: int) -> int:
        """Epoch in which 0-based `step` lies."""
        return step // self.per_epoch

    def batch(self, step: int) -> np.ndarray:
        """Indices of the examples of 0-based `step`."""
        return self._epoch(self.epoch(step))[step % self.per_epoch]

    def _cut_epoch(self, epoch: int) -> list[np.ndarray]:
        rng = np.random.default_rng([self.seed, epoch])
        order = rng.permutation(self.size)
        if self._lengths is None:
            return self._cut(order)
        if self.full_only:
            # what does not fill a batch is left out before sorting, or it would be the longest examples in every epoch
            order = order[: self.per_epoch * self.batch_size]
        pool = self.batch_size * POOL_BATCHES
        batches: list[np.ndarray] = []
        for start in range(0, len(order), pool):
            part = order[start : start + pool]
            batches += self._cut(part[np.argsort(self._lengths[part], kind="stable")], keep_rest=True)
        return [batches[i] for i in rng.permutation(len(batches))]

    def _cut(self, order: np.ndarray, keep_rest: bool = False) -> list[np.ndarray]:
        parts = [order[i : i + self.batch_size] for i in range(0, len(order), self.batch_size)]
        whole = keep_rest or not self.full_only
        return parts if whole else [part for part in parts if len(part) == self.batch_size]
