"""The entry of the stage: ``results/split/TASK/{dev,test}.json``."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from vldistill import layout
from vldistill.artifact import absence
from vldistill.errors import InputError
from vldistill.files import write_json
from vldistill.params import Params
from vldistill.provenance import recorded
from vldistill.records import Record, read_captions, read_questions, read_texts

NAMES = ("dev", "test")
_READ: dict[str, tuple[Callable[[Path], Sequence[Record]], str]] = {
    "coco": (read_captions, "image"),
    "nocaps": (read_captions, "image"),
    "vqav2": (read_questions, "image"),
    "okvqa": (read_questions, "image"),
    "domains": (read_questions, "image"),
    "reading": (read_texts, "id"),
    "summary": (read_texts, "id"),
}
TASKS = tuple(_READ)


def order(units: Sequence[str], seed: int) -> list[str]:
    """``units`` in the order of sha256("seed:unit"): the same whatever order they come in, unrelated between seeds."""
    return sorted(set(units), key=lambda unit: hashlib.sha256(f"{seed}:{unit}".encode()).hexdigest())


def first(units: Sequence[str], fraction: float) -> list[str]:
    """The first ceil(fraction * n) of the ordered ``units``; a smaller fraction gives a part of a larger one's."""
    return list(units[: math.ceil(round(fraction * len(units), 9))])


def id_list(unit_of: Mapping[str, str], unit: str, seed: int, limit: int | None) -> dict[str, Any]:
    """One list of ids.

    Args:
        unit_of: record id -> unit (an image, so that all its questions stay together, or the record itself).
        unit: what the units are: `image` or `id`.
        seed: of the order.
        limit: how many units to keep; None keeps all.

    Returns:
        {ids, unit, seed, fraction, sha256}; ids in the order of their units, then by id; fraction of the units kept;
        sha256 of the ids joined by newlines.
    """
    units = order(list(unit_of.values()), seed)
    fraction = 1.0 if limit is None or limit >= len(units) else limit / len(units)
    rank = {name: index for index, name in enumerate(first(units, fraction))}
    kept = [(rank[name], identity) for identity, name in unit_of.items() if name in rank]
    ids = [identity for _, identity in sorted(kept)]
    digest = hashlib.sha256("\n".join(ids).encode()).hexdigest()
    return {"ids": ids, "unit": unit, "seed": seed, "fraction": fraction, "sha256": digest}


def run(params: Params, root: str | Path, task: str) -> list[Path]:
    """Write the dev and the test list of ``task`` from the records of its data set.

    A set without a dev part (nocaps, domains) gets an empty dev list, an absent set two empty lists.

    Raises:
        InputError: no such task, no records, or no test records.
    """
    if task not in _READ:
        raise InputError(f"no task called {task!r}", action=f"Known: {', '.join(TASKS)}")
    read, unit = _READ[task]
    source = layout.download(root, task)
    limits = getattr(params.split, task)
    paths = []
    with recorded(layout.run_record(layout.split(root, task, NAMES[0]).parent), stage="split", task=task):
        absent = absence(source) is not None
        records = [] if absent else read(source)
        for name in NAMES:
            unit_of = {record.id: str(getattr(record, unit)) for record in records if record.split == name}
            if name == "test" and not unit_of and not absent:
                raise InputError("no test records", file=source, action=f"Run vldistill download {task} again")
            paths.append(layout.split(root, task, name))
            write_json(paths[-1], id_list(unit_of, unit, params.split.seed, getattr(limits, name)))
    return paths
