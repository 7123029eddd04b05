"""What the frozen teacher knows by itself: its head of the confidence weights, fitted on a whole training subset."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from vldistill.cells import MadCell
from vldistill.distill.mad.confidence import clip_features, head_scores
from vldistill.distill.mad.data import load_subset
from vldistill.distill.mad.inputs import REGION_POOLED
from vldistill.distill.mad.items import Items, joined
from vldistill.distill.mad.lookup import Table, firsts, stored, taken, unit_rows
from vldistill.distill.mad.targets import text_vectors
from vldistill.evaluate.mad.data import MadData
from vldistill.evaluate.mad.eval_items import EvalItems, Kind, eval_items
from vldistill.features.sentences import Wording
from vldistill.features.store import Store
from vldistill.params.mad import MadOptions


def teacher_scores(
    kind: Kind,
    data: MadData,
    subset: Path,
    cell: MadCell,
    options: MadOptions,
    wording: Wording,
    features: Store,
    texts: Store,
) -> tuple[EvalItems, Tensor, list[str]]:
    """What is evaluated, the scores [N, A] of the teacher's head, and what they stand for.

    Args:
        kind: what is evaluated.
        data: of the task.
        subset: the id list of the training subset.
        cell: tells the seed.
        options: of the head, and which answers VQA has.
        wording: how texts are put to the teachers.
        features: CLIP's store of the images, with the kind `region_pooled`.
        texts: CLIP's store of texts.
    """
    learnt = load_subset(data.task, data.folder, subset, options, cell.seed, wording, features.invalid)
    evaluated = eval_items(kind, data, wording, learnt.answers)
    items = joined(learnt.train, evaluated.items)
    fitted = torch.arange(len(items)) < len(learnt.train)
    seen = clip_features(_images(items, features), text_vectors(items.teacher_texts, texts))
    return evaluated, head_scores(seen, items, fitted, ~fitted, options.head, cell.seed), learnt.answers


def _images(items: Items, features: Store) -> Table:
    """Unit vectors [N C, d] of the whole images, one for each text."""
    keys = list(dict.fromkeys(items.images))
    places = {key: place for place, key in enumerate(keys)}
    rows = torch.tensor([places[key] for key in items.images], dtype=torch.long)
    return taken(firsts(unit_rows(stored(features, REGION_POOLED, keys))), rows.repeat_interleave(items.choices))
