"""Files of per-item scores: how they are named, and what stands in them. Every method writes the same.

    results/evaluate/METHOD/score/items/TASK/[SUBSET/]NAME.jsonl     {id, prediction, target, scores, group} an item

NAME is ``ARM-sSEED``, ``ARM`` where there is no seed, either with ``.no_image`` and the like behind it. MAD's have
the size of the training subset in percent before the seed: ``ARM-fFRACTION-sSEED`` (`vldistill.cells`).
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, NamedTuple

from vldistill.errors import InputError
from vldistill.files import read_jsonl

AGAIN = "Score again: vldistill evaluate METHOD score"
_NAME = re.compile(r"(?P<arm>.+?)(?:-f(?P<fraction>\d+))?(?:-s(?P<seed>\d+)(?P<more>\..+)?)?")
_FLOAT = frozenset({float})
_FIELDS: tuple[tuple[str, tuple[type, ...]], ...] = (
    ("id", (str, int)),
    ("prediction", (object,)),
    ("target", (object,)),
    ("scores", (dict,)),
    ("group", (str, int)),
)


class Named(NamedTuple):
    """What a file's name tells.

    Attributes:
        arm: with what stands behind the seed, as in ``all.no_image``.
        fraction: size of the training subset in percent; None where the name has none.
        seed: None where there is none.
    """

    arm: str
    fraction: int | None
    seed: int | None


class Item(NamedTuple):
    """One item: what was said of it, what is right, its scores by metric, and the image or the like it belongs to."""

    prediction: Any
    target: Any
    scores: dict[str, float]
    group: str


def named(stem: str) -> Named:
    """What the name of a file tells, without its ending."""
    match = _NAME.fullmatch(stem)
    if match is None or match["seed"] is None:
        return Named(stem, None, None)
    fraction = None if match["fraction"] is None else int(match["fraction"])
    return Named(match["arm"] + (match["more"] or ""), fraction, int(match["seed"]))


def read_items(path: Path) -> dict[str, Item]:
    """The items of one file by id, in its order; scores that could not be computed (null) are left out.

    Raises:
        InputError: a record lacks a field or has one of the wrong type, or an id stands twice.
    """
    found: dict[str, Item] = {}
    for number, record in enumerate(read_jsonl(path), start=1):
        try:
            key, item = record["id"], Item(record["prediction"], record["target"], record["scores"], record["group"])
            # as the score stages write them: a report reads millions
            plain = type(key) is type(item.group) is str and {*map(type, item.scores.values())} <= _FLOAT
        except (KeyError, TypeError, AttributeError):
            plain = False
        if not plain:
            key, item = _checked(record, path, number)
        if key in found:
            raise InputError(f"{key!r} stands twice", file=path, record=number, field="id", action=AGAIN)
        found[key] = item
    return found


def _checked(record: Any, path: Path, number: int) -> tuple[str, Item]:
    """The item of any record, or the error that says what is wrong with it."""
    for name, kinds in _FIELDS:
        if not isinstance(record, dict) or name not in record or not isinstance(record[name], kinds):
            raise InputError("missing or of the wrong type", file=path, record=number, field=name, action=AGAIN)
    numbers = {}
    for metric, value in record["scores"].items():
        if value is None:  # a metric that could not be computed here, such as SPICE
            continue
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise InputError("not a number", file=path, record=number, field=f"scores.{metric}", action=AGAIN)
        numbers[metric] = float(value)
    return str(record["id"]), Item(record["prediction"], record["target"], numbers, str(record["group"]))
