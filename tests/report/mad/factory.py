"""MAD's results beside those of `tests.report.factory`: scores by recipe, drawn items, random teacher vectors.

The student of the cells whose items are shown is a real one, with random weights: its tokens count.

The numbers are invented; they are never printed anywhere but in test folders.
"""

from __future__ import annotations

import random
import shutil
import zipfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from tests.evaluate.mad.project import publish_store
from tests.evaluate.mad.results import results
from tests.report.factory import _image
from vldistill import layout
from vldistill.artifact import publish, publish_absent
from vldistill.cells import MadCell, mad_cells
from vldistill.evaluate.mad.tables import Items, Key
from vldistill.features.sentences import bare, spelled
from vldistill.features.store import sentence_key
from vldistill.files import read_jsonl, write_bytes, write_json, write_jsonl
from vldistill.models.mad import STUDENT
from vldistill.models.student import SingleStream, SingleStreamConfig, object_tag
from vldistill.models.student.tokens import learn_vocabulary
from vldistill.params import Params

TASKS = ("snli_ve", "vcr", "vqa")
SETS = {"snli_ve": ("snli_ve", "flickr30k"), "vcr": ("vcr", "vcr"), "vqa": ("vqav2", "coco")}
CHIEF_SET = {"snli_ve": "test", "vcr": "test", "vqa": "iid"}
SHIFT = {"hard": -0.12, "singular": -0.08, "plural": -0.11, "shift": -0.15}
GROWTH = {10: 0.0, 25: 0.07, 100: 0.15}
GRID = {"baseline": 0.58, "nkd": 0.60, "mad": 0.66, "majority": 0.34, "blind": 0.45, "teacher": 0.7}
EXTRA = {
    "ts": 0.64, "cw": 0.61, "nkd_alike": 0.6, "nkd_trainable": 0.59, "mad_af": 0.66, "random_token": 0.62,
    "argmin_token": 0.57,
    "constant_weight": 0.61, "mad_constant_weight": 0.65, "shuffled_targets": 0.55, "undistilled": 0.57,
    "embeddings_init": 0.6,
    "projected_input": 0.61, "stopped_25": 0.47, "stopped_50": 0.53, "smoothed": 0.57,
    "baseline_matching": 0.6, "mad_matching": 0.66,
    "baseline_gap0": 0.7, "mad_gap0": 0.7, "undistilled_gap0": 0.7,
    "baseline_gap25": 0.66, "mad_gap25": 0.68, "baseline_gap50": 0.63, "mad_gap50": 0.67,
}  # fmt: skip
IMAGES, SIDE, REGIONS, DIM, WIDTH = 8, 48, 4, 8, 12
LABELS = ("entailment", "neutral", "contradiction")
HYPOTHESES = ("a crimson disc lies on the ground", "the thing at the left is mauve", "two boxes stand in the room")


def rates(arms: dict[str, float], growth: float) -> dict[str, dict[str, float]]:
    """Chances to be right by arm and subset."""
    seeing = {*GRID} - {"blind"}
    return {
        arm: {"test": chance + growth}
        | {name: chance + off + (growth if arm in seeing else 0.0) for name, off in SHIFT.items()}
        for arm, chance in arms.items()
    }


def scores(seeds: int) -> dict[Key, Items]:
    """Per-item scores of the default grid."""
    files: dict[Key, Items] = {}
    for fraction, growth in GROWTH.items():
        files |= results(rates(GRID, growth), tasks=TASKS, fractions=(fraction,), seeds=seeds)._files
    for (_, _, arm, _, _), items in files.items():
        if arm == "mad":  # it has failures of its own
            for column in items.scores.values():
                column[::40] = 0.0
    return files | results(rates(EXTRA, 0.0), fractions=(10,), seeds=seeds)._files


def make(root: Path, params: Params, *, seeds: int = 2) -> Path:
    """Fill ``root`` with MAD's results, beside those of VLKD."""
    publish_absent(layout.download(root, "vqa_cp"), "made up")
    files = scores(seeds)
    rng = np.random.default_rng(1)
    for task in TASKS:
        _items(root, task, {key: items for key, items in files.items() if key[0] == task})
        _models(root, params, task)
        _data(root, task, files[task, CHIEF_SET[task], "mad", 10, 0].ids, rng)
    texts = sorted(set(_texts()))
    publish_store(root, layout.TEXTS, "captions", {"text": (DIM,)}, [sentence_key(text) for text in texts])
    return root


def _items(root: Path, task: str, files: dict[Key, Items]) -> None:
    def fill(folder: Path) -> None:
        for (_, subset, arm, fraction, seed), items in files.items():
            rows = [_row(task, number, key, items) for number, key in enumerate(items.ids)]
            write_jsonl(folder / subset / f"{arm}-f{fraction}-s{seed}.jsonl", rows)

    def predicted(folder: Path) -> None:
        name = CHIEF_SET[task]
        for arm in ("mad", "baseline", "teacher"):
            rows = [_chances(task, key) for key in files[task, name, arm, 10, 0].ids]
            write_jsonl(folder / name / f"{arm}-f10-s0.jsonl", rows)

    publish(layout.score_items_mad(root, task), fill)
    publish(layout.predict_mad(root, task), predicted)
    cost = {"wall_seconds": 4.0, "cpu_seconds": 3.9, "peak_memory_bytes": 5e8}
    parts = {f"mad-f10-s{seed}": cost for seed in range(2)}
    write_json(layout.run_record(layout.distill_mad(root, task)), {**cost, "cells": parts, "commit": "0" * 40})


