"""Parameters of `distill.mad`: MAD's options, its arms, and the grid of tasks, fractions and seeds.

The equations behind them are in `vldistill.distill.mad.losses`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import product
from operator import attrgetter
from typing import Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from vldistill.params.arms import check_known, check_name, check_run, resolve
from vldistill.params.base import Section
from vldistill.params.mad_arms import (
    ACTIVE,
    ARMS,
    DEV_TUNED,
    MATCHED,
    MATCHING_HEAD,
    ON_DEV,
    PARTS,
    PER_FRACTION,
    PER_TASK,
    untuned,
)
from vldistill.params.mad_grid import OF_TASK, PERCENT, TASKS, Grid, Percent, Task, check_places, keys_as_text
from vldistill.params.mad_parts import Adaptation, Confidence, Projections, TeacherHead, Teachers, Tuning
from vldistill.params.mad_settings import SETTINGS, SETTINGS_OF, TUNED, Settings, names, nearest
from vldistill.params.mad_sweep import Sweep
from vldistill.params.training import Training

Priors = Literal["changed", "official"]
StudentName = Literal["student", "student_gap0", "student_gap25", "student_gap50"]
Target = Literal["cls", "selected", "both", "random", "argmin"]
SELECTIONS: tuple[Target, ...] = ("selected", "both")
"""The targets whose token and region are those that the teacher chooses."""


class MadOptions(Section):
    """One MAD training: what an arm, a task or a fraction may override."""

    student: StudentName = Field("student", description="The student that learns, by its name under `pretrain`.")
    weight: float = Field(
        3.0,
        ge=0,
        description="Weight lambda of distillation; 0 = the task loss only; `settings` go over any other.",
    )
    teachers: Teachers = Field(default_factory=Teachers, description="Weight of each teacher.")
    target: Target = Field(
        "selected",
        description="Whose state is drawn to a teacher's vector: `cls` the [CLS] state, `selected` the text token and "
        "the region that fit the other modality best (TS), `both`; `random` and `argmin` ones are controls.",
    )
    tokens: int = Field(2, ge=1, description="Number m of a text's tokens that are chosen; of its regions one is.")
    scope: Literal["part", "whole"] = Field(
        "part",
        description="What the state of a chosen token or region is drawn to: the teacher's vector of that word or "
        "region alone (`part`), or of the whole text or image (`whole`), which [CLS] is drawn to in any case.",
    )
    distance: Literal["l1", "mse", "cos"] = Field("cos", description="Distance D of unit vectors.")
    projections: Projections = Field(default_factory=Projections, description="The heads P.")
    confidence: Confidence = Field(default_factory=Confidence, description="Weights of instances (CW).")
    head: TeacherHead = Field(default_factory=TeacherHead, description="Where p_m comes from.")
    adapt: Adaptation = Field(default_factory=Adaptation, description="First stage on the teacher (AF).")
    shuffle_targets: bool = Field(False, description="Give each instance another one's teacher vectors: a control.")
    embeddings: Literal["own", "teacher"] = Field(
        "own",
        description="`teacher` starts the embeddings of words that the student never met from CLIP's vectors of them.",
    )
    projected_input: bool = Field(
        False, description="Show the student the teacher's vectors as two more regions, in prediction too: a control."
    )
    task_head: Literal["fresh", "matching"] = Field(
        "fresh",
        description="`matching` adds to a fresh head's scores those of matching text and image, from the student's "
        "pre-training: a control for VCR, which scores choices.",
    )
    label_smoothing: float = Field(0.0, ge=0, lt=1, description="Share of the target that is spread over all answers.")
    dropout: float = Field(0.1, ge=0, lt=1, description="Dropout of the student while it learns the task.")
    attention_dropout: float = Field(
        0.0, ge=0, lt=1, description="The same of attention weights; at 0 PyTorch's fused attention runs on a CPU."
    )
    length_buckets: bool = Field(True, description="Batches of items whose texts are of similar length (less padding).")
    most_answers: int = Field(3129, ge=2, description="VQA: answers that can be given, the most frequent ones.")
    least_count: int = Field(1, ge=1, description="VQA: questions of the training subset an answer must fit.")
    trained: float = Field(
        1.0,
        gt=0,
        le=1,
        description="Share of `training.steps` that is trained, on the schedule of all of them, for baselines that are "
        "stopped early.",
    )
    tuning: Tuning = Field(default_factory=Tuning, description="What a sweep may look at.")
    training: Training = Field(
        default_factory=lambda: Training.model_validate(
            {"steps": 300, "batch_size": 32, "learning_rate": 0.0005, "embedding_rate": 20.0, "checkpoint_every": 300}
        ),
        description="Length and optimiser of the training. `settings` go over its two rates.",
    )

    @model_validator(mode="after")
    def _teaches(self) -> Self:
        if self.weight and not self.teachers.taught:
            raise ValueError("teachers: at least one of clip_image, clip_text, language_model must be above 0")
        return self

    @property
    def steps(self) -> int:
        """The steps that are trained."""
        return max(1, round(self.trained * self.training.steps))


class Mad(MadOptions):
    """MAD: the options of the arm `mad`, what others change in them, and which cells are run."""

    per_task: dict[Task, dict[str, Any]] = Field(
        default_factory=lambda: dict(PER_TASK),
        description="Task -> the options it overrides, for all arms and over theirs. A VCR example is four texts.",
    )
    per_fraction: dict[str, dict[str, Any]] = Field(
        default_factory=lambda: dict(PER_FRACTION),
        description="Fraction in percent, or TASK-FRACTION as in `vcr-100` -> the options it overrides, for all arms; "
        "it goes over the task's, and that of one task over that of all: change both where both are there.",
    )
    arms: dict[str, dict[str, Any]] = Field(
        default_factory=lambda: {name: dict(over) for name, over in ARMS.items()},
        description="Arm -> the options it overrides.",
    )
    settings: dict[str, dict[str, Settings]] = Field(
        default_factory=lambda: {arm: dict(own) for arm, own in SETTINGS.items()},
        description="Arm -> TASK-FRACTION as in `vcr-25` -> its tuned settings there. They go over the options, "
        "`arms`, `per_task` and `per_fraction`: another `training.learning_rate`, `training.embedding_rate` or "
        "`weight` has no effect on an arm that has settings; change them here. A size that is not named has those of "
        "the next larger one of the task that is, else of the largest; a task that is not named has none.",
    )
    settings_of: dict[str, str] = Field(
        default_factory=lambda: dict(SETTINGS_OF),
        description="Arm -> the arm whose settings it has, since it is held against it. Others have their own or none.",
    )
    active: list[str] = Field(default_factory=lambda: list(ACTIVE), description="The arms that are run.")
    tasks: list[Task] = Field(default_factory=lambda: [*TASKS], description="On these tasks.")
    fractions: list[Percent] = Field(
        default_factory=lambda: [10, 25, 100],
        description="And these training subsets, in percent; `split.mad` makes them.",
    )
    vqa_priors: Priors = Field(
        "changed",
        description="Lists of VQA: `changed` trains and tests on a re-split by answer priors, in domain and under "
        "shift; `official` on VQA v2's own train and val, where nothing is shifted.",
    )
    extra: dict[str, Grid] = Field(
        default_factory=lambda: {
            "parts": Grid(arms=[*PARTS], tasks=["snli_ve"], fractions=[10]),
            "matched": Grid(arms=[*MATCHED], tasks=["snli_ve", "vcr"], fractions=[10, 25]),
            "matching_head": Grid(arms=[*MATCHING_HEAD], tasks=["vcr"], fractions=[10]),
            "dev_tuned": Grid(arms=[arm for arm in DEV_TUNED if arm in SETTINGS], tasks=[*TASKS]),
        },
        description="More arms on smaller grids, under names of your choice: `parts` are parts of the method and "
        "controls, `matched` are baselines brought to MAD's accuracy, `matching_head` have heads that start from "
        "pre-training's matching, `dev_tuned` have the settings that dev chooses.",
    )
    sweep: Sweep = Field(default_factory=Sweep, description="Tuning.")
    seeds: dict[str, int] = Field(default_factory=dict, description="Number of seeds of an arm.")
    default_seeds: int = Field(3, gt=0, description="Number of seeds of an arm that `seeds` does not name.")
    fraction_seeds: dict[str, int] = Field(
        default_factory=dict, description='Least number of seeds by fraction, e.g. {"1": 5}: small subsets differ more.'
    )

    @field_validator("per_fraction", "fraction_seeds", mode="before")
    @classmethod
    def _keys_as_text(cls, value: Any) -> Any:
        return keys_as_text(value)

    @field_validator("per_fraction", mode="after")
    @classmethod
    def _keys_name_fractions(cls, value: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
        for key in value:
            if not re.fullmatch(rf"({OF_TASK}-)?{PERCENT}", key):
                raise ValueError(f"{key} is neither a fraction in percent nor TASK-FRACTION ({', '.join(TASKS)})")
        return value

    @field_validator("settings", mode="after")
    @classmethod
    def _keys_name_places(cls, value: dict[str, dict[str, Settings]]) -> dict[str, dict[str, Settings]]:
        for arm, own in value.items():
            check_places(own, f"{arm}.")
        return value

    @model_validator(mode="after")
    def _arms_fit(self) -> Self:
        check_known([*(arm for grid in self.grids for arm in grid.arms), *self.seeds], self._known)
        check_run(self.active, "active", self.seeds)
        for name, grid in self.extra.items():
            check_run(grid.arms, f"extra.{name}.arms", {})
        if self.sweep.trial:
            check_run(self.sweep.arms, "sweep.arms", {})
        for arm, tuned in self.sweep.dev_choices.items():
            check_known([arm], self.arms)
            if tuned not in (arm, arm + ON_DEV):
                raise ValueError(f"sweep.on_dev.{arm}: {arm}{ON_DEV} is expected, or {arm} itself, not {tuned}")
        self._check_choices()
        self._check_settings()
        self._check_effect()
        for arm in self.arms:
            check_name(arm)
            if arm != untuned(arm):
                raise ValueError(f"arms.{arm}: it is {untuned(arm)} with dev's settings: put these into settings.{arm}")
            for task, fraction in self._overridden():
                self._check_equal_to(arm, task, fraction)
        return self

    @property
    def grids(self) -> list[Grid]:
        """All that is run: the active arms' grid and the extra ones; of a trial, the sweep's grid alone."""
        return list(self.named_grids.values())

    @property
    def named_grids(self) -> dict[str, Grid]:
        """`grids`, by the key that lists the arms of each."""
        if self.sweep.trial:
            own = Grid(arms=self.sweep.arms, tasks=self.sweep.tasks, fractions=self.sweep.fractions)
            return {"sweep.arms": own}
        more = {f"extra.{name}.arms": grid for name, grid in self.extra.items()}
        return {"active": Grid(arms=self.active, tasks=self.tasks, fractions=self.fractions), **more}

    def seeds_of(self, arm: str, fraction: int) -> int:
        """Number of seeds of `arm` at a fraction in percent."""
        if self.sweep.trial:
            return self.sweep.seeds.get(str(fraction), self.default_seeds)
        return max(self.seeds.get(arm, self.default_seeds), self.fraction_seeds.get(str(fraction), 1))

    def options_of(self, arm: str | None, task: Task, fraction: int) -> MadOptions:
        """The complete options of `arm`, or of none, on a task, at a fraction in percent."""
        options = MadOptions.model_validate(self.model_dump(include=set(MadOptions.model_fields)))
        for over, where in (
            ({} if arm is None else self.arms[untuned(arm)], f"arms.{arm}"),
            (self.per_task.get(task, {}), f"per_task.{task}"),
            *((self.per_fraction.get(key, {}), f"per_fraction.{key}") for key in (str(fraction), f"{task}-{fraction}")),
        ):
            options = resolve(MadOptions, options.model_dump(), over, where)
        own, key = self.settings_at(arm, task, fraction)
        over = self.settings[own][key].over(options.weight) if key else {}
        options = resolve(MadOptions, options.model_dump(), over, f"settings.{own}.{key}")
        return resolve(MadOptions, options.model_dump(), self.sweep.over(options.weight), "sweep")

    def settings_at(self, arm: str | None, task: str, fraction: int) -> tuple[str, str | None]:
        """The arm, and its TASK-FRACTION or none, whose settings `arm` has on a task at a fraction in percent."""
        own = self.settings_of.get(arm or "", arm or "")
        return own, nearest(self.settings.get(own, {}), task, fraction)

    def chosen_at(self, arm: str, task: str, fraction: int) -> bool:
        """Whether the settings of `arm` on a task at a fraction in percent are those that a sweep chose right there."""
        place = f"{task}-{fraction}"
        return place in self.sweep.chosen and self.settings_at(arm, task, fraction)[1] == place

    def dev_agrees(self, arm: str, task: str, fraction: int) -> bool:
        """Whether a sweep was taken over there in which dev chose the same settings for `arm` as the hold-out."""
        tuned = self.sweep.dev_choices.get(arm)
        if tuned is None or not all(self.chosen_at(each, task, fraction) for each in (arm, tuned)):
            return False
        own, others = (self.settings[self.settings_at(each, task, fraction)[0]] for each in (arm, tuned))
        return own[f"{task}-{fraction}"] == others[f"{task}-{fraction}"]

    @property
    def _known(self) -> list[str]:
        """Every arm that can be run: each also with dev's settings."""
        return [*self.arms, *(arm + ON_DEV for arm in self.arms)]

    def _overridden(self) -> Iterator[tuple[Task, int]]:
        """Every task with every fraction that the grids have or that has options of its own."""
        own = (int(key.rpartition("-")[2]) for key in self.per_fraction)
        fractions = {*(each for grid in self.grids for each in grid.fractions), *own}
        return ((task, fraction) for task in TASKS for fraction in sorted(fractions))

    def _check_settings(self) -> None:
        """Refuse settings that no arm has, and arms that are said to have dev's but have none."""
        check_known([*self.settings, *self.settings_of, *self.settings_of.values()], self._known)
        for arm, other in self.settings_of.items():
            if arm in self.settings:
                raise ValueError(f"settings.{arm}: it has those of {other} (settings_of.{arm}): remove one of the two")
            if other in self.settings_of:
                raise ValueError(f"settings_of.{arm}: {other} has those of {self.settings_of[other]}: name that arm")
        for arm, places in self.settings.items():
            distils = self.arms[untuned(arm)].get("weight", self.weight)
            for place, settings in places.items():
                if settings.weight is not None and not distils:
                    raise ValueError(f"settings.{arm}.{place}.weight: {arm} does not distil: leave it null")
        run = {arm for grid in self.grids for arm in grid.arms}
        for arm in (*self.sweep.dev_choices.values(), *sorted(run)):
            if arm.endswith(ON_DEV) and arm not in self.settings:
                raise ValueError(
                    f"settings: {arm} has none: give it some, or leave it out of sweep.on_dev and extra.dev_tuned"
                )

    def _check_choices(self) -> None:
        """Refuse a head that starts from matching where no choices are scored."""
        for name, grid in self.named_grids.items():
            for arm, task, fraction in product(grid.arms, grid.tasks, grid.fractions):
                if task != "vcr" and self.options_of(arm, task, fraction).task_head == "matching":
                    raise ValueError(
                        f"{name}: {arm} has task_head: matching, which is for choices, and {task} has none: list it "
                        "under distill.mad.extra, with tasks: [vcr]"
                    )

    def _check_effect(self) -> None:
        """Refuse another rate or weight for all arms that none would have, since each has one of its own."""
        cells = [cell for grid in self.grids for cell in product(grid.arms, grid.tasks, grid.fractions)]
        for field in () if self.sweep.trial else TUNED:
            own, plain = map(attrgetter(field), (self, MadOptions()))
            if own != plain and not any(self._reads(field, *cell) for cell in cells):
                raise ValueError(
                    f"{field}: no arm that is run has it, all have their own: change "
                    f"settings.ARM.TASK-FRACTION.{field.rpartition('.')[2]}, as in settings.mad.snli_ve-10"
                )

    def _reads(self, field: str, arm: str, task: Task, fraction: int) -> bool:
        """Whether the value of ``field`` for all arms is that of `arm` at a place."""
        places = (str(fraction), f"{task}-{fraction}")
        own, key = self.settings_at(arm, task, fraction)
        overrides = (
            self.arms[untuned(arm)],
            self.per_task.get(task, {}),
            *(self.per_fraction.get(place, {}) for place in places),
            self.settings[own][key].over(1.0) if key else {},
        )
        return not any(names(over, field) for over in overrides)

    def _check_equal_to(self, arm: str, task: Task, fraction: int) -> None:
        """Refuse a mean weight of an arm that has none, or has it of other teachers."""
        options = self.options_of(arm, task, fraction)
        if not options.weight or options.confidence.kind != "equal_mean":
            return
        other = options.confidence.equal_to
        check_known([other], self.arms)
        partner, where = self.options_of(other, task, fraction), f"arms.{arm}.confidence.equal_to: {other}"
        if not partner.weight or partner.confidence.kind == "equal_mean":
            raise ValueError(f"{where} has no weights of its own")
        if options.teachers.taught != partner.teachers.taught:
            names = ", ".join(partner.teachers.taught)
            raise ValueError(f"{where} has other teachers ({names}): give both the same")
