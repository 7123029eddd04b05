"""One MAD cell: from input artifacts to a finished run folder with student, head and record."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from vldistill import runs
from vldistill.cells import MadCell
from vldistill.distill.folders import MODEL, Meter, save_whole
from vldistill.distill.mad.adapt import adapted, fitted_adapter
from vldistill.distill.mad.confidence import teacher_confidence
from vldistill.distill.mad.data import boxes_of, load_subset, pictures_of, store_of
from vldistill.distill.mad.inputs import Inputs, Pictures, make_inputs
from vldistill.distill.mad.items import Items
from vldistill.distill.mad.key import (
    PHRASES,
    RECORDS,
    STAGE,
    cell_key,
    inputs,
    maps_key,
    partner_of,
    region_files,
    subset_file,
)
from vldistill.distill.mad.lookup import taken
from vldistill.distill.mad.projections import (
    INPUT_IMAGE,
    INPUT_TEXT,
    WORDS,
    embed_unknown,
    fit,
    phrase_items,
    random_maps,
    teachers_of,
    used_maps,
)
from vldistill.distill.mad.scores import accuracy, item_scores
from vldistill.distill.mad.targets import Picks, Vectors, of_parts, of_teacher, pick, teacher_vectors
from vldistill.distill.mad.task import WEIGHT, MadTask, Teaching
from vldistill.errors import InputError
from vldistill.features.store import Store, check_fingerprint
from vldistill.models.mad import MadModel, TeacherInput
from vldistill.models.student import Student, load_student, refuse_seen
from vldistill.params import Params
from vldistill.params.mad import SELECTIONS, MadOptions
from vldistill.records import read_phrases
from vldistill.training import Run, discard, seed_everything, train

MAPS = "maps.safetensors"
METRICS = "metrics.jsonl"
SHUFFLE, PICK = 1, 2
"""Numbers that keep the draws of one seed apart."""


@dataclass(frozen=True)
class Sources:
    """What a cell reads, opened.

    Attributes:
        paths: the artifacts, by the part they play.
        pictures: the task's images.
        texts: CLIP's store of texts; None where no teacher is asked.
        language_model: the language model's store of texts; None where it teaches nothing.
    """

    paths: Mapping[str, Path]
    pictures: Pictures
    texts: Store | None
    language_model: Store | None


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


def run_mad_cell(params: Params, root: Path, cell: MadCell, *, deadline: float | None = None) -> runs.RunFolder:
    """Train `cell`, or adopt or resume what another process did of it.

    Args:
        params: the experiment.
        root: project root.
        cell: what is trained.
        deadline: `time.monotonic()` moment by which the state must be saved.

    Returns:
        The finished run folder: `model/` and `metrics.jsonl`.

    Raises:
        InputError: an input artifact is missing or does not fit, or the student has seen the task's whole training
            set (`refuse_seen`).
        Stopped: by a signal or the deadline, after saving; the same call goes on from there.
    """
    partner = partner_of(params, cell)
    constant = None
    if partner is not None:
        # its mean weights are an input: they are there, or are made first
        result = run_mad_cell(params, root, partner, deadline=deadline).result
        assert result is not None
        constant = result["weights"]
    with runs.claim(STAGE, cell_key(params, root, cell), root) as run:
        if not run.done:
            _train(params, root, cell, run, constant, deadline)
    return run


def _train(
    params: Params,
    root: Path,
    cell: MadCell,
    run: runs.RunFolder,
    constant: Mapping[str, float] | None,
    deadline: float | None,
) -> None:
    meter = Meter()
    made = prepare(params, root, cell, constant)
    options, model = made.options, made.model
    name = f"distill mad {cell.task} {cell.name}"
    # stopped early, it has followed the schedule of the whole training up to there
    where = Run(run.path, name, cell.seed, params.compute, deadline, until=options.steps)
    metrics = train(made.task, options.training, where)
    model.eval()
    record = made.record | ({"holdout": _holdout(model, made.held, made.sources)} if made.held else {})
    model.cpu()
    model.facts = {
        "toy": run.key["toy"],
        "options": options.model_dump(mode="json"),
        "fraction": cell.fraction,
        "seed": cell.seed,
        "compute": run.key["compute"],
        "inputs": run.key["inputs"],
        "training": metrics,
        **record,
    }
    save_whole(model.save, run.path / MODEL)
    weights = _mean_weights(run.path / METRICS)
    run.finish({"cell": cell.name, "metrics": metrics, "weights": weights, **record, **meter.cost()})
    discard(run.path)


def prepare(params: Params, root: Path, cell: MadCell, constant: Mapping[str, float] | None = None) -> Prepared:
    """Everything of a cell before its first step.

    Args:
        params: the experiment.
        root: project root.
        cell: what is to be trained.
        constant: the weights of the variant `equal_mean`.

    Raises:
        InputError: as `run_mad_cell`.
    """
    options = params.distill.mad.options_of(cell.arm, cell.task, cell.fraction)
    sources = open_sources(inputs(params, root, cell), region_files(params, root, RECORDS[cell.task][1]))
    torch.set_num_threads(params.compute.threads)
    student = _student(sources.paths["student"], cell)
    maps = fitted_maps(params, root, cell, student, sources) if sources.texts is not None else {}
    records, ids = sources.paths["records"], subset_file(root, cell)
    unreadable = sources.pictures.features.invalid
    subset = load_subset(cell.task, records, ids, options, cell.seed, params.features.tagged_as, unreadable)
    seen = make_inputs(subset.train, student, sources.pictures)
    words = _embed_words(params, student, subset.train, maps, sources, options)
    # all that is drawn from here on, is drawn alike in all arms: first the head
    seed_everything(cell.seed)
    model = MadModel(student, cell.task, subset.answers, _teacher_input(maps, options, student))
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


def open_sources(paths: Mapping[str, Path], files: Path | None) -> Sources:
    """Open the stores of a cell and check that they are of one teacher.

    Args:
        paths: the artifacts, by the part they play.
        files: the user's region features of the task's images, for a student that reads them.

    Raises:
        InputError: they are not, or a store lacks a kind.
    """
    pictures = pictures_of(paths["images"], paths["features"], files)
    texts = store_of(paths["texts"]) if "texts" in paths else None
    if texts is not None:
        for store in (pictures.features, store_of(paths["phrase_features"])):
            check_fingerprint(store.folder, store.fingerprint, texts.fingerprint)
    language_model = store_of(paths["language_model"]) if "language_model" in paths else None
    return Sources(paths, pictures, texts, language_model)


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


def teach(
    items: Items,
    seen: Inputs,
    sources: Sources,
    maps: Mapping[str, Tensor],
    options: MadOptions,
    model: MadModel,
    seed: int,
    constant: Mapping[str, float] | None = None,
) -> Teaching:
    """Everything that the teachers say of the training subset, fixed before training.

    Args:
        items, seen: the training subset, and what the student sees of it.
        sources: the stores.
        maps: of `fitted_maps`.
        options: the arm's.
        model: for the width of its states.
        seed: of random picks, folds and shuffling.
        constant: the weights of the variant `equal_mean`.
    """
    teachers = tuple(teachers_of(options))
    if sources.texts is None or not (teachers or options.projected_input):
        return Teaching({}, {}, (), {}, None, {}, {})
    vectors = teacher_vectors(items, seen, sources.pictures.features, sources.texts, sources.language_model)
    target, parts = of_teacher(vectors, seen), {}
    picks = _picks(items, seen, vectors, sources.texts, options, seed) if teachers else None
    if picks is not None and options.scope == "part":
        parts = of_parts(picks, vectors, seen, sources.texts, sources.language_model)
    if teachers and options.adapt.steps:
        adapter = fitted_adapter(vectors, items, seen, options.adapt, seed)
        target, parts = adapted(adapter, target), adapted(adapter, parts)
    if options.shuffle_targets:
        order = torch.from_numpy(np.random.default_rng([seed, SHUFFLE]).permutation(len(items)))
        target, parts = (
            {name: taken(table, seen.rows(order)) for name, table in taught.items()} for taught in (target, parts)
        )
    confidence: dict[str, Tensor] = {}
    if teachers and options.confidence.kind not in ("constant", "equal_mean"):
        # the head judges by the teacher's own vectors: those of the first stage have seen the labels
        confidence = teacher_confidence(of_teacher(vectors, seen), items, options.head, seed)
    names = used_maps(options, teachers)
    if options.projections.kind == "trainable":
        used = random_maps(names, model.student.width, {name: target[name].shape[1] for name in teachers})
    else:
        used = {name: maps[name] for name in names}
    return Teaching(
        target=target,
        parts=parts,
        teachers=teachers,
        maps=used,
        picks=picks,
        confidence=confidence,
        constant={name: options.confidence.value if constant is None else constant[name] for name in teachers},
    )


def _picks(items: Items, seen: Inputs, vectors: Vectors, texts: Store, options: MadOptions, seed: int) -> Picks | None:
    if options.target == "cls":
        return None
    how = "selected" if options.target in SELECTIONS else options.target
    return pick(items, seen, vectors, texts, how, np.random.default_rng([seed, PICK]), options.tokens)  # type: ignore[arg-type]


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


def _holdout(model: MadModel, held: Items, sources: Sources) -> dict[str, Any]:
    """Accuracy on the items that were kept from training."""
    seen = make_inputs(held, model.student, sources.pictures)
    target = None
    if model.sees_teacher:
        assert sources.texts is not None
        target = of_teacher(teacher_vectors(held, seen, sources.pictures.features, sources.texts, None), seen)
    scores = item_scores(model, seen, target)
    return {"accuracy": accuracy(scores, held.targets[torch.arange(len(held))]), "items": len(held)}


def _mean_weights(log: Path) -> dict[str, float]:
    """Teacher -> mean weight over all steps, from the log: its lines are means over the steps since the last one."""
    rows = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
    names = [name for name in rows[-1] if name.startswith(WEIGHT)]
    lengths = np.diff([0, *(row["step"] for row in rows)])
    return {
        name.removeprefix(WEIGHT): float(np.average([row[name] for row in rows], weights=lengths)) for name in names
    }
