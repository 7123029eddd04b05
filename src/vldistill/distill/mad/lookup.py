"""Vectors by row: in memory where they fit, else read from the memory-mapped store when a batch asks for them.

VCR's training set has 1.7 million texts: their vectors would take 3.5 GB for each teacher, the regions of its images
5 GB. A tensor is a `Table` as well, so that nothing that reads one need know which it is.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from vldistill.features.store import Store

HELD = 2**30
"""Bytes of a table up to which it is held in memory."""
AT_ONCE = 4096


class Table(Protocol):
    """N rows of vectors, each row a tensor."""

    @property
    def shape(self) -> tuple[int, ...]:
        """N and the shape of a row."""

    def __getitem__(self, rows: Tensor, /) -> Tensor:
        """The rows numbered ``rows`` [...]: [..., *row]."""


class Stored:
    """Rows of a store by key, read when they are asked for.

    Args:
        store: holds them.
        kind: of the store.
        keys: the key of each row.

    Raises:
        InputError: a key is not there.
    """

    def __init__(self, store: Store, kind: str, keys: Sequence[str]) -> None:
        for key in keys:
            store.index(key, kind)
        self._store, self._kind, self._keys = store, kind, keys
        self.shape = (len(keys), *store.kinds[kind])

    def __getitem__(self, rows: Tensor, /) -> Tensor:
        """Rows in single precision; one that is asked for several times is read once."""
        different, places = rows.unique(return_inverse=True)
        found = self._store.get(self._kind, [self._keys[row] for row in different.tolist()])
        return torch.from_numpy(found)[places]


class Taken:
    """Rows of another table, under other numbers.

    Args:
        of: the table.
        rows: [N] row there of each row here.
    """

    def __init__(self, of: Table, rows: Tensor) -> None:
        self._of, self._rows = of, rows
        self.shape = (len(rows), *of.shape[1:])

    def __getitem__(self, rows: Tensor, /) -> Tensor:
        """The other table's rows."""
        return self._of[self._rows[rows]]


class Grouped:
    """Rows of another table, every ``size`` of them as one row.

    Args:
        of: the table.
        size: of a group.
    """

    def __init__(self, of: Table, size: int) -> None:
        self._of, self._size = of, size
        self.shape = (of.shape[0] // size, size, *of.shape[1:])

    def __getitem__(self, rows: Tensor, /) -> Tensor:
        """The other table's rows [..., size, *row]."""
        return self._of[rows[..., None] * self._size + torch.arange(self._size)]


class Changed:
    """Rows of one or several tables after a change that looks at one row of each.

    Args:
        change: of rows [B, ...] of all tables to rows [B, *row].
        row: shape of a changed row.
        of: the tables.
    """

    def __init__(self, change: Callable[..., Tensor], row: Sequence[int], *of: Table) -> None:
        self._change, self._of = change, of
        self.shape = (of[0].shape[0], *row)

    def __getitem__(self, rows: Tensor, /) -> Tensor:
        """The changed rows."""
        return self._change(*(table[rows] for table in self._of))


def unit(vectors: Tensor) -> Tensor:
    """Vectors [..., d] of unit length in single precision."""
    return functional.normalize(vectors.float(), dim=-1)


def stored(store: Store, kind: str, keys: Sequence[str]) -> Table:
    """Rows of a store by key; held ones in its own half precision.

    Raises:
        InputError: a key or the kind is not there.
    """
    if held((len(keys), *store.kinds.get(kind, ()))):
        return torch.from_numpy(store.get(kind, keys, dtype=np.float16))
    return Stored(store, kind, keys)


def taken(table: Table, rows: Tensor) -> Table:
    """The rows ``rows`` [N] of a table."""
    if isinstance(table, Tensor) and held((len(rows), *table.shape[1:])):
        return table[rows]
    return Taken(table, rows)


def grouped(table: Table, size: int) -> Table:
    """Every ``size`` rows of a table as one row."""
    return table.unflatten(0, (-1, size)) if isinstance(table, Tensor) else Grouped(table, size)


@torch.no_grad()
def changed(change: Callable[..., Tensor], row: Sequence[int], *of: Table) -> Table:
    """As `Changed`; tensors are changed at once where the result is held."""
    if all(isinstance(table, Tensor) for table in of) and held((of[0].shape[0], *row)):
        return change(*of)
    return Changed(torch.no_grad()(change), row, *of)


def unit_rows(table: Table) -> Table:
    """The rows of a table, each vector of unit length."""
    return changed(unit, table.shape[1:], table)


def whole(table: Table) -> Tensor:
    """All rows of a table, for those that are known to be small."""
    return table if isinstance(table, Tensor) else table[torch.arange(table.shape[0])]


def firsts(table: Table) -> Tensor:
    """The first vector [N, d] of each row [R, d]: of a hundred thousand images it is 0.2 GB, and always held."""
    parts = torch.arange(table.shape[0]).split(AT_ONCE)
    # copies: a view would keep what it was cut from
    return torch.cat([table[rows][:, 0].clone() for rows in parts])


def held(shape: Sequence[int]) -> bool:
    """Whether a table of this shape is held in memory, where it is in single precision."""
    return 4 * int(np.prod(shape, dtype=np.int64)) <= HELD
