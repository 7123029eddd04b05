"""One MAD cell: from input artifacts to a finished run folder with student, head and record."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from vldistill import runs
from vldistill.cells import MadCell
from vldistill.distill.folders import MODEL, Meter, save_whole
from vldistill.distill.mad.inputs import make_inputs
from vldistill.distill.mad.items import Items
from vldistill.distill.mad.key import STAGE, cell_key, partner_of
from vldistill.distill.mad.prepare import prepare
from vldistill.distill.mad.scores import accuracy, item_scores
from vldistill.distill.mad.sources import Sources
from vldistill.distill.mad.targets import of_teacher, teacher_vectors
from vldistill.distill.mad.task import WEIGHT
from vldistill.models.mad import MadModel
from vldistill.params import Params
from vldistill.training import Run, discard, train

METRICS = "metrics.jsonl"


def run_mad_cell(params: Params, root: Path, cell: MadCell, *, deadline: float | None = None) -> runs.RunFolder:
    """Train `cell`, or adopt or resume what another process did of it.

    Args:
        params: the experiment.
        root: project root.
        cell: what is trained.
        deadline: `time.monotonic()` moment by which the state must be saved.

    Returns:
        The finished run folder: `model/` and `metrics.jsonl`.

    Raises:
        InputError: an input artifact is missing or does not fit, or the student has seen the task's whole training
            set (`refuse_seen`).
        Stopped: by a signal or the deadline, after saving; the same call goes on from there.
    """
    partner = partner_of(params, cell)
    constant = None
    if partner is not None:
        # its mean weights are an input: they are there, or are made first
        result = run_mad_cell(params, root, partner, deadline=deadline).result
        assert result is not None
        constant = result["weights"]
    with runs.claim(STAGE, cell_key(params, root, cell), root) as run:
        if not run.done:
            _train(params, root, cell, run, constant, deadline)
    return run


def _train(
    params: Params,
    root: Path,
    cell: MadCell,
    run: runs.RunFolder,
    constant: Mapping[str, float] | None,
    deadline: float | None,
) -> None:
    meter = Meter()
    made = prepare(params, root, cell, constant)
    options, model = made.options, made.model
    name = f"distill mad {cell.task} {cell.name}"
    # stopped early, it has followed the schedule of the whole training up to there
    where = Run(run.path, name, cell.seed, params.compute, deadline, until=options.steps)
    metrics = train(made.task, options.training, where)
    model.eval()
    record = made.record | ({"holdout": _holdout(model, made.held, made.sources)} if made.held else {})
    model.cpu()
    model.facts = {
        "toy": run.key["toy"],
        "options": options.model_dump(mode="json"),
        "fraction": cell.fraction,
        "seed": cell.seed,
        "compute": run.key["compute"],
        "inputs": run.key["inputs"],
        "training": metrics,
        **record,
    }
    save_whole(model.save, run.path / MODEL)
    weights = _mean_weights(run.path / METRICS)
    run.finish({"cell": cell.name, "metrics": metrics, "weights": weights, **record, **meter.cost()})
    discard(run.path)


def _holdout(model: MadModel, held: Items, sources: Sources) -> dict[str, Any]:
    """Accuracy on the items that were kept from training."""
    seen = make_inputs(held, model.student, sources.pictures)
    target = None
    if model.sees_teacher:
        assert sources.texts is not None
        target = of_teacher(teacher_vectors(held, seen, sources.pictures.features, sources.texts, None), seen)
    scores = item_scores(model, seen, target)
    return {"accuracy": accuracy(scores, held.targets[torch.arange(len(held))]), "items": len(held)}


def _mean_weights(log: Path) -> dict[str, float]:
    """Teacher -> mean weight over all steps, from the log: its lines are means over the steps since the last one."""
    rows = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
    names = [name for name in rows[-1] if name.startswith(WEIGHT)]
    lengths = np.diff([0, *(row["step"] for row in rows)])
    return {
        name.removeprefix(WEIGHT): float(np.average([row[name] for row in rows], weights=lengths)) for name in names
    }
