"""The entry of the stage for VLKD: ``results/split/TASK/{dev,test}.json``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from vldistill import layout
from vldistill.artifact import absence
from vldistill.errors import InputError
from vldistill.files import write_json
from vldistill.params import Params
from vldistill.provenance import recorded
from vldistill.records import Record, read_captions, read_questions, read_texts
from vldistill.split.lists import id_list

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
