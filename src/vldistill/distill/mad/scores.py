"""A trained model's scores of items, and their accuracy."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from vldistill.distill.mad.inputs import Inputs
from vldistill.distill.mad.lookup import Table
from vldistill.distill.mad.targets import CLIP_IMAGE, CLIP_TEXT
from vldistill.models.mad import TEACHER_IMAGE, TEACHER_TEXT, MadModel

AT_ONCE = 256


def with_teacher(batch: Mapping[str, Tensor], target: Mapping[str, Table], rows: Tensor) -> dict[str, Tensor]:
    """A batch for a model that sees the teachers: with their vectors of the texts ``rows``."""
    return {**batch, TEACHER_TEXT: target[CLIP_TEXT][rows], TEACHER_IMAGE: target[CLIP_IMAGE][rows]}


@torch.inference_mode()
def item_scores(
    model: MadModel, inputs: Inputs, target: Mapping[str, Table] | None = None, *, at_once: int = AT_ONCE
) -> Tensor:
    """Scores [N, A] of N items, on the CPU: of labels, answers, or (VCR) of their choices.

    Args:
        model: in evaluation mode.
        inputs: of the items.
        target: `targets.of_teacher`, for a model that sees the teachers.
        at_once: texts in a batch, about.
    """
    device = next(model.parameters()).device
    # items of one length together need less padding: a third faster on hypotheses
    order = inputs.lengths.argsort(stable=True)
    found = []
    for part in order.split(max(1, at_once // inputs.choices)):
        batch = inputs.batch(part)
        if model.sees_teacher:
            assert target is not None, "the model sees the teachers"
            batch = with_teacher(batch, target, inputs.rows(part))
        logits, _ = model({name: value.to(device) for name, value in batch.items()})
        found.append(logits.view(len(part), -1).cpu())
    return torch.cat(found)[order.argsort()]


def accuracy(scores: Tensor, targets: Tensor) -> float:
    """Percent: of right answers; VQA: the mean score of the answers given.

    Args:
        scores: [N, A].
        targets: as `items.Items.targets`.
    """
    given = scores.argmax(dim=1)
    gained = (given == targets).float() if targets.dim() == 1 else targets.gather(1, given[:, None]).squeeze(1)
    return round(100 * gained.mean().item(), 4)
