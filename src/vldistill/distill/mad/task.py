"""The MAD task for the training loop: batches by index from what was made before, named loss terms out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from vldistill.distill.mad.inputs import Inputs
from vldistill.distill.mad.items import Items
from vldistill.distill.mad.losses import (
    confidence_weight,
    distillation,
    normalised,
    target_probability,
    task_loss,
)
from vldistill.distill.mad.projections import CLS, map_name, places_of
from vldistill.distill.mad.scores import with_teacher
from vldistill.distill.mad.teaching import Teaching
from vldistill.errors import InputError
from vldistill.models.mad import MadModel
from vldistill.params.mad import MadOptions
from vldistill.training import Sampler
from vldistill.training.dropout import set_dropout
from vldistill.training.new_words import NewWords

WEIGHT = "weight_"
"""Prefix of the logged means of the weights w_m; they are terms of weight 0."""

PICKED = ("token", "region")
"""Entries of a batch that say at which places beside [CLS] the student's states are read."""


class ModelWithProjections(nn.Module):
    """A model with the projections P of its training: frozen ones as buffers, others as parameters.

    Args:
        model: student and head.
        maps: TEACHER.PLACE -> P [D + 1, d].
        trainable: whether they learn.
    """

    def __init__(self, model: MadModel, maps: Mapping[str, Tensor], *, trainable: bool) -> None:
        super().__init__()
        self.model = model
        self._names = {name: f"map_{name.replace('.', '_')}" for name in maps}
        for name, matrix in maps.items():
            if trainable:
                self.register_parameter(self._names[name], nn.Parameter(matrix.clone()))
            else:
                self.register_buffer(self._names[name], matrix, persistent=False)

    def matrix(self, name: str) -> Tensor:
        """P of TEACHER.PLACE."""
        found: Tensor = getattr(self, self._names[name])
        return found


class MadTask:
    """Batches and losses of one MAD training.

    Args:
        model: learns.
        items: the training subset, N items with C texts each.
        inputs: what the student sees of them.
        teaching: what the teachers teach.
        options: the arm's options.
        seed: order of the items.
    """

    def __init__(
        self, model: MadModel, items: Items, inputs: Inputs, teaching: Teaching, options: MadOptions, seed: int
    ) -> None:
        self.module = ModelWithProjections(model, teaching.maps, trainable=options.projections.kind == "trainable")
        lengths = inputs.lengths.tolist() if options.length_buckets else None
        self.sampler = Sampler(len(items), options.training.batch_size, seed, lengths=lengths)
        share = options.teachers.model_dump()
        self.weights: Mapping[str, float] = {
            "task": 1.0,
            **{teacher: options.weight * share[teacher] for teacher in teaching.teachers},
            **{WEIGHT + teacher: 0.0 for teacher in teaching.teachers},
        }
        self._model, self._inputs, self._teaching, self._options = model, inputs, teaching, options
        self._targets = items.targets
        set_dropout(model.student, options.dropout, options.attention_dropout)

    @property
    def new_words(self) -> NewWords:
        """Words that the student has not met; a published one has met all of its own.

        Raises:
            InputError: the student was trained here, and does not tell.
        """
        student = self._model.student
        if student.facts.get("source") == "train" and "new_tokens" not in student.facts:
            raise InputError(
                "the student does not tell which words it has not met, which training.embedding_rate is of",
                field="new_tokens",
                action="It is of an older version: make it again (vldistill pretrain NAME)",
            )
        rows = student.facts.get("new_tokens", [])
        return NewWords(student.word_embeddings, torch.tensor(rows, dtype=torch.long))

    def collate(self, indices: np.ndarray, rng: np.random.Generator) -> dict[str, Any]:
        """The student's batch of the texts of the items ``indices``, their targets, and what the teachers say."""
        items = torch.from_numpy(indices)
        rows, teaching = self._inputs.rows(items), self._teaching
        batch: dict[str, Any] = self._inputs.batch(items)
        if self._model.sees_teacher:
            batch = with_teacher(batch, teaching.target, rows)
        batch["targets"] = self._targets[items]
        for teacher in teaching.teachers:
            for place, name in self._maps_of(teacher).items():
                taught = teaching.target if place == CLS or not teaching.parts else teaching.parts
                batch[name] = taught[teacher][rows]
            if teacher in teaching.confidence:
                batch[f"confidence_{teacher}"] = teaching.confidence[teacher][items]
        if teaching.picks is not None:
            batch["token"] = teaching.picks.token[rows]
            batch["region"] = self._inputs.align(batch, rows, teaching.picks.region[rows])
        return batch

    def sizes(self, batch: dict[str, Any]) -> dict[str, float]:
        """Items for the task, texts for distillation."""
        names = [name for name in self.weights if name != "task"]
        return {"task": float(len(batch["targets"])), **dict.fromkeys(names, float(len(batch["ids"])))}

    def loss(self, batch: dict[str, Any]) -> dict[str, Tensor]:
        """Terms ``task`` and one for each teacher, and the mean weight w_m of each."""
        logits, states = self._model(batch, {place: batch[place] for place in PICKED if place in batch})
        scores = logits.view(len(batch["targets"]), -1)
        terms = {"task": task_loss(scores, batch["targets"], smoothing=self._options.label_smoothing)}
        if not self._teaching.teachers:
            return terms
        choices = self._inputs.choices
        weights = {name: weight.repeat_interleave(choices) for name, weight in self._weights(scores, batch).items()}
        for teacher in self._teaching.teachers:
            maps = self._maps_of(teacher)
            terms[teacher] = distillation(
                {place: states[place] for place in maps},
                {place: self.module.matrix(name) for place, name in maps.items()},
                {place: batch[name] for place, name in maps.items()},
                weights[teacher],
                self._options.distance,
            )
            terms[WEIGHT + teacher] = weights[teacher].mean()
        return terms

    def _maps_of(self, teacher: str) -> dict[str, str]:
        """Place -> name of the map from there to the teacher's vectors."""
        options = self._options
        return {place: map_name(teacher, place, options.scope) for place in places_of(teacher, options.target)}

    def _weights(self, scores: Tensor, batch: dict[str, Any]) -> dict[str, Tensor]:
        """w_m [N] of each teacher."""
        student = target_probability(scores.detach().float(), batch["targets"])
        options = self._options.confidence
        found = {
            teacher: confidence_weight(
                batch.get(f"confidence_{teacher}", student), student, options, self._teaching.constant[teacher]
            )
            for teacher in self._teaching.teachers
        }
        return normalised(found) if options.normalise else found

    def shared_parameters(self) -> list[nn.Parameter]:
        """The student, on which all terms meet."""
        return list(self._model.student.parameters())
