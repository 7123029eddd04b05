"""The training subset of a cell: records by the id list, what is held out for tuning, features. Read once a process."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from vldistill.artifact import fingerprint
from vldistill.distill.mad.inputs import Pictures
from vldistill.distill.mad.items import (
    ANSWERS,
    RATIONALES,
    Items,
    choice_items,
    entailment_items,
    joined,
    question_items,
)
from vldistill.errors import InputError
from vldistill.evaluate.data import listed
from vldistill.evaluate.metrics.vqa_formula import soft_targets
from vldistill.features.sentences import PLAIN, Wording
from vldistill.features.store import Store, open_store
from vldistill.models.student.heads import answer_vocabulary
from vldistill.params.mad import MadOptions
from vldistill.params.mad_grid import Task
from vldistill.records import (
    LABELS,
    RegionsRecord,
    read_choices,
    read_entailments,
    read_questions,
    read_regions,
)
from vldistill.split.lists import order

_READERS: dict[str, Any] = {"snli_ve": read_entailments, "vcr": read_choices, "vqa": read_questions}


@dataclass(frozen=True)
class Subset:
    """A training subset.

    Attributes:
        train: what is trained on.
        held: what is held out of it for tuning; None where nothing is.
        answers: what the model's logits stand for; empty for VCR.
        left_out: number of records whose image could not be read.
    """

    train: Items
    held: Items | None
    answers: list[str]
    left_out: int


def load_subset(
    task: Task,
    records: Path,
    subset: Path,
    options: MadOptions,
    seed: int,
    wording: Wording,
    unreadable: Collection[str],
) -> Subset:
    """Read the training subset of a cell; no other record takes part in anything.

    Args:
        task: snli_ve, vcr or vqa.
        records: artifact of the task's records.
        subset: file of the id list.
        options: of the arm.
        seed: of the hold-out.
        wording: how texts are put to the teachers.
        unreadable: keys of images that could not be read (`Store.invalid`), whose records are left out.

    Raises:
        InputError: the list names a record that is not there, or nothing is left to train on.
    """
    named = listed(_records(task, records, fingerprint(records)), subset)
    chosen = [record for record in named if record.image not in unreadable]
    held = held_groups(task, chosen, options.tuning.holdout, seed)
    fitted = [record for record in chosen if _group(task, record) not in held]
    if not fitted:
        raise InputError(
            "no item to train on", file=subset, action="Take a larger fraction, or a smaller tuning.holdout"
        )
    rest = [record for record in chosen if _group(task, record) in held]
    answers: list[str] = list(LABELS) if task == "snli_ve" else []
    if task == "vqa":
        soft = [soft_targets(record.answers) for record in fitted]
        answers = answer_vocabulary(soft, least=options.least_count, largest=options.most_answers).answers
    return Subset(
        train=make_items(task, fitted, answers, wording),
        held=make_items(task, rest, answers, wording) if rest else None,
        answers=answers,
        left_out=len(named) - len(chosen),
    )


def make_items(task: Task, records: Sequence[Any], answers: Sequence[str], wording: Wording = PLAIN) -> Items:
    """The items of records; of VCR's questions both parts, answers first."""
    if task == "snli_ve":
        return entailment_items(records)
    if task == "vqa":
        return question_items(records, answers)
    parts = [choice_items(records, part, wording) for part in (ANSWERS, RATIONALES)]
    return joined(*parts)


def held_groups(task: Task, records: Sequence[Any], share: float, seed: int) -> set[str]:
    """The images (VCR: movies) that are held out: the last ones of the order by hash, at least one where any."""
    groups = order((_group(task, record) for record in records), seed)
    return set(groups[len(groups) - math.ceil(round(share * len(groups), 9)) :]) if share else set()


def _group(task: Task, record: Any) -> str:
    return str(record.movie if task == "vcr" else record.image)


@lru_cache(maxsize=3)
def _records(task: Task, folder: Path, content: str) -> list[Any]:
    """Records of an artifact; its fingerprint tells whether they are still those that were read."""
    found: list[Any] = _READERS[task](folder)
    return found


@lru_cache(maxsize=4)
def _boxes(folder: Path, content: str) -> dict[str, RegionsRecord]:
    return read_regions(folder)


@lru_cache(maxsize=8)
def _store(folder: Path, content: str) -> Store:
    return open_store(folder)


def pictures_of(folder: Path, features: Path, region_files: Path | None) -> Pictures:
    """The images of a data set.

    Args:
        folder: the download artifact.
        features: CLIP's store of them.
        region_files: the user's region features, for a student that reads them.
    """
    return Pictures(folder, store_of(features), boxes_of(folder), region_files)


def boxes_of(folder: Path) -> dict[str, RegionsRecord]:
    """The boxes of an artifact's images."""
    return _boxes(folder, fingerprint(folder))


def store_of(folder: Path) -> Store:
    """A feature store."""
    return _store(folder, fingerprint(folder))
