"""Image-text retrieval: recall at k from a similarity matrix, with any number of captions per image."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln

KS = (1, 5, 10)


def recall_at_k(
    similarity: NDArray[Any], owner: Sequence[int] | NDArray[Any], ks: Sequence[int] = KS
) -> dict[str, Any]:
    """Recall at k in both directions, as fractions.

    An image finds its captions if one of them is among the k most similar; a caption has one right image. Equal
    similarities count with the probability of a random order, so that a collapsed encoder scores as chance.

    Args:
        similarity: [I, C] image i against caption c.
        owner: [C] the index of each caption's image; every image owns at least one.
        ks: the cut-offs.

    Returns:
        {metrics: {"i2t_R@1": ..., "t2i_R@1": ..., "images": I, "captions": C}, i2t: {k: [I]}, t2i: {k: [C]}}, the
        last two per item.

    Raises:
        ValueError: shapes disagree, a similarity is NaN, or an image has no caption.
    """
    scores, owners = np.asarray(similarity), np.asarray(owner, dtype=np.int64)
    if scores.ndim != 2 or owners.shape != (scores.shape[1],):
        raise ValueError(f"similarity {scores.shape} does not fit {owners.shape} owners")
    if np.isnan(scores).any():
        raise ValueError("a similarity is NaN")
    if set(owners.tolist()) != set(range(len(scores))):
        raise ValueError("every image needs a caption, and every caption an image of the matrix")
    own = owners[None, :] == np.arange(len(scores))[:, None]
    i2t, t2i = _hits(scores, own, ks), _hits(scores.T, own.T, ks)
    metrics = {f"{name}_R@{k}": float(hits[k].mean()) for name, hits in (("i2t", i2t), ("t2i", t2i)) for k in ks}
    return {
        "metrics": {**metrics, "images": scores.shape[0], "captions": scores.shape[1]},
        "i2t": {k: i2t[k].tolist() for k in ks},
        "t2i": {k: t2i[k].tolist() for k in ks},
    }


def _hits(scores: NDArray[Any], right: NDArray[Any], ks: Sequence[int]) -> dict[int, NDArray[Any]]:
    """For each row, the probability that one of its right columns is among its k highest."""
    best = np.where(right, scores, -np.inf).max(axis=1, keepdims=True)
    ahead = (scores > best).sum(axis=1)
    tied = scores == best
    wrong, correct = (tied & ~right).sum(axis=1), (tied & right).sum(axis=1)
    return {k: _drawn(np.maximum(k - ahead, 0), wrong, correct) for k in ks}


def _drawn(slots: NDArray[Any], wrong: NDArray[Any], correct: NDArray[Any]) -> NDArray[Any]:
    """Probability that ``slots`` draws from ``wrong + correct`` without replacement hold a correct one."""
    drawn = np.minimum(slots, wrong)  # with more slots than wrong ones a correct one is certain
    wrong_only = gammaln(wrong + 1) - gammaln(wrong - drawn + 1)
    anything = gammaln(wrong + correct + 1) - gammaln(wrong + correct - drawn + 1)
    chance = 1.0 - np.exp(wrong_only - anything)
    return np.where(slots > wrong, 1.0, chance)
