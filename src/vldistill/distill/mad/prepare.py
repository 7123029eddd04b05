"""One MAD cell before its first step: student, maps to the teachers, training subset and what teachers say of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from vldistill import runs
from vldistill.cells import MadCell
from vldistill.distill.mad.data import boxes_of, load_subset, pictures_of, store_of
from vldistill.distill.mad.inputs import make_inputs
from vldistill.distill.mad.items import Items
from vldistill.distill.mad.key import PHRASES, RECORDS, STAGE, inputs, maps_key, region_files, subset_file
from vldistill.distill.mad.projections import INPUT_IMAGE, INPUT_TEXT, WORDS, embed_unknown, fit, phrase_items
from vldistill.distill.mad.sources import Sources, open_sources
from vldistill.distill.mad.task import MadTask
from vldistill.distill.mad.teaching import teach
from vldistill.errors import InputError
from vldistill.features.sentences import Wording
from vldistill.features.store import Store
from vldistill.models.mad import MadModel, TeacherInput
from vldistill.models.student import Student, load_student, refuse_seen
from vldistill.models.student.matching import load_matching
from vldistill.params import Params
from vldistill.params.mad import MadOptions
from vldistill.records import read_phrases
from vldistill.training import seed_everything

MAPS = "maps.safetensors"


@dataclass(frozen=True)
class Prepared:
    """A cell before its first step.

    Attributes:
        options: of its arm.
        model: learns.
        task: for the training loop.
        held: items that are kept from training; None where none are.
        sources: what it reads.
        record: facts about the training subset, for the cell's record.
    """

    options: MadOptions
    model: MadModel
    task: MadTask
    held: Items | None
    sources: Sources
    record: dict[str, Any]


def prepare(params: Params, root: Path, cell: MadCell, constant: Mapping[str, float] | None = None) -> Prepared:
    """Everything of a cell before its first step.

    Args:
        params: the experiment.
        root: project root.
        cell: what is to be trained.
        constant: the weights of the variant `equal_mean`.

    Raises:
        InputError: as `cell.run_mad_cell`.
    """
    options = params.distill.mad.options_of(cell.arm, cell.task, cell.fraction)
    sources = open_sources(inputs(params, root, cell), region_files(params, root, RECORDS[cell.task][1]))
    torch.set_num_threads(params.compute.threads)
    student = _student(sources.paths["student"], cell)
    maps = fitted_maps(params, root, cell, student, sources) if sources.texts is not None else {}
    records, ids = sources.paths["records"], subset_file(params, root, cell)
    unreadable = sources.pictures.features.invalid
    subset = load_subset(cell.task, records, ids, options, cell.seed, Wording.of(params.features), unreadable)
    seen = make_inputs(subset.train, student, sources.pictures)
    words = _embed_words(params, student, subset.train, maps, sources, options)
    started = options.task_head == "matching"
    matching = load_matching(sources.paths["student"], student.width) if started else None
    # drawn alike in all arms: the head here, and in training what each step draws up to the last layer's dropout
    seed_everything(cell.seed)
    model = MadModel(student, cell.task, subset.answers, _teacher_input(maps, options, student), matching)
    teaching = teach(subset.train, seen, sources, maps, options, model, cell.seed, constant)
    record = {
        "items": len(subset.train),
        "groups": len(set(subset.train.groups)),
        "unreadable": subset.left_out,
        "cut": round(seen.tokens.cut.float().mean().item(), 6),
        "boxes_left_out": seen.left_out,
        **({"embedded_words": words} if options.embeddings == "teacher" else {}),
    }
    task = MadTask(model, subset.train, seen, teaching, options, cell.seed)
    return Prepared(options, model, task, subset.held, sources, record)


def fitted_maps(params: Params, root: Path, cell: MadCell, student: Student, sources: Sources) -> dict[str, Tensor]:
    """The maps between student and teachers, from the run folder that all cells with this student share."""
    key = maps_key(params, root, cell)
    with runs.claim(STAGE, key, root) as run:
        if not run.done:
            options = params.distill.mad.options_of(cell.arm, cell.task, cell.fraction).projections
            folder, texts = sources.paths["phrases"], sources.texts
            assert texts is not None
            pictures = pictures_of(folder, sources.paths["phrase_features"], region_files(params, root, PHRASES))
            items = _pairs(params, folder, pictures.features, student, options.pairs)
            student.to(params.compute.device)
            maps = fit(student, items, pictures, texts, sources.language_model, options)
            student.cpu()
            save_file({name: matrix.contiguous() for name, matrix in maps.items()}, run.path / MAPS)
            run.finish({"pairs": len(items), "maps": sorted(maps)})
    return load_file(run.path / MAPS)


def _student(folder: Path, cell: MadCell) -> Student:
    student = load_student(folder)
    refuse_seen(student.facts, cell.task, cell.fraction, source=folder)
    return student


def _pairs(params: Params, phrases: Path, features: Store, student: Student, most: int) -> Items:
    withheld = student.facts.get("withheld", ())
    readable = [record for record in read_phrases(phrases) if record.image not in features.invalid]
    return phrase_items(readable, boxes_of(phrases), withheld, most, params.features.tagged_as)


def _embed_words(
    params: Params,
    student: Student,
    items: Items,
    maps: Mapping[str, Tensor],
    sources: Sources,
    options: MadOptions,
) -> int:
    """Start unknown words from the teacher where the arm asks for it; returns how many."""
    if options.embeddings == "own":
        return 0
    if WORDS not in maps or sources.texts is None:
        raise InputError(
            f"a student of kind {student.kind} has no word embeddings to start from the teacher",
            field="distill.mad.embeddings",
            action="Leave the arm out",
        )
    features = store_of(sources.paths["phrase_features"])
    known = _pairs(params, sources.paths["phrases"], features, student, options.projections.pairs)
    return embed_unknown(student, items, known, sources.texts, maps[WORDS])


def _teacher_input(maps: Mapping[str, Tensor], options: MadOptions, student: Student) -> TeacherInput | None:
    if not options.projected_input:
        return None
    if INPUT_TEXT not in maps:
        raise InputError(
            f"a student of kind {student.kind} cannot be shown the teacher's vectors: its regions are others",
            field="distill.mad.projected_input",
            action="Leave the arm out",
        )
    return TeacherInput(maps[INPUT_TEXT], maps[INPUT_IMAGE])
