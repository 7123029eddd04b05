"""Dropout with few random bits, and the rates that a whole student is given."""

from __future__ import annotations

import pytest
import torch

from tests.models.student.conftest import TEXTS, visual
from vldistill.models.student.dropout import dropout
from vldistill.models.student.single_stream import SingleStream
from vldistill.training.dropout import set_dropout


@pytest.mark.parametrize("rate", [0.1, 0.25, 0.9])
def test_a_share_is_dropped_the_rest_is_scaled_and_places_are_independent(rate: float) -> None:
    torch.manual_seed(0)
    made = torch.stack([dropout(torch.ones(499, 7), rate) for _ in range(60)])
    kept = made > 0
    assert made[kept].unique().numel() == 1
    assert float(made.max()) == pytest.approx(1 / (1 - rate), rel=1e-4)
    # 209,580 draws: four standard errors
    error = 4 * (rate * (1 - rate) / made.numel()) ** 0.5
    assert float(kept.float().mean()) == pytest.approx(1 - rate, abs=error)
    # neighbours share a draw of 64 bits and must not share their fate
    pairs = kept.flatten()[: made.numel() // 4 * 4].view(-1, 4).double()
    correlations = torch.corrcoef(pairs.T)[~torch.eye(4, dtype=torch.bool)]
    assert correlations.abs().max() < 5 / len(pairs) ** 0.5


def test_gradients_go_where_values_stayed() -> None:
    states = torch.ones(33, 5, requires_grad=True)
    made = dropout(states, 0.5)
    made.sum().backward()
    assert states.grad is not None and torch.equal(states.grad, made.detach())
    assert {0.0, 2.0} == set(made.unique().tolist())


def test_the_generator_decides() -> None:
    states = torch.ones(100, 10)
    torch.manual_seed(3)
    first = dropout(states, 0.5)
    assert not torch.equal(dropout(states, 0.5), first)
    torch.manual_seed(3)
    assert torch.equal(dropout(states, 0.5), first)


@pytest.mark.parametrize(("rate", "attention", "random"), [(0.0, 0.5, True), (0.0, 0.0, False), (0.5, 0.0, True)])
def test_attention_has_a_rate_of_its_own(mini: SingleStream, rate: float, attention: float, random: bool) -> None:
    batch = {**mini.tokenize([[text] for text in TEXTS[:2]]).batch(torch.arange(2)), **visual(2, 4)}
    set_dropout(mini, rate, attention)
    rates = {
        name: part.dropout for name, part in mini.named_modules() if isinstance(getattr(part, "dropout", None), float)
    }
    assert {value for name, value in rates.items() if name.endswith("attention")} == {attention}
    assert {value for name, value in rates.items() if not name.endswith("attention")} == {rate}
    mini.train()
    assert torch.equal(mini(batch).cls, mini(batch).cls) is not random
    mini.eval()
    assert torch.equal(mini(batch).cls, mini(batch).cls)
