"""Per-item scores of one checkout: which there are, and what they measure.

Every method writes the same files (`vldistill.evaluate.items`), so nothing here knows a method. Units, splits and
controls are those of the tidy rows, ``results/evaluate/METHOD/score/scores[-TASK].jsonl``.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from vldistill.errors import InputError
from vldistill.evaluate.items import AGAIN, Item, named
from vldistill.files import read_jsonl

EVALUATED = Path("results") / "evaluate"
ITEMS = "score/items"
ROWS = "score/scores*.jsonl"


@dataclass(frozen=True, order=True)
class Cell:
    """What is compared with its like: one arm on one split of one task.

    Attributes:
        split: the split's or subset's name; empty where the files do not tell. Behind it, where arms are trained on
            subsets, their size, as in ``test 10 %``.
        arm: with what stands behind the seed, as in ``all.no_image``.
    """

    method: str
    task: str
    split: str
    arm: str


@dataclass(frozen=True)
class Measure:
    """One score of the items.

    Attributes:
        name: how it is called, as in ``R@1 text_to_image``.
        key: its key in the items' scores.
        prefix: what its items' ids begin with, where a file holds several kinds of items.
        unit: ``percent``, ``fraction``, ``loss``, or empty where nothing tells.
    """

    name: str
    key: str
    prefix: str = ""
    unit: str = ""


@dataclass(frozen=True)
class Method:
    """The tidy rows of one method, asked what its item files mean."""

    rows: list[dict[str, Any]]

    @cached_property
    def controls(self) -> set[str]:
        """Names of the controls."""
        return {str(row["control"]) for row in self.rows if row.get("control")}

    def split(self, task: str) -> str:
        """The split of a task whose files lie in no folder of a split."""
        found = {str(row.get("split") or "") for row in self.rows if row["task"] == task}
        return found.pop() if len(found) == 1 else ""

    def headline(self, task: str) -> list[tuple[str, str | None, str]]:
        """(metric, variant, unit) of the rows with an interval: those are the means of their items."""
        found = [
            (str(row["metric"]), row.get("variant"), str(row.get("unit") or ""))
            for row in self.rows
            if row["task"] == task and row.get("low") is not None
        ]
        return list(dict.fromkeys(found))

    def unit(self, task: str, key: str) -> str:
        """The unit of a score by its key."""
        named = (row for row in self.rows if row["task"] == task and key in (row["metric"], row.get("variant")))
        return next((str(row.get("unit") or "") for row in named), "")


@dataclass(frozen=True)
class Scores:
    """The per-item scores of one checkout.

    Args:
        name: what the user calls it: a revision, an experiment, ``workspace`` or a path.
        root: the folder that holds ``results/``.
        commit: of a revision; empty for a folder, which may hold anything.
    """

    name: str
    root: Path
    commit: str = ""

    @property
    def label(self) -> str:
        """Name and short commit."""
        return f"{self.name} ({self.commit[:7]})" if self.commit else self.name

    @cached_property
    def methods(self) -> dict[str, Method]:
        """The methods that have per-item scores.

        Raises:
            InputError: a row is no object, or lacks task or metric.
        """
        return {folder.name: _method(folder) for folder in sorted(self.root.glob(f"{EVALUATED}/*/")) if _has(folder)}

    @cached_property
    def files(self) -> dict[Cell, dict[int | None, Path]]:
        """The item files of each cell by seed."""
        found: dict[Cell, dict[int | None, Path]] = {}
        for method, meaning in self.methods.items():
            folder = self.root / EVALUATED / method / ITEMS
            for path in sorted(folder.rglob("*.jsonl")):
                task, *folders = path.relative_to(folder).parts[:-1] or ("",)
                one = named(path.stem)
                split = "/".join(folders) or meaning.split(task)
                cell = Cell(method, task, f"{split} {one.fraction} %" if one.fraction else split, one.arm)
                found.setdefault(cell, {})[one.seed] = path
        return found

    def trained(self, cell: Cell) -> bool:
        """Whether the cell is an arm that is trained, neither a control nor a reference."""
        controls = self.methods[cell.method].controls
        control = cell.arm in controls or any(cell.arm.endswith(f".{control}") for control in controls)
        return None not in self.files[cell] and not control

    def measures(self, cell: Cell, items: dict[str, Item], chosen: Collection[str]) -> list[Measure]:
        """What a cell's items measure.

        Args:
            cell: one of `files`.
            items: those of one of its seeds.
            chosen: keys or names of scores; none: the scores that have an interval in the tidy rows, else all.
        """
        method = self.methods[cell.method]
        keys = list(dict.fromkeys(key for item in items.values() for key in item.scores))
        # variants that name neither a score nor a kind of items, such as ``direct``, are one measure
        known = list(dict.fromkeys(_named(method.headline(cell.task), keys, items)))
        named = {measure.key for measure in known}
        plain = [Measure(key, key, unit=method.unit(cell.task, key)) for key in keys if key not in named]
        if not chosen:
            return known or plain
        return [measure for measure in (*known, *plain) if {measure.key, measure.name} & {*chosen}]


def open_scores(name: str, root: Path, commit: str = "") -> Scores:
    """The per-item scores below ``root``.

    Raises:
        InputError: there are none.
    """
    scores = Scores(name, root, commit)
    if not scores.files:
        raise InputError(
            "no per-item scores",
            file=root / EVALUATED,
            action="Run `snakemake all` or `dvc repro` there, or name another revision",
        )
    return scores


def _has(folder: Path) -> bool:
    return (folder / ITEMS).is_dir()


def _method(folder: Path) -> Method:
    return Method([row for path in sorted(folder.glob(ROWS)) for row in _rows(path)])


def _rows(path: Path) -> list[dict[str, Any]]:
    rows = read_jsonl(path)
    for number, row in enumerate(rows, start=1):
        for name in ("task", "metric"):
            if not isinstance(row, dict) or not isinstance(row.get(name), str):
                raise InputError("missing or no text", file=path, record=number, field=name, action=AGAIN)
    return rows


def _named(
    headline: list[tuple[str, str | None, str]], keys: list[str], items: Mapping[str, Item]
) -> Iterator[Measure]:
    """The measures of the tidy rows that the items hold.

    An item's score is called by the row's variant (the four of VQA accuracy) or by its metric; the variant may also be
    the kind of items, which their ids then begin with (the two directions of retrieval).
    """
    for metric, variant, unit in headline:
        if variant in keys:
            yield Measure(f"{metric} {variant}", str(variant), unit=unit)
        elif metric in keys:
            prefix = f"{variant}:"
            kinds = any(name.startswith(prefix) for name in items)
            yield Measure(f"{metric} {variant}" if kinds else metric, metric, prefix if kinds else "", unit)
