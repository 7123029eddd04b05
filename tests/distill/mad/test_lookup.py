"""Tables of vectors: one that is read from the store gives the rows that a held one gives."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from vldistill.distill.mad import lookup
from vldistill.distill.mad.lookup import Stored, Table, grouped, stored, taken, unit_rows
from vldistill.errors import InputError
from vldistill.features.shards import Rows, assemble, commit, cut
from vldistill.features.store import Store, open_store

KEYS = [f"k{number}" for number in range(12)]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """Twelve vectors of three numbers, in three shards."""
    folder = tmp_path_factory.mktemp("store")
    draw = np.random.default_rng(0)
    shards = cut("captions", KEYS, 5)
    for shard in shards:
        rows = draw.normal(size=(len(shard.keys), 3)).astype(np.float16)
        commit(folder / "run", shard, Rows({"text": rows}, {}))
    return open_store(assemble(folder / "run", folder / "store", shards, {"weights": "abc"}, {}))


def both(store: Store, monkeypatch: pytest.MonkeyPatch, rows: Tensor, size: int) -> tuple[Tensor, Table]:
    """The groups of ``size`` of some rows of the store, held in memory and read from it."""
    made = []
    for most in (lookup.HELD, 0):
        monkeypatch.setattr(lookup, "HELD", most)
        made.append(grouped(taken(unit_rows(stored(store, "text", KEYS)), rows), size))
    held, read = made
    assert isinstance(held, Tensor) and not isinstance(read, Tensor)
    return held, read


def test_every_few_rows_are_one(store: Store) -> None:
    rows = torch.arange(24.0).view(6, 4)
    assert torch.equal(grouped(rows, 3)[torch.tensor([1])], rows[None, 3:6])
    from_store = Stored(store, "text", KEYS)
    found = grouped(from_store, 3)
    assert found.shape == (4, 3, 3)
    assert torch.equal(found[torch.tensor([3, 0])], from_store[torch.tensor([[9, 10, 11], [0, 1, 2]])])


@pytest.mark.parametrize("size", [1, 2, 3])
def test_groups_from_the_store_are_those_in_memory(store: Store, monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    rows = torch.tensor([4, 0, 4, 11, 3, 3, 7, 9, 10, 2, 5, 4])  # words come again in several texts
    held, read = both(store, monkeypatch, rows, size)
    assert held.shape == read.shape == (12 // size, size, 3)
    for asked in (torch.arange(12 // size), torch.tensor([2, 0, 2]), torch.tensor([[1, 3], [3, 0]])):
        assert torch.equal(held[asked], read[asked])
        assert held[asked].shape == (*asked.shape, size, 3)
    # as in training: the groups of a shuffled control, under other numbers
    order = torch.randperm(12 // size, generator=torch.Generator().manual_seed(0))
    everything = torch.arange(len(order))
    assert torch.equal(taken(held, order)[everything], taken(read, order)[everything])


def test_a_key_that_is_not_there_is_named_before_training(store: Store) -> None:
    with pytest.raises(InputError, match=r"record other: no features for this key"):
        Stored(store, "text", [*KEYS, "other"])
