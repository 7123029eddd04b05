"""A small project up to trained cells: a rendered world and its splits; features and models are random numbers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from vldistill import artifact, layout
from vldistill.cells import MadCell, mad_cells
from vldistill.download import stage as download
from vldistill.evaluate.mad.data import MadData
from vldistill.features import shards
from vldistill.features.sentences import texts_of
from vldistill.features.store import sentence_key
from vldistill.models.mad import MadModel, TeacherInput
from vldistill.models.student import SingleStream, SingleStreamConfig, object_tag
from vldistill.models.student.tokens import learn_vocabulary
from vldistill.params import Params
from vldistill.params.mad_grid import Task
from vldistill.records import LABELS, read_regions
from vldistill.split import mad_splits

TREE = {
    "world": {
        "image_size": 32,
        "sizes": {
            "cc3m": 12, "coco_train": 60, "coco_val": 8, "coco_test": 40, "flickr_train": 40, "flickr_dev": 6,
            "flickr_test": 24, "vcr_train": 48, "vcr_test": 32, "vg": 8, "nocaps": 2, "okvqa_test": 4, "corpus": 20,
            "text_train": 4, "text_dev": 4, "text_test": 4,
        },
    },
    "split": {"mad": {"fractions": [20, 100], "seeds": 2}},
    "distill": {
        "mad": {
            "fractions": [20],
            "default_seeds": 2,
            "extra": {"seen": {"arms": ["projected_input"], "tasks": ["snli_ve", "vcr"], "fractions": [20]}},
        }
    },
    "evaluate": {"mad": {"resamples": 50, "batch_size": 64, "leaderboard": "mad-f20-s1"}},
    "compute": {"mad_runs_per_job": 4},
}  # fmt: skip
DATASETS = ("flickr30k", "coco", "vcr", "vg", "snli_ve", "vqav2", "vqa_cp")
REGIONS, WIDTH, DIM = 6, 12, 8
TASKS: tuple[Task, ...] = ("snli_ve", "vcr", "vqa")


def make_project(root: Path, params: Params) -> Path:
    """Write everything that prediction reads."""
    for dataset in DATASETS:
        download.run(params, root, dataset)
    for task in TASKS:
        mad_splits(params, root, task)
    for dataset in ("flickr30k", "coco", "vcr"):
        keys = list(read_regions(layout.download(root, dataset)))
        publish_store(root, dataset, "images", {"region": (REGIONS, WIDTH), "region_pooled": (REGIONS, DIM)}, keys)
    texts = texts_of(root)
    publish_store(root, layout.TEXTS, "captions", {"text": (DIM,)}, [sentence_key(text) for text in texts])
    for task in TASKS:
        publish_models(root, params, task, texts)
    return root


def publish_store(
    root: Path,
    dataset: str,
    table: str,
    shapes: dict[str, tuple[int, ...]],
    keys: Sequence[str],
    invalid: Sequence[str] = (),
) -> None:
    """Random features of ``keys``; none of the images ``invalid``."""
    rng = np.random.default_rng(len(keys))
    work = root / "work" / dataset
    plan = shards.cut(table, keys, 64)

    def rows(shard: shards.Shard) -> shards.Rows:
        size = len(shard.keys)
        valid = np.array([key not in invalid for key in shard.keys])
        made = {k: rng.normal(size=(size, *shape)).astype(np.float16) for k, shape in shapes.items()}
        for values in made.values():
            values[~valid] = 0
        return shards.Rows(made, {key: "broken" for key in shard.keys if key in invalid})

    for shard in plan:
        shards.commit(work, shard, rows(shard))
    shards.assemble(work, layout.features(root, "clip", dataset), plan, {"weights": "none"}, {})


def publish_models(root: Path, params: Params, task: Task, texts: Sequence[str], *, salt: int = 0) -> None:
    """Models of all cells of a task; ``salt`` changes the weights of the first."""
    vocabulary = learn_vocabulary(texts, (), 400, [object_tag(index) for index in range(REGIONS - 1)])
    config = SingleStreamConfig(
        vocabulary=len(vocabulary), region_width=WIDTH, width=16, layers=1, heads=2, feedforward=16, positions=64,
        types=4, dropout=0.1, pre_norm=True, init_std=0.3,
    )  # fmt: skip
    data = MadData(params, root, task)

    def build(folder: Path) -> None:
        for number, cell in enumerate(mad_cells(params, task)):
            torch.manual_seed(number + (0 if number else salt))
            answers = answers_of(data, cell)
            seen = None
            if cell.arm == "projected_input":
                seen = TeacherInput(torch.randn(DIM + 1, WIDTH), torch.randn(DIM + 1, WIDTH))
            MadModel(SingleStream(config, vocabulary), task, answers, seen).save(folder / cell.name)

    artifact.publish(layout.distill_mad(root, task), build)


def answers_of(data: MadData, cell: MadCell) -> list[str]:
    """What a cell's logits stand for."""
    if data.task == "vqa":
        subset = data.named(cell.subset(data.params.distill.mad.vqa_priors))
        return sorted({answer for record in subset for answer in record.answers})
    return list(LABELS) if data.task == "snli_ve" else []
