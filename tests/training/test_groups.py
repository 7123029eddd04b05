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
from vldistill.training.new_words import NewWords

NEW = [1]


class Words(nn.Module):
    """Adds the embedding of one of two words to its input."""

    def __init__(self) -> None:
        super().__init__()
        self.word_embeddings = nn.Embedding(2, 12)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.word_embeddings((x[:, 0] > 0).long())


class Reading(Toy):
    """The toy task with a table of words before it."""

    def __init__(self, new: list[int] = NEW) -> None:
        super().__init__()
        self.module = nn.Sequential(Words(), *self.module)
        self.new_words = NewWords(self.module[0].word_embeddings.weight, torch.tensor(new, dtype=torch.long))

    def shared_parameters(self) -> list[nn.Parameter]:
        return list(self.module[1].parameters())


def copies(task: Toy) -> dict[str, Tensor]:
    return {name: parameter.detach().clone() for name, parameter in task.module.named_parameters()}


def test_matrices_decay_and_vectors_do_not() -> None:
    module = Reading().module
    groups = parameter_groups(module, 0.3)
    table, first, last = module[0].word_embeddings, module[1], module[4]
    assert [[id(each) for each in group["params"]] for group in groups] == [
        [id(table.weight), id(first.weight), id(last.weight)],
        [id(first.bias), id(last.bias)],
    ]
    assert [group["weight_decay"] for group in groups] == [0.3, 0.0]


@pytest.mark.parametrize("factor", [1.0, 20.0, 0.5])
@pytest.mark.parametrize("decay", [0.0, 0.3])
def test_a_step_of_the_loop_moves_new_words_by_their_own_rate(tmp_path: Path, factor: float, decay: float) -> None:
    task, same = Reading(), Reading()
    before = copies(task)
    changes = {"learning_rate": 0.001, "warmup": 5, "weight_decay": decay}
    for each, rate in ((task, factor), (same, 1.0)):
        with pytest.raises(Stopped) as stopped:
            folder = tmp_path / str(id(each))
            train(each, options(**changes, embedding_rate=rate), Run(folder, deadline=time.monotonic() - 1))
        assert stopped.value.step == 1
    moved, plain = ({name: value - before[name] for name, value in copies(each).items()} for each in (task, same))
    words = next(name for name in moved if "word_embeddings" in name)
    old, new = (words_moved[NEW] for words_moved in (plain.pop(words), moved.pop(words)))
    torch.testing.assert_close(new, factor * old, rtol=1e-3, atol=1e-7)
    assert old.abs().min() > 0
    assert all(torch.equal(value, plain[name]) for name, value in moved.items())


def test_known_words_move_with_all_else(tmp_path: Path) -> None:
    tables = []
    for rate in (1.0, 20.0):
        task = Reading()
        with pytest.raises(Stopped):
            folder = tmp_path / str(rate)
            train(task, options(embedding_rate=rate), Run(folder, deadline=time.monotonic() - 1))
        tables.append(task.module[0].word_embeddings.weight.detach())
    known = [row for row in range(2) if row not in NEW]
    assert torch.equal(tables[0][known], tables[1][known]) and not torch.equal(*(table[NEW] for table in tables))


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


def test_a_rate_for_words_that_nobody_names_is_refused_and_none_is_fine(tmp_path: Path) -> None:
    task = Toy()
    before = copies(task)
    with pytest.raises(VldistillError, match=r"training\.embedding_rate: .*this model's new words\. Set it to 1"):
        train(task, options(embedding_rate=20.0), Run(tmp_path / "refused"))
    assert all(torch.equal(value, before[name]) for name, value in copies(task).items())
    knowing, plain = Reading(new=[]), Reading()
    train(knowing, options(steps=3, warmup=1, embedding_rate=20.0), Run(tmp_path / "knowing"))
    train(plain, options(steps=3, warmup=1), Run(tmp_path / "plain"))
    assert all(torch.equal(value, copies(plain)[name]) for name, value in copies(knowing).items())
