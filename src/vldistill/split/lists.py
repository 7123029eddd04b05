"""Lists of ids: which units come first, and what a list's file says."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any


def order(units: Iterable[str], seed: int) -> list[str]:
    """``units`` in the order of sha256("seed:unit"): the same whatever order they come in, unrelated between seeds."""
    return sorted(set(units), key=lambda unit: hashlib.sha256(f"{seed}:{unit}".encode()).hexdigest())


def first(units: Sequence[str], fraction: float) -> list[str]:
    """The first ceil(fraction * n) of the ordered ``units``; a smaller fraction gives a part of a larger one's."""
    return list(units[: math.ceil(round(fraction * len(units), 9))])


def listed(ids: Sequence[str], unit: str, seed: int, fraction: float, **more: Any) -> dict[str, Any]:
    """What the file of a list holds: {ids, unit, seed, fraction, sha256}; sha256 of the ids joined by newlines."""
    digest = hashlib.sha256("\n".join(ids).encode()).hexdigest()
    return {"ids": list(ids), "unit": unit, "seed": seed, "fraction": fraction, "sha256": digest, **more}


def low_shot(unit_of: Mapping[str, str], unit: str, seed: int, fraction: float) -> dict[str, Any]:
    """The items of the first ceil(fraction * n) units.

    Args:
        unit_of: record id -> unit (an image or a movie, so that all its items stay together, or the record itself).
        unit: what the units are: `image`, `movie` or `id`.
        seed: of the order. Of one seed, a smaller fraction's list is the beginning of a larger one's.
        fraction: share of the units to keep, from 0 to 1.

    Returns:
        As `listed`; ids in the order of their units, then by id.
    """
    kept = first(order(unit_of.values(), seed), fraction)
    return listed(_in_order(unit_of, kept), unit, seed, fraction)


def id_list(unit_of: Mapping[str, str], unit: str, seed: int, limit: int | None) -> dict[str, Any]:
    """The items of the first ``limit`` units, or of all where it is None; as `low_shot`."""
    count = len(set(unit_of.values()))
    return low_shot(unit_of, unit, seed, 1.0 if limit is None or limit >= count else limit / count)


def carve(unit_of: Mapping[str, str], share: float, seed: int) -> tuple[dict[str, str], dict[str, str]]:
    """Part items into train and dev: dev takes the last units of the order, about ``share`` of them.

    Returns:
        ``unit_of`` of train and of dev; they have no unit in common.
    """
    train = set(first(order(unit_of.values(), seed), 1 - share))
    parts: tuple[dict[str, str], dict[str, str]] = ({}, {})
    for identity, unit in unit_of.items():
        parts[unit not in train][identity] = unit
    return parts


def some(unit_of: Mapping[str, str], ids: Collection[str]) -> dict[str, str]:
    """The entries of ``ids``."""
    return {identity: unit for identity, unit in unit_of.items() if identity in ids}


def _in_order(unit_of: Mapping[str, str], units: Sequence[str]) -> list[str]:
    rank = {name: index for index, name in enumerate(units)}
    return [identity for _, identity in sorted((rank[unit], name) for name, unit in unit_of.items() if unit in rank)]
