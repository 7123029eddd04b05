"""Small classifiers on frozen teacher features, several of one shape fitted side by side.

A step of five small heads costs little more than that of one: at this size it is the number of calls that counts.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

from vldistill.distill.mad.items import Items
from vldistill.distill.mad.lookup import Table
from vldistill.distill.mad.losses import task_loss
from vldistill.params.mad_parts import TeacherHead
from vldistill.records import LABELS

BATCH = 256
MOMENTS = 8192
"""Features are standardised by mean and spread of about so many of the fitted items, evenly spaced; of all if fewer."""

Scores = Callable[[Tensor], Tensor]
"""Items [n] -> their scores [n, A]."""


def fitted_heads(
    features: Table, items: Items, fitted: Sequence[Tensor], options: TeacherHead, seed: int
) -> list[Scores]:
    """K heads, each fitted on items of its own.

    Args:
        features: [N C, f] of the items' texts.
        items: N items.
        fitted: for each head [N] bool, at least one item.
        options: of the heads.
        seed: of each head's weights and order; the caller's generator stays as it is.
    """
    learnt = [each.nonzero().flatten() for each in fitted]
    moments = [_moments(features, each, items.choices) for each in learnt]
    mean, spread = (torch.stack(each)[:, None] for each in zip(*moments, strict=True))

    def inputs(chosen: Tensor, heads: slice) -> Tensor:
        rows = _rows(chosen, items.choices).flatten(1)
        # in place: the rows are a copy, of 8 MB on VCR
        return features[rows].sub_(mean[heads]).div_(spread[heads])

    size = min(BATCH, *map(len, learnt))
    outputs = 1 if items.choices > 1 else classes(items)
    fresh, draws = [], []
    with torch.random.fork_rng(devices=[]):
        for each in learnt:
            torch.manual_seed(seed)
            fresh.append(_fresh(mean.shape[-1], outputs, options.hidden))
            draws.append(each[torch.randint(len(each), (options.steps, size))])
    layers = [nn.Parameter(torch.stack(each)) for each in zip(*fresh, strict=True)]
    optimiser = torch.optim.AdamW(layers, lr=options.learning_rate, weight_decay=options.weight_decay, fused=True)
    for chosen in torch.stack(draws, dim=1):
        scores = _forward(inputs(chosen, slice(None)), layers).unflatten(1, chosen.shape[1:] + (-1,))
        # the mean over all heads' items, times their number: to each head its own loss
        loss = len(learnt) * task_loss(scores.flatten(2).flatten(0, 1), items.targets[chosen.flatten()])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()

    @torch.no_grad()
    def scores_of(head: int, chosen: Tensor) -> Tensor:
        only = slice(head, head + 1)
        return _forward(inputs(chosen[None], only), [each[only] for each in layers])[0].reshape(len(chosen), -1)

    return [lambda chosen, head=head: scores_of(head, chosen) for head in range(len(learnt))]  # type: ignore[misc]


def classes(items: Items) -> int:
    """The number A of labels or answers of items with a single text."""
    return len(LABELS) if items.targets.dim() == 1 else items.targets.shape[1]


def _rows(chosen: Tensor, choices: int) -> Tensor:
    """The rows [..., C] of the texts of items ``chosen`` [...]."""
    return chosen[..., None] * choices + torch.arange(choices)


def _moments(features: Table, learnt: Tensor, choices: int) -> tuple[Tensor, Tensor]:
    """Mean and spread [f] of the texts of some items."""
    known = features[_rows(learnt[:: max(1, len(learnt) // MOMENTS)], choices).flatten()]
    # without correction: one fitted item has no spread, which is 0 and not undefined
    return known.mean(dim=0), known.std(dim=0, correction=0) + 1e-6


def _fresh(inputs: int, outputs: int, hidden: int) -> list[Tensor]:
    """Weight [in, out] and bias [1, out] of each layer, as PyTorch draws them."""
    sizes = [inputs, *([hidden] if hidden else []), outputs]
    layers = [nn.Linear(*pair) for pair in pairwise(sizes)]
    return [each.detach() for layer in layers for each in (layer.weight.T, layer.bias[None])]


def _forward(states: Tensor, layers: Sequence[Tensor]) -> Tensor:
    """States [K, n, f] -> [K, n, out] through the layers of K heads."""
    for weight, bias in zip(layers[::2], layers[1::2], strict=True):
        if weight is not layers[0]:
            states = functional.gelu(states)
        states = torch.baddbmm(bias, states, weight)
    return states
