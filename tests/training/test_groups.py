"""Groups of parameters: what decays, and the learning rate that each one is really moved by."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from toy import Toy, options

from vldistill.errors import VldistillError
from vldistill.training import Run, Stopped, train
from vldistill.training.loop import parameter_groups


class Words(nn.Module):
    """Adds the embedding of one of two words to its input."""

    def __init__(self) -> None:
        super().__init__()
        self.word_embeddings = nn.Embedding(2, 12)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.word_embeddings((x[:, 0] > 0).long())


class Reading(Toy):
    """The toy task with a table of words before it."""

    def __init__(self) -> None:
        super().__init__()
        self.module = nn.Sequential(Words(), *self.module)

    def shared_parameters(self) -> list[nn.Parameter]:
        return list(self.module[1].parameters())


def copies(task: Toy) -> dict[str, Tensor]:
    return {name: parameter.detach().clone() for name, parameter in task.module.named_parameters()}


def test_with_factor_one_matrices_decay_vectors_do_not_and_words_are_matrices() -> None:
    module = Reading().module
    groups = parameter_groups(module, options(weight_decay=0.3))
    table, first, last = module[0].word_embeddings, module[1], module[4]
    assert [[id(each) for each in group["params"]] for group in groups] == [
        [id(table.weight), id(first.weight), id(last.weight)],
        [id(first.bias), id(last.bias)],
    ]
    assert [(group["weight_decay"], group["factor"]) for group in groups] == [(0.3, 1.0), (0.0, 1.0)]


def test_word_embeddings_are_a_group_of_their_own_with_their_factor() -> None:
    module = Reading().module
    matrices, vectors, words = parameter_groups(module, options(weight_decay=0.3, embedding_rate=20.0))
    assert len(words["params"]) == 1 and words["params"][0] is module[0].word_embeddings.weight
    assert (words["weight_decay"], words["factor"]) == (0.3, 20.0)
    assert [id(each) for each in matrices["params"]] == [id(module[1].weight), id(module[4].weight)]
    assert [id(each) for each in vectors["params"]] == [id(module[1].bias), id(module[4].bias)]
    assert (matrices["factor"], vectors["factor"]) == (1.0, 1.0)


@pytest.mark.parametrize("factor", [1.0, 20.0, 0.5])
def test_a_step_of_the_loop_moves_words_by_their_own_rate(tmp_path: Path, factor: float) -> None:
    task = Reading()
    before = copies(task)
    changes = {"learning_rate": 0.001, "warmup": 5, "weight_decay": 0.0, "embedding_rate": factor}
    with pytest.raises(Stopped) as stopped:
        train(task, options(**changes), Run(tmp_path, deadline=time.monotonic() - 1))
    assert stopped.value.step == 1
    # Adam's first step moves all that has a gradient by the learning rate: here a fifth of the peak, in warm-up
    moved = {name: float((value - before[name]).abs().max()) for name, value in copies(task).items()}
    expected = {name: 0.0002 * (factor if "word_embeddings" in name else 1.0) for name in moved}
    assert moved == pytest.approx(expected, rel=1e-2)


def test_a_run_with_a_rate_for_words_goes_on_as_if_undisturbed(tmp_path: Path) -> None:
    changes = {"steps": 6, "embedding_rate": 20.0}
    straight, last = Reading(), Reading()
    train(straight, options(**changes), Run(tmp_path / "straight"))
    for _ in range(5):
        with pytest.raises(Stopped):
            train(Reading(), options(**changes), Run(tmp_path / "broken", deadline=time.monotonic() - 1))
    train(last, options(**changes), Run(tmp_path / "broken"))
    assert all(torch.equal(value, copies(last)[name]) for name, value in copies(straight).items())
    plain = Reading()
    train(plain, options(steps=6), Run(tmp_path / "plain"))
    assert not torch.equal(plain.module[0].word_embeddings.weight, straight.module[0].word_embeddings.weight)


def test_a_rate_for_words_that_are_not_there_is_refused(tmp_path: Path) -> None:
    task = Toy()
    before = copies(task)
    with pytest.raises(VldistillError, match=r"training\.embedding_rate: .*no table of word embeddings\. Set it to 1"):
        train(task, options(embedding_rate=20.0), Run(tmp_path))
    assert all(torch.equal(value, before[name]) for name, value in copies(task).items())
    # a table that is frozen learns at no rate
    reading = Reading()
    reading.module[0].requires_grad_(False)
    with pytest.raises(VldistillError, match="no table of word embeddings"):
        parameter_groups(reading.module, options(embedding_rate=20.0))
