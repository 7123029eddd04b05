"""Parameters of tuning: the trials, and what was taken over from them."""

from __future__ import annotations

import re
from typing import Any, Self

from pydantic import Field, field_validator, model_validator

from vldistill.params.base import Section
from vldistill.params.mad_arms import ACTIVE, ON_DEV
from vldistill.params.mad_grid import PERCENT, TASKS, Percent, Task, check_places, keys_as_text
from vldistill.params.mad_settings import SETTINGS, TRIALS, Trial

SIZES = (10, 25, 100)
"""The training subsets that the sweep was run on, in percent."""
STEPS_CHANGED = ("vcr", 100)
"""Where arms have other steps than in the sweep, 1,000 instead of 1,200: its choice was of another training."""


class Sweep(Section):
    """Tuning: the trials, alike for every arm, and what they are run on."""

    trial: int = Field(
        0,
        ge=0,
        description="Number of the trial that is run, from 1, in place of all grids and over the arms' own settings; "
        "0 = none. Only with `evaluate.mad.split: dev`.",
    )
    trials: list[Trial] = Field(
        default_factory=lambda: [
            Trial(learning_rate=rate, embedding_rate=factor, weight=weight) for rate, factor, weight in TRIALS
        ],
        min_length=1,
        description="The settings that are tried. No two agree in learning rate and embedding rate, so that arms "
        "without distillation get as many trials as the others.",
    )
    arms: list[str] = Field(default_factory=lambda: list(ACTIVE), min_length=1, description="The arms that are tuned.")
    tasks: list[Task] = Field(default_factory=lambda: [*TASKS], min_length=1, description="On these tasks.")
    fractions: list[Percent] = Field(
        default_factory=lambda: [*SIZES], min_length=1, description="And these training subsets, in percent."
    )
    seeds: dict[str, int] = Field(
        default_factory=lambda: {"10": 5, "25": 2, "100": 1},
        description="Number of seeds of every arm of a trial by fraction; one that is not named has `default_seeds`.",
    )
    holdout: float = Field(
        0.25, gt=0, lt=1, description="`tuning.holdout` of a trial: what is trained on the rest is judged on it."
    )
    on_dev: dict[str, str] = Field(
        default_factory=lambda: {arm: arm + ON_DEV if arm + ON_DEV in SETTINGS else arm for arm in ACTIVE},
        description="Arm -> the arm with the settings that dev would choose: `ARM_dev_tuned`, or the arm itself where "
        "dev chooses the same at every task and size; empty where no sweep was run. The report shows them in a column "
        "of their own.",
    )
    chosen: list[str] = Field(
        default_factory=lambda: [f"{task}-{size}" for task in TASKS for size in SIZES if (task, size) != STEPS_CHANGED],
        description="TASK-FRACTION as in `vcr-25` where `settings` are, for every arm of the sweep, what its hold-out "
        "chose, and those of `ARM_dev_tuned` what dev chose; `vldistill tuning` lists them. Who edits an entry there "
        "takes the place out: the report says where settings come from by this list alone.",
    )

    @field_validator("chosen", mode="after")
    @classmethod
    def _chosen_name_places(cls, value: list[str]) -> list[str]:
        check_places(value)
        return value

    @field_validator("seeds", mode="before")
    @classmethod
    def _keys_as_text(cls, value: Any) -> Any:
        return keys_as_text(value)

    @field_validator("seeds", mode="after")
    @classmethod
    def _seeds_by_fraction(cls, value: dict[str, int]) -> dict[str, int]:
        for key, count in value.items():
            if not re.fullmatch(PERCENT, key) or count < 1:
                raise ValueError(f"{key}: {count} is not a fraction in percent with at least one seed")
        return value

    @model_validator(mode="after")
    def _trials_differ(self) -> Self:
        if self.trial > len(self.trials):
            raise ValueError(f"trial: there is no trial {self.trial}, only 1 to {len(self.trials)}")
        numbers: dict[tuple[float, float], int] = {}
        for number, one in enumerate(self.trials, start=1):
            if other := numbers.get((one.learning_rate, one.embedding_rate)):
                raise ValueError(
                    f"trials: {other} and {number} agree in learning rate and embedding rate, which is all that an "
                    "arm without distillation has to tune"
                )
            numbers[one.learning_rate, one.embedding_rate] = number
        return self

    @property
    def dev_choices(self) -> dict[str, str]:
        """`on_dev` of the arms that a sweep was run for."""
        return {arm: tuned for arm, tuned in self.on_dev.items() if tuned}

    def over(self, weight: float) -> dict[str, Any]:
        """What the trial lays over an arm of weight ``weight``; nothing without a trial."""
        if not self.trial:
            return {}
        return self.trials[self.trial - 1].over(weight) | {"tuning": {"holdout": self.holdout}}
