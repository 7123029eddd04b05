"""Settings of MAD's arms: what a sweep tries, what it chose at each task and size, and who has another arm's.

docs/tuning.md tells where the choices come from.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import Field

from vldistill.params.base import Section
from vldistill.params.mad_arms import ON_DEV


class Settings(Section):
    """The settings of an arm at one task and size of the training subset."""

    learning_rate: float = Field(gt=0, description="Peak learning rate, `training.learning_rate`.")
    embedding_rate: float = Field(gt=0, description="`training.embedding_rate`.")
    weight: float | None = Field(
        None, gt=0, description="Weight lambda of an arm that distils, others have none; null = the arm's own."
    )

    def over(self, weight: float) -> dict[str, Any]:
        """As options of an arm of weight ``weight``, which stays where it is 0."""
        found = {"training": {"learning_rate": self.learning_rate, "embedding_rate": self.embedding_rate}}
        return {"weight": self.weight, **found} if weight and self.weight else found


TUNED = ("weight", "training.learning_rate", "training.embedding_rate")
"""The options that settings go over."""


class Trial(Settings):
    """The settings of one trial, tried together."""

    weight: float = Field(gt=0, description="Weight lambda of the arms that distil; others have none.")


# learning rates, new words at the same and at twenty (once five) times the rate, with weights of 1 and 3
TRIALS = [
    (0.00025, 1.0, 1.0),
    (0.0005, 1.0, 3.0),
    (0.001, 1.0, 1.0),
    (0.002, 1.0, 3.0),
    (0.00025, 20.0, 1.0),
    (0.0005, 20.0, 3.0),
    (0.001, 20.0, 3.0),
    (0.0005, 5.0, 3.0),
]

# learning rate, embedding rate, and the weight of an arm that distils
CHOSEN: dict[str, dict[str, tuple[float, ...]]] = {
    "baseline": {
        "snli_ve-10": (0.00025, 1.0),
        "snli_ve-25": (0.001, 20.0),
        "snli_ve-100": (0.0005, 20.0),
        "vcr-10": (0.0005, 20.0),
        "vcr-25": (0.00025, 20.0),
        "vcr-100": (0.00025, 20.0),
        "vqa-10": (0.001, 20.0),
        "vqa-25": (0.0005, 5.0),
        "vqa-100": (0.001, 1.0),
    },
    "nkd": {
        "snli_ve-10": (0.00025, 20.0, 1.0),
        "snli_ve-25": (0.001, 20.0, 3.0),
        "snli_ve-100": (0.002, 1.0, 3.0),
        "vcr-10": (0.001, 20.0, 3.0),
        "vcr-25": (0.001, 20.0, 3.0),
        "vcr-100": (0.001, 20.0, 3.0),
        "vqa-10": (0.002, 1.0, 3.0),
        "vqa-25": (0.002, 1.0, 3.0),
        "vqa-100": (0.002, 1.0, 3.0),
    },
    "mad": {
        "snli_ve-10": (0.0005, 20.0, 3.0),
        "snli_ve-25": (0.001, 20.0, 3.0),
        "snli_ve-100": (0.001, 20.0, 3.0),
        "vcr-10": (0.001, 20.0, 3.0),
        "vcr-25": (0.0005, 20.0, 3.0),
        "vcr-100": (0.0005, 20.0, 3.0),
        "vqa-10": (0.002, 1.0, 3.0),
        "vqa-25": (0.001, 1.0, 1.0),
        "vqa-100": (0.001, 20.0, 3.0),
    },
}
# where dev chooses others
ON_DEV_CHOSEN: dict[str, dict[str, tuple[float, ...]]] = {
    "baseline": {"snli_ve-10": (0.0005, 1.0), "vcr-25": (0.0005, 20.0)},
    "nkd": {"snli_ve-10": (0.001, 20.0, 3.0), "vcr-25": (0.0005, 20.0, 3.0), "vcr-100": (0.002, 1.0, 3.0)},
    "mad": {"vcr-100": (0.001, 20.0, 3.0)},
}
SETTINGS = {
    arm: {key: Settings(**dict(zip(Settings.model_fields, values, strict=False))) for key, values in places.items()}
    for arm, places in (CHOSEN | {arm + ON_DEV: CHOSEN[arm] | own for arm, own in ON_DEV_CHOSEN.items()}).items()
}
SAME_SETTINGS = {
    # what one part of MAD adds is held against naive distillation with MAD's own settings, and
    # distillation itself against `undistilled`
    "mad": [
        *("nkd_alike", "nkd_trainable", "ts", "cw", "mad_af", "random_token", "argmin_token", "constant_weight"),
        *("mad_constant_weight", "shuffled_targets", "undistilled", "mad_gap0", "mad_gap25", "mad_gap50"),
        *("mad_matching", "undistilled_gap0"),
    ],
    "baseline": [
        *("embeddings_init", "projected_input", "stopped_25", "stopped_50", "smoothed"),
        *("baseline_gap0", "baseline_gap25", "baseline_gap50", "baseline_matching"),
    ],
}
SETTINGS_OF = {arm: other for other, arms in SAME_SETTINGS.items() for arm in arms}


def names(over: Mapping[str, Any], field: str) -> bool:
    """Whether overrides name a ``field``, as in `TUNED`."""
    first, _, rest = field.partition(".")
    return first in over and (not rest or names(over[first], rest))


def nearest(own: Mapping[str, Settings], task: str, fraction: int) -> str | None:
    """The TASK-FRACTION of an arm whose settings hold at a size: that size, the next larger, else the largest."""
    sizes = {int(key.removeprefix(f"{task}-")) for key in own if key.startswith(f"{task}-")}
    if not sizes:
        return None
    return f"{task}-{min((size for size in sizes if size >= fraction), default=max(sizes))}"
