"""States at chosen places: what a student leaves out changes none of them."""

from __future__ import annotations

from functools import partial

import pytest
import torch
from torch import Tensor

from tests.models.student.conftest import visual
from vldistill.models.student import Student, StudentStates
from vldistill.models.student.single_stream import SingleStream
from vldistill.training.dropout import set_dropout

TEXTS = [["is the circle red?", "yes"], ["a blue square"]]
PICKS = {"token": torch.tensor([[6, 0], [1, 1]]), "region": torch.tensor([2, 3])}


def test_states_are_taken_where_they_are_picked(mini: SingleStream, monkeypatch: pytest.MonkeyPatch) -> None:
    text, regions = torch.arange(12.0).view(2, 3, 2), torch.arange(8.0).view(2, 2, 2)
    states = StudentStates(torch.ones(2, 2), text, torch.ones(2, 3).bool(), regions, torch.ones(2, 2).bool())
    monkeypatch.setattr(mini, "forward", lambda batch: states)
    taken = partial(Student.states_at, mini, {})
    found = taken({"token": torch.tensor([[2, 0], [0, 0]]), "region": torch.tensor([1, 0])})
    assert {place: of.tolist() for place, of in found.items()} == {
        "cls": [[1, 1], [1, 1]],
        "token": [[[4, 5], [0, 1]], [[6, 7], [6, 7]]],
        "region": [[2, 3], [4, 5]],
    }
    shares = taken({"region": torch.tensor([[0.25, 0.75], [1, 0]])})
    assert shares["region"].tolist() == [[1.5, 2.5], [4, 5]] and set(shares) == {"cls", "region"}
    with pytest.raises(KeyError):
        taken({"targets": torch.tensor([1, 1])})


@pytest.mark.parametrize("picks", [PICKS, {"token": PICKS["token"]}, {"region": PICKS["region"]}, {}])
def test_a_last_layer_at_the_places_alone_says_the_same(mini: SingleStream, picks: dict[str, Tensor]) -> None:
    batch = {**mini.tokenize(TEXTS).batch(torch.arange(2)), **visual(2, 4)}
    whole, alone = Student.states_at(mini, batch, picks), mini.states_at(batch, picks)
    assert set(whole) == set(alone) == {"cls", *picks}
    for place, states in whole.items():
        torch.testing.assert_close(alone[place], states)


def test_a_last_layer_at_the_places_alone_learns_the_same(mini: SingleStream) -> None:
    batch = {**mini.tokenize(TEXTS).batch(torch.arange(2)), **visual(2, 4)}
    gradients = []
    for found in (Student.states_at(mini, batch, PICKS), mini.states_at(batch, PICKS)):
        mini.zero_grad()
        # of one feature, since the sum over all is constant behind a layer norm
        torch.stack([states[..., 0].square().sum() for states in found.values()]).sum().backward()
        gradients.append({name: value.grad for name, value in mini.named_parameters() if value.grad is not None})
    whole, alone = gradients
    assert set(whole) == set(alone)
    for name, gradient in whole.items():
        torch.testing.assert_close(alone[name], gradient, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("rates", [(0.0, 0.5), (0.5, 0.0)])
def test_dropout_of_the_last_layer_holds_at_the_places(mini: SingleStream, rates: tuple[float, float]) -> None:
    batch = {**mini.tokenize(TEXTS).batch(torch.arange(2)), **visual(2, 4)}
    set_dropout(mini, *rates)
    mini.train()
    mini.embeddings.dropout = mini.img_embeddings.dropout = 0.0
    for layer in mini.encoder.layer[:-1]:
        layer.dropout = layer.attention.dropout = 0.0
    torch.manual_seed(0)
    first, second = (mini.states_at(batch, PICKS) for _ in range(2))
    assert all(not torch.equal(first[place], second[place]) for place in first)
