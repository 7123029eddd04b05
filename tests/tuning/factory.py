"""What a trial leaves behind, with scores by recipe: models' config.json and the tidy rows of dev."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import product
from pathlib import Path
from typing import Any

from vldistill import layout
from vldistill.evaluate.mad.chief import CHIEF
from vldistill.files import write_json, write_jsonl
from vldistill.params import parse
from vldistill.params.mad import Mad

Recipe = Callable[[str, str, int, int], tuple[float, float]]
"""Arm, task, fraction and trial -> accuracy on the hold-out and on dev, of seed 0; a seed later is a point better."""


def mad(**changes: Any) -> Mad:
    """The default experiment with changes in its section on MAD, scored on dev."""
    return parse({"distill": {"mad": changes}, "evaluate": {"mad": {"split": "dev"}}}).distill.mad


def write_trial(root: Path, trial: int, recipe: Recipe, *, arms: Sequence[str] = (), **changes: Any) -> Path:
    """The results of one trial, as the stages `distill` and `evaluate` write them; ``arms``: not all."""
    options = mad(**{**changes, "sweep": {**changes.get("sweep", {}), "trial": trial}})
    for task in options.sweep.tasks:
        rows = []
        for arm, fraction in product(arms or options.sweep.arms, options.sweep.fractions):
            for seed in range(options.seeds_of(arm, fraction)):
                held, dev = (value + seed for value in recipe(arm, task, fraction, trial))
                cell = {"arm": arm, "fraction": fraction, "seed": seed}
                config = {
                    **cell,
                    "options": options.options_of(arm, task, fraction).model_dump(mode="json"),
                    "inputs": {"records": task},
                    "holdout": {"accuracy": held, "items": 10 * fraction + seed},
                }
                write_json(layout.distill_mad(root, task) / f"{arm}-f{fraction}-s{seed}" / "config.json", config)
                rows.append(row(task, cell, dev))
                if task == "vcr":  # further metrics of the same cell
                    rows.append({**row(task, cell, 1.0), "metric": "QA->R"})
        write_jsonl(layout.scores_mad(root, task), rows)
    return root


def row(task: str, cell: dict[str, Any], value: float) -> dict[str, Any]:
    """A tidy row of a chief score on dev."""
    where = {"method": "mad", "task": task, "split": "dev", **cell}
    score = {"metric": CHIEF[task], "variant": None, "value": value, "unit": "percent", "n": 500}
    return {**where, "control": None, "subset": "dev", **score}
