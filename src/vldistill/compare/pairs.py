"""Paired comparison of cells: the same seeds and items on both sides, and what only one side has."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vldistill.compare.power import Power, seeds_needed
from vldistill.compare.scores import Cell, Measure, Scores
from vldistill.errors import InputError
from vldistill.evaluate.items import Item, read_items
from vldistill.stats import RESAMPLES, Paired, holm, uneven_difference, without_gaps

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
    """What has no partner: items that one side lacks at any seed, or whose target or group differs; seeds likewise, and
    seeds of both sides that have no item in common."""

    items_base: int = 0
    items_other: int = 0
    items_changed: int = 0
    seeds_base: tuple[int, ...] = ()
    seeds_other: tuple[int, ...] = ()
    seeds_empty: tuple[int, ...] = ()


@dataclass(frozen=True)
class Row:
    """One comparison: other minus base.

    Attributes:
        base, other: names of the two sides: revisions, or arms where arms are compared.
        cell: what is compared; its arm is the other side's.
        measure: the score.
        mean_base, mean_other: means over the common seeds of the means over each seed's common items, fractions times
            100.
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
    _check_names(choice, [base, *others])
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
    _check_names(choice, [scores])
    pairs, unpaired = [], []
    for cell in (cell for cell in scores.files if cell.arm != against and choice.wants(scores, cell)):
        base = replace(cell, arm=against)
        if base in scores.files:
            pairs.append((Side(against, scores, base), Side(cell.arm, scores, cell)))
        else:
            unpaired.append((cell, f"no {against} there"))
    return _compared(pairs, unpaired, choice)


def _check_names(choice: Choice, sides: Sequence[Scores]) -> None:
    """Refuse a name that is nowhere: with fewer rows than were asked for Holm's correction would be another."""
    cells = {cell for side in sides for cell in side.files}
    for kind, asked in (("method", choice.methods), ("task", choice.tasks), ("arm", choice.arms)):
        known = sorted({getattr(cell, kind) for cell in cells})
        for name in asked:
            if name not in known:
                raise InputError(f"no {kind} {name!r} with per-item scores", action=f"Known: {', '.join(known)}")


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
    for name in choice.metrics:
        if not any(name in (row.measure.key, row.measure.name) for row in rows):
            known = ", ".join(sorted({row.measure.name for row in rows}))
            raise InputError(f"no items have a score {name!r}", action=f"Compared were: {known}")
    corrected = holm(dict(enumerate(row.paired.p for row in rows)))
    return Comparison([replace(row, holm=corrected[index]) for index, row in enumerate(rows)], choice, unpaired)


def _rows(base: Side, other: Side, choice: Choice) -> tuple[list[Row], str]:
    """The rows of one pair of cells, or why there is none."""
    first, second = _same_seeds(base.read(), other.read())
    seeds = [seed for seed in first if seed in second]
    if not seeds:
        return [], "no seed in common"
    sides = [[side[seed] for seed in seeds] for side in (first, second)]
    left_out, common = _common(*sides)
    left_out = replace(
        left_out,
        seeds_base=_only(first, second),
        seeds_other=_only(second, first),
        seeds_empty=tuple(seed for seed, keys in zip(seeds, common, strict=True) if seed is not None and not keys),
    )
    if not any(common):
        changed = f": the targets or groups of {left_out.items_changed} differ" if left_out.items_changed else ""
        return [], f"no item in common{changed}"
    sample = next(items for items, keys in zip(sides[0], common, strict=True) if keys)
    rows = []
    for measure in base.scores.measures(base.cell, sample, choice.metrics):
        chosen = [
            [key for key in keys if key.startswith(measure.prefix) and _has(measure, key, pair)]
            for keys, pair in zip(common, zip(*sides, strict=True), strict=True)
        ]
        if any(chosen):
            columns = list(dict.fromkeys(key for keys in chosen for key in keys))
            tables = [_values(measure, columns, chosen, side) for side in sides]
            groups = {key: item.group for items in sides[0] for key, item in items.items()}
            rows.append(_row(base, other, measure, tables, [groups[key] for key in columns], left_out, choice))
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
    before, after = (without_gaps(table) for table in tables)
    power = None
    if choice.power is not None and len(before) > 1 and len(set(groups)) > 1:
        power = seeds_needed(after, before, choice.power, groups, level=choice.level)
    paired = uneven_difference(tables[1], tables[0], groups, resamples=choice.resamples, level=choice.level)
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


def _common(first: Sequence[dict[str, Item]], second: Sequence[dict[str, Item]]) -> tuple[LeftOut, list[list[str]]]:
    """For each seed the ids that both sides have with the item's target and group, in the base's order.

    Seeds may have other items, as SNLI-VE's hard ones follow the training subset; one item is the same at all seeds.
    """
    seen: dict[str, tuple[Any, str]] = {}
    mine, theirs, changed = set[str](), set[str](), set[str]()
    common = []
    for one, other in zip(first, second, strict=True):
        mine |= one.keys() - other.keys()
        theirs |= other.keys() - one.keys()
        keys = []
        for key in (key for key in one if key in other):
            what = seen.setdefault(key, (one[key].target, one[key].group))
            if all((items[key].target, items[key].group) == what for items in (one, other)):
                keys.append(key)
            else:
                changed.add(key)
        common.append(keys)
    return LeftOut(len(mine), len(theirs), len(changed)), common


def _has(measure: Measure, key: str, pair: Iterable[dict[str, Item]]) -> bool:
    return all(measure.key in items[key].scores for items in pair)


def _values(
    measure: Measure, columns: Sequence[str], chosen: Sequence[Collection[str]], side: Sequence[dict[str, Item]]
) -> NDArray[np.float64]:
    """[seeds, items], NaN where a seed does not have the item; seeds that have none are left out."""
    scale = SCALE.get(measure.unit, 1.0)
    at = {key: number for number, key in enumerate(columns)}
    values = np.full((len(side), len(columns)), np.nan)
    for row, keys, items in zip(values, chosen, side, strict=True):
        row[[at[key] for key in keys]] = [scale * items[key].scores[measure.key] for key in keys]
    return values[[bool(keys) for keys in chosen]]


def _named(cell: Cell) -> str:
    return " ".join(part for part in (cell.method, cell.task, cell.split, cell.arm) if part)
