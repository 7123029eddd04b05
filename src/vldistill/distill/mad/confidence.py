"""p_m(y|x): what a teacher gives the right answer of each training item, out of fold (our reconstruction).

A small classifier on frozen teacher features, fitted on the training subset and nothing else: on all folds but one, it
judges the items of that one. Folds are of images (VCR: movies), so no item is judged by a head that saw its image.
CLIP, image and text encoder alike, is judged by [t, u, t u, |t - u|]; the language model, which sees no image, by l.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn

from vldistill.distill.mad.items import Items
from vldistill.distill.mad.lookup import AT_ONCE, Table, changed
from vldistill.distill.mad.losses import target_probability, task_loss
from vldistill.distill.mad.targets import CLIP_IMAGE, CLIP_TEXT, LANGUAGE_MODEL
from vldistill.params.mad_parts import TeacherHead
from vldistill.records import LABELS
from vldistill.split.lists import order

BATCH = 256
MOMENTS = 8192
"""Features are standardised by mean and spread of about so many of the fitted items, evenly spaced; of all if fewer."""


def teacher_confidence(target: Mapping[str, Table], items: Items, options: TeacherHead, seed: int) -> dict[str, Tensor]:
    """p_m [N] of each teacher in ``target``.

    Args:
        target: teacher -> unit vectors of the N C texts; CLIP's two always both, for one head judges by both.
        items: the training subset.
        options: of the head.
        seed: of folds, weights and order.
    """
    clip = out_of_fold(clip_features(target[CLIP_IMAGE], target[CLIP_TEXT]), items, options, seed)
    found = {CLIP_IMAGE: clip, CLIP_TEXT: clip}
    if LANGUAGE_MODEL in target:
        found[LANGUAGE_MODEL] = out_of_fold(target[LANGUAGE_MODEL], items, options, seed)
    return found


def clip_features(image: Table, text: Table) -> Table:
    """What the head on CLIP sees [N C, 4 d] of vectors of images and texts [N C, d]."""
    return changed(_compared, (4 * image.shape[1],), image, text)


def _compared(image: Tensor, text: Tensor) -> Tensor:
    return torch.cat([text, image, text * image, (text - image).abs()], dim=-1)


def out_of_fold(features: Table, items: Items, options: TeacherHead, seed: int) -> Tensor:
    """What heads that never saw an item's group give its right answer [N].

    Args:
        features: [N C, f] of the items' texts.
        items: the training subset.
        options: of the head.
        seed: of folds, weights and order.
    """
    folds = fold_of(items, options.folds, seed)
    found = torch.zeros(len(items))
    # the heads' draws must not move those of the training that follows
    with torch.random.fork_rng(devices=[]):
        for fold in range(int(folds.max()) + 1):
            held = folds == fold
            torch.manual_seed(seed)
            found[held] = _held_out_confidence(features, items, ~held, held, options)
    return found


def fold_of(items: Items, folds: int, seed: int) -> Tensor:
    """The fold [N] of each item: groups in the order of their hashes, dealt to the folds in turn."""
    groups = order(items.groups, seed)
    place = {group: number % folds for number, group in enumerate(groups)}
    return torch.tensor([place[group] for group in items.groups], dtype=torch.long)


def _held_out_confidence(features: Table, items: Items, fitted: Tensor, held: Tensor, options: TeacherHead) -> Tensor:
    """p(y|x) of the held items by a head that is fitted on the others; that of chance where there are none."""
    if not fitted.any():
        return torch.full((int(held.sum()),), 1.0 / (items.choices if items.choices > 1 else _classes(items)))
    scores_of = fitted_head(features, items, fitted, options)
    parts = held.nonzero().flatten().split(AT_ONCE)
    return torch.cat([target_probability(scores_of(part), items.targets[part]) for part in parts])


def head_scores(features: Table, items: Items, fitted: Tensor, held: Tensor, options: TeacherHead) -> Tensor:
    """Scores [H, A] of the H held items by a head that is fitted on others (`fitted_head`).

    Args:
        features: [N C, f] of the items' texts.
        items: N items.
        fitted, held: [N] bool.
        options: of the head.
    """
    scores_of = fitted_head(features, items, fitted, options)
    return torch.cat([scores_of(part) for part in held.nonzero().flatten().split(AT_ONCE)])


def fitted_head(features: Table, items: Items, fitted: Tensor, options: TeacherHead) -> Callable[[Tensor], Tensor]:
    """Items [n] -> their scores [n, A] by a head that is fitted on some, drawn from torch's global generator.

    Args:
        features: [N C, f] of the items' texts.
        items: N items.
        fitted: [N] bool.
        options: of the head.
    """
    learnt = fitted.nonzero().flatten()
    known = _of_items(features, learnt[:: max(1, len(learnt) // MOMENTS)], items.choices)
    # without correction: one fitted item has no spread, which is 0 and not undefined
    mean, spread = known.mean(dim=(0, 1)), known.std(dim=(0, 1), correction=0) + 1e-6

    def inputs(chosen: Tensor) -> Tensor:
        return (_of_items(features, chosen, items.choices) - mean) / spread

    head = _head(len(mean), 1 if items.choices > 1 else _classes(items), options.hidden)
    optimiser = torch.optim.AdamW(
        head.parameters(), lr=options.learning_rate, weight_decay=options.weight_decay, fused=True
    )
    for _ in range(options.steps):
        chosen = learnt[torch.randint(len(learnt), (min(BATCH, len(learnt)),))]
        loss = task_loss(head(inputs(chosen)).flatten(1), items.targets[chosen])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()

    @torch.no_grad()
    def scores_of(chosen: Tensor) -> Tensor:
        scores: Tensor = head(inputs(chosen)).flatten(1)
        return scores

    return scores_of


def _of_items(features: Table, chosen: Tensor, choices: int) -> Tensor:
    """Features [n, C, f] of the items ``chosen`` [n]."""
    return features[chosen[:, None] * choices + torch.arange(choices)]


def _classes(items: Items) -> int:
    return len(LABELS) if items.targets.dim() == 1 else items.targets.shape[1]


def _head(inputs: int, outputs: int, hidden: int) -> nn.Module:
    if not hidden:
        return nn.Linear(inputs, outputs)
    return nn.Sequential(nn.Linear(inputs, hidden), nn.GELU(), nn.Linear(hidden, outputs))
