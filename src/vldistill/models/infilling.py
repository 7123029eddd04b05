"""Text infilling: spans of a token sequence replaced by a mask, in BART's and in T5's scheme.

BART (Lewis et al. 2020, arXiv 1910.13461): span lengths are drawn from a Poisson distribution, a span becomes one
``<mask>``, a span of length 0 inserts one, and the target is the whole original text. T5 (Raffel et al. 2020, arXiv
1910.10683): each span becomes a sentinel of its own, and the target lists the sentinels with what they stand for.
Spans are drawn over tokens, not over whole words: our choice.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

Span = tuple[int, int]


def draw_spans(length: int, rng: np.random.Generator, *, mask_ratio: float, span: float, empty: bool) -> list[Span]:
    """Disjoint spans (start, stop), in order, that cover about ``mask_ratio * length`` positions.

    Args:
        length: tokens in the text, special tokens not counted.
        rng: the only source of chance.
        mask_ratio: share of tokens to mask, 0 to 1; a text gets at least one span where it is above 0.
        span: mean of the Poisson distribution of span lengths, in tokens.
        empty: allow spans of length 0, which insert a mask.
    """
    budget = max(1, round(mask_ratio * length)) if mask_ratio > 0 and length else 0
    lengths: list[int] = []
    while budget > 0:
        drawn = int(rng.poisson(span))
        if drawn == 0 and not empty:
            continue
        drawn = min(drawn, budget)
        lengths.append(drawn)
        # an insertion spends one token of the budget too: otherwise a small mean could insert without end
        budget -= max(drawn, 1)
    free = length - sum(lengths)
    # gaps before each span: a sorted draw of positions among the tokens that stay is uniform over all placements
    gaps = np.sort(rng.integers(0, free + 1, size=len(lengths)))
    order = rng.permutation(len(lengths))
    spans, shift = [], 0
    for gap, at in zip(gaps.tolist(), order.tolist(), strict=True):
        spans.append((gap + shift, gap + shift + lengths[at]))
        shift += lengths[at]
    return _merged(spans)


@dataclass(frozen=True)
class Corruption:
    """How texts are corrupted.

    Attributes:
        mask_ratio: share of tokens to mask.
        span: mean span length in tokens (Poisson).
        whole: share of texts that are masked as a whole, so that nothing but a mask is left.
        tail: share of texts of which only the end is masked, so that it is written from the whole rest: our choice,
            near to the sequential denoiser of UL2 (Tay et al. 2022, arXiv 2205.05131).
        tail_span: mean length of such an end in tokens (Poisson, at least 1).
    """

    mask_ratio: float = 0.3
    span: float = 3.0
    whole: float = 0.0
    tail: float = 0.0
    tail_span: float = 1.0


def text_spans(length: int, rng: np.random.Generator, corruption: Corruption, *, empty: bool) -> list[Span]:
    """The spans of one text of ``length`` tokens; ``empty`` as in `draw_spans`."""
    kind = rng.random()
    if kind < corruption.whole:
        return [(0, length)]
    if kind < corruption.whole + corruption.tail and length:
        end = min(length, max(1, int(rng.poisson(corruption.tail_span))))
        return [(length - end, length)]
    return draw_spans(length, rng, mask_ratio=corruption.mask_ratio, span=corruption.span, empty=empty)


def _merged(spans: list[Span]) -> list[Span]:
    """Join spans that touch, so that no two masks stand side by side."""
    joined: list[Span] = []
    for start, stop in spans:
        if joined and start <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(stop, joined[-1][1]))
        else:
            joined.append((start, stop))
    return joined


def bart_source(ids: Sequence[int], spans: Sequence[Span], mask_id: int) -> list[int]:
    """``ids`` with one ``mask_id`` in the place of each span."""
    source: list[int] = []
    at = 0
    for start, stop in spans:
        source.extend(ids[at:start])
        source.append(mask_id)
        at = stop
    return source + list(ids[at:])


def t5_pair(ids: Sequence[int], spans: Sequence[Span], sentinels: Sequence[int]) -> tuple[list[int], list[int]]:
    """Source with a sentinel for each span, and target ``sentinel span sentinel span ... last sentinel``.

    Spans beyond the number of sentinels (one is kept for the end) stay unmasked.
    """
    source: list[int] = []
    target: list[int] = []
    at = 0
    used = list(spans)[: len(sentinels) - 1]
    for (start, stop), sentinel in zip(used, sentinels, strict=False):
        source.extend([*ids[at:start], sentinel])
        target.extend([sentinel, *ids[start:stop]])
        at = stop
    return source + list(ids[at:]), target + [sentinels[len(used)]]
