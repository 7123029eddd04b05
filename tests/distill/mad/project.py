"""A rendered project with a tiny random teacher and student: all that `distill mad` reads. As a script: one batch."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Any

import torch
import yaml
from open_clip.model import CLIP
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from tests.distill.project import CLIP_CONFIG, PREPROCESS, make_bart
from tests.tiny_world import TINY
from vldistill import artifact, download, features, layout
from vldistill.cells import MadCell
from vldistill.features.sentences import texts_of
from vldistill.models.mad import MadModel
from vldistill.models.student import SingleStream, SingleStreamConfig, object_tag
from vldistill.models.student.matching import save_matching
from vldistill.models.student.tokens import learn_vocabulary
from vldistill.models.teacher import save_teacher
from vldistill.params import Params, load
from vldistill.params.mad_arms import ARMS, MATCHING_HEAD
from vldistill.params.mad_grid import TASKS
from vldistill.split import mad_splits

SETS = ("snli_ve", "flickr30k", "vcr", "vqav2", "coco", "vg", "vqa_cp")
TRAINING = {
    "steps": 6, "batch_size": 8, "warmup": 2, "log_every": 4, "checkpoint_every": 3, "learning_rate": 0.003,
    "embedding_rate": 5.0,
}  # fmt: skip
SIZES = {**TINY.model_dump(), "coco_train": 24, "flickr_train": 12, "vcr_train": 40, "vg": 12}
WIDTH = 16


def params_tree(**mad: Any) -> dict[str, Any]:
    """params.yaml: two fractions, two seeds, few steps; options of MAD over them."""
    options = {
        "training": TRAINING, "default_seeds": 2, "fractions": [50, 100], "per_fraction": {}, "per_task": {},
        "settings": {}, "sweep": {"on_dev": {}},
        "extra": {}, "head": {"folds": 2, "steps": 5, "hidden": 4}, "projections": {"pairs": 64},
    }  # fmt: skip
    return {
        "world": {"sizes": SIZES},
        "pretrain": {"student": {"regions": {"most": 5}}},
        "features": {"shard_rows": 64, "batch_size": 16},
        "split": {"mad": {"fractions": [50, 100], "seeds": 2, "dev_share": 0.2}},
        "distill": {"mad": options | mad},
    }


def write_params(root: Path, **mad: Any) -> Params:
    """Write params.yaml and read it."""
    (root / "params.yaml").write_text(yaml.safe_dump(params_tree(**mad)))
    return load(root / "params.yaml")


def make_project(root: Path) -> Path:
    """Everything below ``root``."""
    params = write_params(root)
    for dataset in SETS:
        download.run(params, root, dataset)
    artifact.publish(layout.pretrain(root, "clip"), _clip)
    artifact.publish(layout.pretrain(root, "bart"), lambda folder: make_bart().save(folder))
    artifact.publish(layout.pretrain(root, "student"), lambda folder: _student(root, folder))
    for dataset in ("flickr30k", "vcr", "coco", "vg", layout.TEXTS):
        features.run(params, root, "clip", dataset)
    features.run(params, root, "bart", layout.TEXTS)
    for task in TASKS:
        mad_splits(params, root, task)
    return root


def _student(root: Path, folder: Path) -> None:
    student = make_student(root)
    student.save(folder)
    save_matching(nn.Linear(student.width, 1), folder)


def arms_on(task: str) -> list[str]:
    """All arms that run on a task with the one student of this project."""
    return [arm for arm in ARMS if "gap" not in arm and (task == "vcr" or arm not in MATCHING_HEAD)]


def make_student(root: Path, **facts: Any) -> SingleStream:
    """A student with random weights whose words are those of all texts but one, which it spells."""
    texts = texts_of(root)
    tags = [object_tag(index) for index in range(4)]
    tokenizer = learn_vocabulary(texts, [], 1000, tags)
    torch.manual_seed(0)
    shape = SingleStreamConfig(
        vocabulary=len(tokenizer), region_width=CLIP_CONFIG["vision_cfg"]["width"], width=WIDTH, layers=1, heads=2,
        feedforward=24, positions=64, types=4, dropout=0.0, pre_norm=True, init_std=0.2,
    )  # fmt: skip
    new = list(range(len(tokenizer) - 9, len(tokenizer)))
    told = {"source": "train", "seen": [], "withheld": ["crimson"], "new_tokens": new, **facts}
    return SingleStream(shape, tokenizer, told)


def cell(arm: str = "mad", task: Any = "snli_ve", fraction: int = 50, seed: int = 0) -> MadCell:
    return MadCell(task, fraction, arm, seed)


def inference_cost(model: MadModel, batch: dict[str, Any]) -> tuple[int, int]:
    """Numbers of parameters, buffers included, and of the FLOPs of a batch."""
    with FlopCounterMode(display=False) as counter:
        model(batch)
    return sum(each.numel() for each in model.state_dict().values()), counter.get_total_flops()


def _clip(folder: Path) -> None:
    torch.manual_seed(0)
    save_teacher(folder, CLIP(**CLIP_CONFIG), CLIP_CONFIG, PREPROCESS, None)


if __name__ == "__main__":
    from vldistill.distill import mad_batch

    project = Path(sys.argv[1])
    experiment = load(project / "params.yaml")
    # the parent kills some time after "ready": imports must be done by then
    importlib.import_module("vldistill.distill.mad.cell")
    print("ready", flush=True)
    mad_batch(experiment, project, sys.argv[2], 0)
    print("done", flush=True)
