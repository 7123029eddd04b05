"""Paired comparison of cells: the same seeds and items on both sides, and what only one side has."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from vldistill.compare.power import Power, seeds_needed
from vldistill.compare.scores import Cell, Item, Measure, Scores, read_items
from vldistill.errors import InputError
from vldistill.stats import RESAMPLES, Paired, holm, paired_difference

Seeds = dict[int | None, dict[str, Item]]
SCALE = {"fraction": 100.0}  # fractions are shown in points, as percentages are


@dataclass(frozen=True)
class Choice:
    """What is compared, and how.

    Attributes:
        methods, tasks, arms, metrics: the names wanted; empty: all methods and tasks, the trained arms, the metrics
            that have an interval in the tidy rows.
        power: the difference for which to tell how many seeds it takes; None: do not.
        resamples, level: of the bootstrap.
    """

    methods: Collection[str] = ()
    tasks: Collection[str] = ()
    arms: Collection[str] = ()
    metrics: Collection[str] = ()
    power: float | None = None
    resamples: int = RESAMPLES
    level: float = 0.95

    def wants(self, scores: Scores, cell: Cell) -> bool:
        """Whether the cell is to be compared."""
        if (self.methods and cell.method not in self.methods) or (self.tasks and cell.task not in self.tasks):
            return False
        return cell.arm in self.arms if self.arms else scores.trained(cell)


@dataclass(frozen=True)
class LeftOut:
    """What has no partner: items and seeds that one side lacks, and items whose target or group differs."""

    items_base: int = 0
    items_other: int = 0
    items_changed: int = 0
    seeds_base: tuple[int, ...] = ()
    seeds_other: tuple[int, ...] = ()


@dataclass(frozen=True)
class Row:
    """One comparison: other minus base.

    Attributes:
        base, other: names of the two sides: revisions, or arms where arms are compared.
        cell: what is compared; its arm is the other side's.
        measure: the score.
        mean_base, mean_other: means over the common seeds and items, fractions times 100.
        paired: the difference in the same unit, interval, p, wins of ``other``.
        holm: p corrected over all rows of the comparison.
        left_out: what has no partner.
        power: how many seeds the asked difference takes; None where not asked for, or where there is one seed.
    """

    base: str
    other: str
    cell: Cell
    measure: Measure
    mean_base: float
    mean_other: float
    paired: Paired
    holm: float
    left_out: LeftOut
    power: Power | None = None


@dataclass(frozen=True)
class Comparison:
    """All rows of one call, and the cells that could not be compared, each with the reason."""

    rows: list[Row]
    choice: Choice
    unpaired: list[tuple[Cell, str]] = field(default_factory=list)


@dataclass(frozen=True)
class Side:
    """One side of a pair: a cell of a revision under the name it is shown by."""

    name: str
    scores: Scores
    cell: Cell

    def read(self) -> Seeds:
        """Items by seed."""
        return {seed: read_items(path) for seed, path in self.scores.files[self.cell].items()}


def compare_revisions(base: Scores, others: Sequence[Scores], choice: Choice) -> Comparison:
    """Every chosen cell of each of ``others`` against the same cell of ``base``.

    Raises:
        InputError: nothing is on both sides, or a file is broken.
    """
    pairs, unpaired = [], []
    for other in others:
        mine, theirs = ({cell: None for cell in one.files if choice.wants(one, cell)} for one in (base, other))
        pairs += [(Side(base.name, base, cell), Side(other.name, other, cell)) for cell in mine if cell in theirs]
        unpaired += [(cell, f"only in {base.name}, not in {other.name}") for cell in mine if cell not in theirs]
        unpaired += [(cell, f"only in {other.name}, not in {base.name}") for cell in theirs if cell not in mine]
    return _compared(pairs, unpaired, choice)


def compare_arms(scores: Scores, against: str, choice: Choice) -> Comparison:
    """Every chosen arm of one revision against the arm ``against``, on the same method, task and split.

    A side without a seed, such as a majority answer, stands against each seed of the other.

    Raises:
        InputError: there is no such arm, nothing is on both sides, or a file is broken.
    """
    if not any(cell.arm == against for cell in scores.files):
        known = ", ".join(sorted({cell.arm for cell in scores.files})) or "none"
        raise InputError(f"no arm {against!r} in {scores.name}", action=f"Arms with per-item scores: {known}")
    pairs, unpaired = [], []
    for cell in (cell for cell in scores.files if cell.arm != against and choice.wants(scores, cell)):
        base = replace(cell, arm=against)
        if base in scores.files:
            pairs.append((Side(against, scores, base), Side(cell.arm, scores, cell)))
        else:
            unpaired.append((cell, f"no {against} there"))
    return _compared(pairs, unpaired, choice)


def _compared(pairs: Iterable[tuple[Side, Side]], unpaired: list[tuple[Cell, str]], choice: Choice) -> Comparison:
    rows: list[Row] = []
    for base, other in pairs:
        found, problem = _rows(base, other, choice)
        rows += found
        if problem:
            unpaired.append((other.cell, problem))
    if not rows:
        reasons = "; ".join(dict.fromkeys(f"{_named(cell)}: {reason}" for cell, reason in unpaired[:5]))
        raise InputError(
            "nothing in common" + (f" ({reasons})" if reasons else ""),
            action="Compare runs of the same tasks, arms and items, or choose others by --task, --arm, --metric",
        )
    corrected = holm(dict(enumerate(row.paired.p for row in rows)))
    return Comparison([replace(row, holm=corrected[index]) for index, row in enumerate(rows)], choice, unpaired)


def _rows(base: Side, other: Side, choice: Choice) -> tuple[list[Row], str]:
    """The rows of one pair of cells, or why there is none."""
    first, second = _same_seeds(base.read(), other.read())
    seeds = [seed for seed in first if seed in second]
    if not seeds:
        return [], "no seed in common"
    left_out, common = _common([first[seed] for seed in seeds], [second[seed] for seed in seeds])
    left_out = replace(left_out, seeds_base=_only(first, second), seeds_other=_only(second, first))
    if not common:
        changed = f": the targets or groups of {left_out.items_changed} differ" if left_out.items_changed else ""
        return [], f"no item in common{changed}"
    sample = first[seeds[0]]
    rows = []
    for measure in base.scores.measures(base.cell, sample, choice.metrics):
        sides = [[side[seed] for seed in seeds] for side in (first, second)]
        chosen = [key for key in common if key.startswith(measure.prefix) and _has(measure, key, sides)]
        if chosen:
            tables = [_values(measure, chosen, side) for side in sides]
            groups = [sample[key].group for key in chosen]
            rows.append(_row(base, other, measure, tables, groups, left_out, choice))
    return rows, "" if rows else "no metric in common"


def _row(
    base: Side,
    other: Side,
    measure: Measure,
    tables: list[NDArray[np.float64]],
    groups: list[str],
    left_out: LeftOut,
    choice: Choice,
) -> Row:
    before, after = tables
    power = None
    if choice.power is not None and len(before) > 1 and len(set(groups)) > 1:
        power = seeds_needed(after, before, choice.power, groups, level=choice.level)
    paired = paired_difference(after, before, groups, resamples=choice.resamples, level=choice.level)
    means = float(before.mean()), float(after.mean())
    return Row(base.name, other.name, other.cell, measure, *means, paired, paired.p, left_out, power)


def _same_seeds(first: Seeds, second: Seeds) -> tuple[Seeds, Seeds]:
    """Both by the same seeds where one side has none."""
    if None in first and None not in second:
        return dict.fromkeys(second, first[None]), second
    if None in second and None not in first:
        return first, dict.fromkeys(first, second[None])
    return first, second


def _only(one: Mapping[int | None, object], other: Mapping[int | None, object]) -> tuple[int, ...]:
    return tuple(sorted(seed for seed in one if seed is not None and seed not in other))


def _common(first: list[dict[str, Item]], second: list[dict[str, Item]]) -> tuple[LeftOut, list[str]]:
    """The ids that all seeds of both sides have with one target and group, in the base's order."""
    mine, theirs = (set.intersection(*(set(items) for items in side)) for side in (first, second))
    seen = {key: (first[0][key].target, first[0][key].group) for key in first[0] if key in mine and key in theirs}
    same = [
        key
        for key, what in seen.items()
        if all((items[key].target, items[key].group) == what for items in first + second)
    ]
    return LeftOut(len(mine - theirs), len(theirs - mine), len(seen) - len(same)), same


def _has(measure: Measure, key: str, sides: list[list[dict[str, Item]]]) -> bool:
    return all(measure.key in items[key].scores for side in sides for items in side)


def _values(measure: Measure, keys: list[str], side: list[dict[str, Item]]) -> NDArray[np.float64]:
    scale = SCALE.get(measure.unit, 1.0)
    return np.array([[scale * items[key].scores[measure.key] for key in keys] for items in side])


def _named(cell: Cell) -> str:
    return " ".join(part for part in (cell.method, cell.task, cell.split, cell.arm) if part)
