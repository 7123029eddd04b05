"""One VLKD cell (arm, seed): from input artifacts to a finished run folder with a self-contained model."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from vldistill import runs
from vldistill.cells import Cell
from vldistill.distill.folders import MODEL, Meter, save_whole
from vldistill.distill.key import STAGE, cell_key, inputs
from vldistill.distill.task import Pairs, VlkdTask
from vldistill.errors import InputError
from vldistill.features.store import Store, check_fingerprint, open_store, text_key
from vldistill.models.language_model import LanguageModel, held_out, load_language_model
from vldistill.models.teacher import Teacher, load_teacher
from vldistill.models.vlkd import VLKD, VlkdConfig
from vldistill.params import Params
from vldistill.params.distill import VlkdOptions
from vldistill.records.types import read_captions, read_texts
from vldistill.training import Run, discard, distributed, seed_everything, train

DIRECT = "direct"
"""Kind of corpus documents without which `bart_no_direct` was made; its arm must not meet them in replay either."""


def run_cell(params: Params, root: Path, cell: Cell, *, deadline: float | None = None) -> runs.RunFolder:
    """Train `cell`, or adopt or resume what another process did of it.

    Ranks that torchrun started train it together: the first owns the run folder and writes, the others follow.

    Args:
        params: the experiment.
        root: project root.
        cell: which arm and seed.
        deadline: `time.monotonic()` moment by which the state must be saved.

    Returns:
        The finished run folder: `model/` and `metrics.jsonl`.

    Raises:
        InputError: an input artifact is missing or does not fit.
        Stopped: by a signal or the deadline, after saving; the same call goes on from there.
    """
    key = cell_key(params, root, cell)
    with _claimed(key, root) as run:
        if not run.done:
            _train(params, root, cell, run, deadline)
    distributed.barrier()
    return run


@contextmanager
def _claimed(key: dict[str, Any], root: Path) -> Iterator[runs.RunFolder]:
    """The run folder as the first rank finds it: others may look later, and must not see another state."""
    if distributed.rank():
        path = runs.folder_of(STAGE, key, root)
        done = not distributed.any_rank(False)
        yield runs.look_up(STAGE, key, root) if done else runs.RunFolder(path, key)
        return
    with runs.claim(STAGE, key, root) as run:
        distributed.any_rank(not run.done)
        yield run


def _train(params: Params, root: Path, cell: Cell, run: runs.RunFolder, deadline: float | None) -> None:
    options = params.distill.vlkd.options_of(cell.arm)
    paths = inputs(params, root, cell)
    meter = Meter()
    features = open_store(paths["features"])
    teacher = load_teacher(paths["encoder"], device=params.compute.device)
    # the number type of extraction may differ from that of this process; all else must be the same teacher
    check_fingerprint(
        paths["features"], features.fingerprint, {**teacher.fingerprint, "dtype": features.fingerprint["dtype"]}
    )
    seed_everything(cell.seed)
    language_model = load_language_model(paths["language_model"])
    model = build_model(language_model, teacher, options)
    pairs = load_pairs(paths["pairs"], features)
    texts = replay_texts(paths.get("corpus"), paths["language_model"], options)
    task = VlkdTask(model, pairs, features, texts, options, cell.seed)
    metrics = train(
        task,
        options.training,
        Run(run.path, name=f"distill {cell.name}", seed=cell.seed, compute=params.compute, deadline=deadline),
    )
    if distributed.rank():
        return
    model.facts = {
        "toy": params.download.source == "world",
        "options": options.model_dump(mode="json"),
        "seed": cell.seed,
        "compute": run.key["compute"],
        "teacher": teacher.fingerprint,
        "inputs": run.key["inputs"],
        "pairs": len(pairs.captions),
        "images": len(set(pairs.images)),
        "training": metrics,
    }
    save_whole(model.save, run.path / MODEL)
    run.finish({"cell": cell.name, "metrics": metrics, **meter.cost()})
    discard(run.path)


def build_model(language_model: LanguageModel, teacher: Teacher, options: VlkdOptions) -> VLKD:
    """The model before training, its projections drawn from torch's global generator."""
    config = VlkdConfig(
        dim=teacher.dim,
        patch_width=teacher.patch_width,
        patches=teacher.patches if options.patch_projection == "place" else 0,
        image_states=options.image_states,
        pooled_states=options.pooled_states,
        pool=options.pool,
        logit_scale=teacher.logit_scale,
        logit_bias=teacher.logit_bias,
    )
    return VLKD(language_model, config, tower=teacher.images)


def load_pairs(folder: Path, features: Store) -> Pairs:
    """The training pairs of a caption set whose image has features.

    Raises:
        InputError: no pair is left.
    """
    images: list[str] = []
    captions: list[str] = []
    text_keys: list[str] = []
    usable = set(features.valid_keys)
    for record in read_captions(folder):
        if record.split != "train" or record.image not in usable:
            continue
        for number, caption in enumerate(record.captions):
            images.append(record.image)
            captions.append(caption)
            text_keys.append(text_key(record.id, number))
    if not captions:
        raise InputError(
            "no training pair has features", file=folder, action="Run the stages download and features again"
        )
    return Pairs(images, captions, text_keys)


def replay_texts(corpus: Path | None, language_model: Path, options: VlkdOptions) -> list[str]:
    """The texts the arm's language model was made from, or nothing where nothing is replayed."""
    if corpus is None:
        return []
    unread = held_out(language_model)
    kinds = {DIRECT} if options.language_model == "bart_no_direct" else set()
    records = [record for record in read_texts(corpus) if record.split == "train" and record.id not in unread]
    return [record.text for record in records if record.kind not in kinds]