def _row(task: str, number: int, key: str, items: Items) -> dict[str, Any]:
    right = items.scores[next(iter(items.scores))][number] > 0
    target, wrong = _target(task, key), _wrong(task, key)
    values = {name: float(column[number]) for name, column in items.scores.items()}
    said = {"prediction": target if right else wrong, "target": target}
    return {"id": key, **said, "scores": values, "group": items.groups[number]}


def _place(key: str) -> int:
    return int(key.rsplit("-", 1)[1])


def _target(task: str, key: str) -> Any:
    at = _place(key)
    return {"snli_ve": LABELS[at % 3], "vcr": {"answer": at % 4, "rationale": 0}, "vqa": "crimson"}[task]


def _wrong(task: str, key: str) -> Any:
    at = _place(key) + 1
    return {"snli_ve": LABELS[at % 3], "vcr": {"answer": at % 4, "rationale": 0}, "vqa": "mauve"}[task]


def _chances(task: str, key: str) -> dict[str, Any]:
    if task == "vqa":
        return {"id": key, "prediction": "crimson", "score": 0.5}
    return {"id": key, "scores": dict.fromkeys(LABELS, 0.33) if task == "snli_ve" else [0.25] * 4}


def _models(root: Path, params: Params, task: str) -> None:
    def fill(folder: Path) -> None:
        for cell in mad_cells(params, task):
            write_bytes(folder / cell.name / "model.safetensors", cell.name.encode())
        student().save(folder / MadCell(task, 10, "mad", 0).name / STUDENT)

    publish(layout.distill_mad(root, task), fill)


def student() -> SingleStream:
    """A student that knows the words of all texts."""
    vocabulary = learn_vocabulary(_texts(), (), 400, [object_tag(index) for index in range(REGIONS - 1)])
    config = SingleStreamConfig(
        vocabulary=len(vocabulary), region_width=WIDTH, width=16, layers=1, heads=2, feedforward=16, positions=32,
        types=4, dropout=0.0, pre_norm=True, init_std=0.1,
    )  # fmt: skip
    return SingleStream(config, vocabulary)


def _data(root: Path, task: str, ids: tuple[str, ...], rng: np.random.Generator) -> None:
    """Records, pictures with boxes, and CLIP's vectors of the regions; COCO's are those of `tests.report.factory`."""
    records, images = SETS[task]
    keys = [f"{images}_{number:04d}.png" for number in range(IMAGES)]
    draw = random.Random(IMAGES)

    def fill(folder: Path, name: str) -> None:
        old = layout.download(root, name)
        rows = read_jsonl(old / "records.jsonl") if old.is_dir() else []
        if name == images:
            write_jsonl(folder / "regions.jsonl", (_boxes(key, rng) for key in keys))
            if old.is_dir():
                shutil.copy(old / "images.zip", folder / "images.zip")
            else:
                with zipfile.ZipFile(folder / "images.zip", "w") as archive:
                    for key in keys:
                        archive.writestr(key, _image(draw, "red"))
        write_jsonl(folder / "records.jsonl", [*rows, *(_records(task, ids, keys) if name == records else ())])

    for name in {records, images}:
        publish(layout.download(root, name), partial(fill, name=name))
    publish_store(root, images, "images", {"region_pooled": (REGIONS, DIM), "region": (REGIONS, WIDTH)}, keys)


def _boxes(key: str, rng: np.random.Generator) -> dict[str, Any]:
    corners = rng.integers(0, SIDE - 16, size=(REGIONS - 1, 2)).tolist()
    boxes = [[float(x), float(y), float(x + 14), float(y + 12)] for x, y in corners]
    names = ["disc", "box", "person"]
    return {"image": key, "width": SIDE, "height": SIDE, "boxes": boxes, "names": names}


def _records(task: str, ids: tuple[str, ...], keys: list[str]) -> Iterator[dict[str, Any]]:
    for key in ids:
        at = _place(key)
        row = {"id": key, "image": keys[at % len(keys)], "split": "test"}
        if task == "snli_ve":
            yield {**row, "hypothesis": HYPOTHESES[at % 3], "label": _target(task, key)}
        elif task == "vqa":
            answers = {"question": QUESTION, "answers": ["crimson"] * 10, "answer_type": "other"}
            yield {**row, "image_set": "coco", **answers, "question_type": "what colour", "domain": None}
        else:
            yield {**row, "movie": f"m{at // 3}", "objects": OBJECTS, **CHOICES, **labels(at)}


def labels(at: int) -> dict[str, int]:
    """Indices of the right answer and rationale."""
    return {"answer_label": at % 4, "rationale_label": 0}


QUESTION = "What colour is the disc?"
OBJECTS = ["disc", "box", "person"]
CHOICES: dict[str, Any] = {
    "question": ["Where", "is", [0], "?"],
    "answers": [[[0], "is", "left", "of", [1]], [[1], "is", "mauve"], ["far", "away"], [[2], "holds", [0]]],
    "rationales": [["it", "looks", "so"], ["who", "knows"], [[0], "moves"], ["no", "reason"]],
}


def _texts() -> Iterator[str]:
    choices = (spelled(choice, OBJECTS) for part in ("answers", "rationales") for choice in CHOICES[part])
    for text in (*HYPOTHESES, QUESTION, *choices):
        yield text
        yield from (word for part in text.split() if (word := bare(part)))
