"""p_m(y|x): what a teacher gives the right answer of each training item, out of fold (our reconstruction).

A small classifier on frozen teacher features, fitted on the training subset and nothing else: on all folds but one, it
judges the items of that one. Folds are of images (VCR: movies), so no item is judged by a head that saw its image.
CLIP, image and text encoder alike, is judged by [t, u, t u, |t - u|]; the language model, which sees no image, by l.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from vldistill.distill.mad.items import Items
from vldistill.distill.mad.losses import right, task_loss
from vldistill.distill.mad.targets import CLIP_IMAGE, CLIP_TEXT, LANGUAGE_MODEL
from vldistill.params.mad import TeacherHead
from vldistill.records import LABELS
from vldistill.split.lists import order

BATCH = 256


def teacher_confidence(
    target: Mapping[str, Tensor], items: Items, options: TeacherHead, seed: int
) -> dict[str, Tensor]:
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


def clip_features(image: Tensor, text: Tensor) -> Tensor:
    """What the head on CLIP sees [N C, 4 d] of vectors of images and texts [N C, d]."""
    return torch.cat([text, image, text * image, (text - image).abs()], dim=1)


def out_of_fold(features: Tensor, items: Items, options: TeacherHead, seed: int) -> Tensor:
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
            found[held] = _judged(features, items, ~held, held, options)
    return found


def fold_of(items: Items, folds: int, seed: int) -> Tensor:
    """The fold [N] of each item: groups in the order of their hashes, dealt to the folds in turn."""
    groups = order(items.groups, seed)
    place = {group: number % folds for number, group in enumerate(groups)}
    return torch.tensor([place[group] for group in items.groups], dtype=torch.long)


def _judged(features: Tensor, items: Items, fitted: Tensor, held: Tensor, options: TeacherHead) -> Tensor:
    """p(y|x) of the held items by a head that is fitted on the others; that of chance where there are none."""
    if not fitted.any():
        return torch.full((int(held.sum()),), 1.0 / (items.choices if items.choices > 1 else _classes(items)))
    return right(head_scores(features, items, fitted, held, options), items.targets[held])


def head_scores(features: Tensor, items: Items, fitted: Tensor, held: Tensor, options: TeacherHead) -> Tensor:
    """Scores [H, A] of the H held items by a head that is fitted on others, drawn from torch's global generator.

    Args:
        features: [N C, f] of the items' texts.
        items: N items.
        fitted, held: [N] bool.
        options: of the head.
    """
    of_items = features.view(len(items), items.choices, -1)
    known = of_items[fitted]
    # without correction: one fitted item has no spread, which is 0 and not undefined
    of_items = (of_items - known.mean(dim=(0, 1))) / (known.std(dim=(0, 1), correction=0) + 1e-6)
    head = _head(of_items.shape[-1], 1 if items.choices > 1 else _classes(items), options.hidden)
    optimiser = torch.optim.AdamW(head.parameters(), lr=options.learning_rate, weight_decay=options.weight_decay)
    inputs, targets = of_items[fitted], items.targets[fitted]
    for _ in range(options.steps):
        rows = torch.randint(len(inputs), (min(BATCH, len(inputs)),))
        loss = task_loss(head(inputs[rows]).flatten(1), targets[rows])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    with torch.no_grad():
        scores: Tensor = head(of_items[held]).flatten(1)
    return scores


def _classes(items: Items) -> int:
    return len(LABELS) if items.targets.dim() == 1 else items.targets.shape[1]


def _head(inputs: int, outputs: int, hidden: int) -> nn.Module:
    if not hidden:
        return nn.Linear(inputs, outputs)
    return nn.Sequential(nn.Linear(inputs, hidden), nn.GELU(), nn.Linear(hidden, outputs))
