"""What the teachers say of a training subset, fixed before training."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from vldistill.distill.mad.adapt import adapted, fitted_adapter
from vldistill.distill.mad.confidence import teacher_confidence
from vldistill.distill.mad.inputs import Inputs
from vldistill.distill.mad.items import Items
from vldistill.distill.mad.lookup import Table, taken
from vldistill.distill.mad.projections import random_maps, teachers_of, used_maps
from vldistill.distill.mad.sources import Sources
from vldistill.distill.mad.targets import Picks, Vectors, of_parts, of_teacher, pick, teacher_vectors
from vldistill.features.store import Store
from vldistill.models.mad import MadModel
from vldistill.params.mad import SELECTIONS, MadOptions

SHUFFLE, PICK = 1, 2
"""Numbers that keep the draws of one seed apart."""


@dataclass(frozen=True)
class Teaching:
    """What the teachers teach N items with C texts each; everything is fixed before training.

    Attributes:
        target: teacher -> unit vectors [N C, .]; those of the teachers that give a target, or are seen as input.
        parts: teacher -> unit vectors [N C, m, .] of the chosen words or [N C, .] of the region, each alone; empty
            where that of the whole is taught everywhere.
        teachers: those that give a target.
        maps: P by `projections.map_name`.
        picks: tokens and region of each text; None where [CLS] alone is taught.
        confidence: teacher -> p_m [N]; empty where the weights look at neither.
        constant: teacher -> the weight of the variants that look at neither.
    """

    target: Mapping[str, Table]
    parts: Mapping[str, Table]
    teachers: tuple[str, ...]
    maps: Mapping[str, Tensor]
    picks: Picks | None
    confidence: Mapping[str, Tensor]
    constant: Mapping[str, float]


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
        maps: of `prepare.fitted_maps`.
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
