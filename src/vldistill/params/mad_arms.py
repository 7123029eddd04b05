"""The arms of MAD and what each overrides, and the options of single tasks and sizes."""

from __future__ import annotations

from typing import Any

from vldistill.params.mad_grid import Task

ON_DEV = "_dev_tuned"
"""What stands behind an arm's name where its settings were chosen on dev: no table may show such a number unmarked. All
else is the arm's."""
NAIVE: dict[str, Any] = {"target": "cls", "confidence": {"kind": "constant"}}
ALONE: dict[str, Any] = {"weight": 0.0}
MATCHING: dict[str, Any] = {"task_head": "matching"}
ARMS: dict[str, dict[str, Any]] = {
    "baseline": ALONE,
    "nkd": NAIVE,
    "mad": {},
    # naive distillation with MAD's settings
    "nkd_alike": NAIVE,
    "nkd_trainable": {**NAIVE, "projections": {"kind": "trainable"}},
    "ts": {"confidence": {"kind": "constant"}},
    "cw": {"target": "cls"},
    "mad_af": {"adapt": {"steps": 100}},
    "random_token": {"target": "random", "confidence": {"kind": "constant"}},
    "argmin_token": {"target": "argmin", "confidence": {"kind": "constant"}},
    "constant_weight": {"target": "cls", "confidence": {"kind": "equal_mean"}},
    "mad_constant_weight": {"confidence": {"kind": "equal_mean", "equal_to": "mad"}},
    "shuffled_targets": {"shuffle_targets": True},
    "undistilled": ALONE,
    "embeddings_init": {**ALONE, "embeddings": "teacher"},
    "projected_input": {**ALONE, "projected_input": True},
    "stopped_25": {**ALONE, "trained": 0.25},
    "stopped_50": {**ALONE, "trained": 0.5},
    "smoothed": {**ALONE, "label_smoothing": 0.2},
    "baseline_matching": {**ALONE, **MATCHING},
    "mad_matching": MATCHING,
    **{f"baseline_gap{gap}": {**ALONE, "student": f"student_gap{gap}"} for gap in (0, 25, 50)},
    **{f"mad_gap{gap}": {"student": f"student_gap{gap}"} for gap in (0, 25, 50)},
    # whether a gain where there is nothing to teach is one of learning rates
    "undistilled_gap0": {**ALONE, "student": "student_gap0"},
}
ACTIVE = list(ARMS)[:3]
MATCHED = ["stopped_25", "stopped_50", "smoothed"]
"""The baseline at lower in-domain accuracies: what a gain under shift is held against wherever one is claimed."""
DEV_TUNED = [arm + ON_DEV for arm in ACTIVE]
MATCHING_HEAD = ["baseline_matching", "mad_matching"]
"""Arms whose head starts from pre-training's matching; VCR only, since matching scores choices."""
UNASKED = ["baseline_gap25", "mad_gap25"]
"""Arms that are run only where their student is made: `pretrain.student.gaps` leaves it out."""
PARTS = [arm for arm in ARMS if arm not in (*ACTIVE, *MATCHED, *MATCHING_HEAD, *UNASKED)]
PER_TASK: dict[Task, dict[str, Any]] = {
    "vcr": {"dropout": 0.0, "training": {"batch_size": 8}},
    "vqa": {"dropout": 0.0},
}
PER_FRACTION: dict[str, dict[str, Any]] = {
    "25": {"training": {"steps": 450}},
    "100": {"training": {"steps": 1000}},
    "snli_ve-100": {"training": {"steps": 1600}},
    "vqa-100": {"training": {"steps": 800}},
}


def untuned(arm: str) -> str:
    """The arm whose options an arm has: that of an `ARM_dev_tuned`, else itself."""
    return arm.removesuffix(ON_DEV)
