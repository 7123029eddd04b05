"""Hard negatives: pairs whose captions say nearly the same.

A batch of random pictures can be told apart by the easy half of what they show, and then nothing teaches the teacher
the rest. Part of each batch is therefore filled with near neighbours of its other members.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

CHUNK = 500


def nearest(captions: Tensor, count: int, *, ignored: set[int]) -> Tensor:
    """The ``count`` most similar other rows of each row [N, count], by the words of all its captions.

    Similarity is the cosine of binary bags of tokens weighted by inverse document frequency.

    Args:
        captions: token ids [N, C, L].
        count: how many neighbours.
        ignored: ids that say nothing, such as padding.
    """
    rows = captions.flatten(1)
    bags = torch.zeros(len(rows), int(rows.max()) + 1).scatter_(1, rows, 1.0)
    bags[:, [token for token in ignored if token < bags.shape[1]]] = 0
    bags *= torch.log(len(rows) / bags.sum(0).clamp(min=1.0))
    bags = functional.normalize(bags, dim=1)
    found = []
    for start in range(0, len(rows), CHUNK):
        similar = bags[start : start + CHUNK] @ bags.T
        own = torch.arange(len(similar))
        similar[own, start + own] = -1.0
        found.append(similar.topk(min(count, len(rows) - 1), dim=1).indices)
    return torch.cat(found)


def with_neighbours(indices: np.ndarray, neighbours: np.ndarray, share: float, rng: np.random.Generator) -> np.ndarray:
    """``indices``, of which the last ``share`` are replaced by neighbours of the first ones; no index occurs twice.

    A replacement that would occur twice is left as it was, so the number of rows never changes.
    """
    taken = set(indices.tolist())
    batch = indices.copy()
    replaced = int(share * len(indices))
    for place in range(len(indices) - replaced, len(indices)):
        anchor = batch[place - (len(indices) - replaced)]
        drawn = int(neighbours[anchor, rng.integers(neighbours.shape[1])])
        if drawn not in taken:
            taken.add(drawn)
            batch[place] = drawn
    return batch
