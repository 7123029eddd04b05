"""p_m(y|x): what a teacher gives the right answer of each training item, out of fold (our reconstruction).

A small classifier on frozen teacher features, fitted on the training subset and nothing else: on all folds but one, it
judges the items of that one. Folds are of images (VCR: movies), so no item is judged by a head that saw its image.
CLIP, image and text encoder alike, is judged by [t, u, t u, |t - u|]; the language model, which sees no image, by l.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from vldistill.distill.mad.heads import classes, fitted_heads
from vldistill.distill.mad.items import Items
from vldistill.distill.mad.lookup import AT_ONCE, Table, changed
from vldistill.distill.mad.losses import target_probability
from vldistill.distill.mad.targets import CLIP_IMAGE, CLIP_TEXT, LANGUAGE_MODEL
from vldistill.params.mad_parts import TeacherHead
from vldistill.split.lists import order


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
    held = [folds == fold for fold in range(int(folds.max()) + 1)]
    if len(held) == 1:
        # one group: no head can be fitted without it, so what is held is judged by chance
        return torch.full((len(items),), 1.0 / (items.choices if items.choices > 1 else classes(items)))
    found = torch.zeros(len(items))
    for own, scores_of in zip(
        held, fitted_heads(features, items, [~each for each in held], options, seed), strict=True
    ):
        parts = own.nonzero().flatten().split(AT_ONCE)
        found[own] = torch.cat([target_probability(scores_of(part), items.targets[part]) for part in parts])
    return found


def fold_of(items: Items, folds: int, seed: int) -> Tensor:
    """The fold [N] of each item: groups in the order of their hashes, dealt to the folds in turn."""
    groups = order(items.groups, seed)
    place = {group: number % folds for number, group in enumerate(groups)}
    return torch.tensor([place[group] for group in items.groups], dtype=torch.long)


def head_scores(features: Table, items: Items, fitted: Tensor, held: Tensor, options: TeacherHead, seed: int) -> Tensor:
    """Scores [H, A] of the H held items by a head that is fitted on others.

    Args:
        features: [N C, f] of the items' texts.
        items: N items.
        fitted, held: [N] bool.
        options: of the head.
        seed: of its weights and order.
    """
    (scores_of,) = fitted_heads(features, items, [fitted], options, seed)
    return torch.cat([scores_of(part) for part in held.nonzero().flatten().split(AT_ONCE)])
