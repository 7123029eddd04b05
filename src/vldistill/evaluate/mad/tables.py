"""Per-item scores of MAD's cells as tables [seeds, items], the input of all statistics.

A subset may hold other items at each seed (SNLI-VE's `hard` follows the training subset): a table then has gaps, and
`Table.even` is the same table without gaps for resampling.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vldistill import layout
from vldistill.artifact import read_manifest
from vldistill.errors import InputError
from vldistill.evaluate.items import AGAIN, Item, named, read_items
from vldistill.stats import without_gaps

PARTS = {
    "rules": ("singular", "plural"),
    "rules_original": ("singular_original", "plural_original"),
}
"""Subsets that are several others taken together; no item is in two of them."""
WHOLE = {"hard": "test"}
"""Subsets that each size of the training subset has of its own -> the set that they are parts of."""


@dataclass(frozen=True, order=True)
class Place:
    """Where arms are measured: a score on a subset, at a size of the training subset in percent."""

    task: str
    fraction: int
    subset: str
    metric: str


@dataclass(frozen=True)
class Items:
    """The scores of one cell on one subset: ids and groups [N], and [N] values for each metric."""

    ids: tuple[str, ...]
    groups: tuple[str, ...]
    scores: Mapping[str, NDArray[np.float64]]


NOTHING = Items((), (), {})


@dataclass(frozen=True)
class Table:
    """Scores of one arm at one place.

    Attributes:
        seeds: [S].
        ids, groups: [N] items that any seed has.
        values: [S, N], NaN where a seed does not have the item.
    """

    seeds: tuple[int, ...]
    ids: tuple[str, ...]
    groups: tuple[str, ...]
    values: NDArray[np.float64]

    @property
    def means(self) -> NDArray[np.float64]:
        """[S] mean of the items of each seed."""
        means: NDArray[np.float64] = np.nanmean(self.values, axis=1)
        return means

    @cached_property
    def even(self) -> NDArray[np.float64]:
        """[S, N] without gaps (`vldistill.stats.without_gaps`)."""
        return without_gaps(self.values)

    @property
    def items(self) -> int:
        """Items of a seed, on average over seeds, rounded."""
        return round(float(np.isfinite(self.values).sum(axis=1).mean()))


Key = tuple[str, str, str, int, int]
"""Task, subset, arm, fraction, seed."""


class Results:
    """The per-item scores of all cells.

    Args:
        files: the scores of each cell on each subset.
    """

    def __init__(self, files: Mapping[Key, Items]) -> None:
        self._files = dict(files)
        self._seeds: dict[tuple[str, str, str, int], list[int]] = {}
        for task, subset, arm, fraction, seed in sorted(self._files):
            self._seeds.setdefault((task, subset, arm, fraction), []).append(seed)

    def fractions(self, task: str) -> list[int]:
        """Sizes of the training subsets, in percent."""
        return sorted({fraction for of, _, _, fraction in self._seeds if of == task})

    def arms(self, place: Place) -> list[str]:
        """The arms measured at a place, by name."""
        there = {
            arm
            for task, subset, arm, fraction in self._seeds
            if (task, fraction) == (place.task, place.fraction) and subset in PARTS.get(place.subset, (place.subset,))
        }
        return sorted(arm for arm in there if self.tables(place, [arm]) is not None)

    def tables(self, place: Place, arms: Sequence[str]) -> list[Table] | None:
        """A table for each of ``arms``, all with the same seeds and items; None where they have no seed in common.

        Raises:
            InputError: two arms have other items at one seed.
        """
        parts = PARTS.get(place.subset, (place.subset,))
        listed = [self._seeds.get((place.task, part, arm, place.fraction), []) for part in parts for arm in arms]
        common = sorted(set.intersection(*map(set, listed))) if all(listed) else []
        by_seed = {seed: [self._joined(place, parts, arm, seed) for arm in arms] for seed in common}
        # a shifted subset may have no item at a seed
        by_seed = {seed: row for seed, row in by_seed.items() if all(place.metric in items.scores for items in row)}
        if not by_seed:
            return None
        seeds, cells = tuple(by_seed), list(zip(*by_seed.values(), strict=True))
        for row, arm in zip(cells, arms, strict=True):
            for mine, first, seed in zip(row, cells[0], seeds, strict=True):
                if mine.ids != first.ids:
                    raise InputError(
                        f"{arm} and {arms[0]} were scored on other items at seed {seed}",
                        file=f"{place.task}/{place.subset}",
                        action=f"Score again: vldistill evaluate mad score {place.task}",
                    )
        return [_table(seeds, row, place.metric) for row in cells]

    def on_items_of(self, like: Table, place: Place, arm: str, fraction: int) -> Table | None:
        """The scores of an arm trained on another fraction, on the very seeds and items of a table.

        Args:
            like: of any arm at `place`.
            place: what is scored.
            arm, fraction: whose scores are wanted.

        Returns:
            None where a seed or an item of ``like`` is not there.
        """
        parts = [WHOLE.get(part, part) for part in PARTS.get(place.subset, (place.subset,))]
        values = np.full_like(like.values, np.nan)
        for row, there, seed in zip(values, np.isfinite(like.values), like.seeds, strict=True):
            found = [self._files.get((place.task, part, arm, fraction, seed), NOTHING) for part in parts]
            scores = {
                name: value
                for items in found
                if place.metric in items.scores
                for name, value in zip(items.ids, items.scores[place.metric], strict=True)
            }
            wanted = [name for name, here in zip(like.ids, there, strict=True) if here]
            if not scores.keys() >= set(wanted):
                return None
            row[there] = [scores[name] for name in wanted]
        return replace(like, values=values)

    def _joined(self, place: Place, parts: Sequence[str], arm: str, seed: int) -> Items:
        found = [self._files[place.task, part, arm, place.fraction, seed] for part in parts]
        found = [items for items in found if items.ids]
        if len(found) < 2:
            return found[0] if found else NOTHING
        common = set.intersection(*(set(items.scores) for items in found))
        return Items(
            tuple(name for items in found for name in items.ids),
            tuple(name for items in found for name in items.groups),
            {metric: np.concatenate([items.scores[metric] for items in found]) for metric in sorted(common)},
        )


def _table(seeds: tuple[int, ...], cells: Sequence[Items], metric: str) -> Table:
    first = cells[0]
    if all(items.ids == first.ids for items in cells):
        return Table(seeds, first.ids, first.groups, np.stack([items.scores[metric] for items in cells]))
    groups = {name: group for items in cells for name, group in zip(items.ids, items.groups, strict=True)}
    column = {name: number for number, name in enumerate(groups)}
    values = np.full((len(seeds), len(groups)), np.nan)
    for row, items in zip(values, cells, strict=True):
        row[[column[name] for name in items.ids]] = items.scores[metric]
    return Table(seeds, tuple(groups), tuple(groups.values()), values)


def read_results(root: str | Path, tasks: Sequence[str]) -> Results:
    """The per-item scores of the tasks' cells.

    Raises:
        InputError: a task is not scored, or a record is broken.
    """
    files: dict[Key, Items] = {}
    for task in tasks:
        folder = layout.score_items_mad(root, task)
        for name in read_manifest(folder)["files"]:
            subset, _, cell = name.removesuffix(".jsonl").partition("/")
            arm, fraction, seed = named(cell)
            if fraction is None or seed is None:
                raise InputError("not named as a cell: ARM-fFRACTION-sSEED", file=folder / name)
            files[task, subset, arm, fraction, seed] = as_arrays(read_items(folder / name), folder / name)
    return Results(files)


def as_arrays(items: Mapping[str, Item], file: Path) -> Items:
    """The items of one file; a subset may have none.

    Raises:
        InputError: an item lacks a score that the first one has.
    """
    if not items:
        return NOTHING
    rows = [item.scores for item in items.values()]
    scores = {}
    for metric in rows[0]:
        try:
            scores[metric] = np.array([row[metric] for row in rows])
        except KeyError:
            lacking = next(key for key, item in items.items() if metric not in item.scores)
            raise InputError("missing", file=file, record=lacking, field=f"scores.{metric}", action=AGAIN) from None
    return Items(tuple(items), tuple(item.group for item in items.values()), scores)
