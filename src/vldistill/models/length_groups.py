"""Texts of a batch computed in groups of similar length: what is left of padding."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

LEAST_SAVED = 1 / 16
LEAST_ROWS = 8

Group = tuple[list[int], int]
"""Rows of a batch, and the length of the longest of them."""


def length_groups(lengths: Sequence[int]) -> list[Group]:
    """Rows of similar length, so that a batch in random order is not computed to the length of its longest text.

    A batch is cut in two, and so on, as long as a cut leaves out `LEAST_SAVED` of the batch's positions: more groups
    would cost more in starts than they save in padding. A single group holds all rows as they stand.
    """
    order = sorted(range(len(lengths)), key=lambda row: lengths[row])
    least = LEAST_SAVED * len(lengths) * max(lengths, default=0)
    open_, groups = [order], []
    while open_:
        rows = open_.pop()
        longest = lengths[rows[-1]] if rows else 0
        saved, cut = max(
            ((at * (longest - lengths[rows[at - 1]]), at) for at in range(LEAST_ROWS, len(rows) - LEAST_ROWS + 1)),
            default=(0, 0),
        )
        if saved and saved >= least:
            open_ += [rows[cut:], rows[:cut]]
        else:
            groups.append((rows, longest))
    return groups if len(groups) > 1 else [(list(range(len(lengths))), groups[0][1])]


def chosen(table: Tensor, rows: list[int]) -> Tensor:
    """The rows of a table; the table itself where they are all of it."""
    return table if len(rows) == len(table) else table[rows]


def in_order(parts: Sequence[Tensor], groups: Sequence[Group]) -> Tensor:
    """The rows of all groups as they stood in the batch."""
    if len(parts) == 1:
        return parts[0]
    rows = torch.tensor([row for members, _ in groups for row in members], device=parts[0].device)
    return torch.cat(list(parts))[rows.argsort()]
