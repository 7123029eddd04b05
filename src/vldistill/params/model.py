"""The tree of all parameters."""

from __future__ import annotations

from itertools import product
from typing import Self

from pydantic import Field, model_validator

from vldistill.params.base import Section
from vldistill.params.compute import Compute
from vldistill.params.distill import Distill
from vldistill.params.download import Download
from vldistill.params.evaluate import Evaluate
from vldistill.params.features import Features
from vldistill.params.pretrain import Pretrain
from vldistill.params.report import Report
from vldistill.params.split import Split
from vldistill.params.world import World


class Params(Section):
    """One experiment. The defaults are the preset `mini`."""

    world: World = Field(
        default_factory=World, description="The rendered miniature world; read only where `download.source` is `world`."
    )
    download: Download = Field(
        default_factory=Download, description="Where data come from and how they become records and images."
    )
    pretrain: Pretrain = Field(
        default_factory=Pretrain, description="Teacher and language model: trained stand-ins or published weights."
    )
    features: Features = Field(default_factory=Features, description="Frozen teacher features.")
    split: Split = Field(default_factory=Split, description="Id lists of dev and test.")
    distill: Distill = Field(default_factory=Distill, description="The methods, their arms and seeds.")
    evaluate: Evaluate = Field(default_factory=Evaluate, description="Tasks, prompts, decoding, controls and metrics.")
    report: Report = Field(default_factory=Report, description="The report page.")
    compute: Compute = Field(default_factory=Compute, description="Device, number type, threads and batching of cells.")

    @model_validator(mode="after")
    def _subsets_exist(self) -> Self:
        mad, made = self.distill.mad, self.split.mad
        for grid in mad.grids:
            for fraction in grid.fractions if grid.arms else []:
                if fraction not in made.fractions:
                    raise ValueError(f"distill.mad trains on {fraction} percent, which split.mad.fractions lacks")
                if (most := max(mad.seeds_of(arm, fraction) for arm in grid.arms)) > made.seeds_of(fraction):
                    raise ValueError(
                        f"distill.mad has {most} seeds at {fraction} percent, split.mad {made.seeds_of(fraction)} "
                        "subsets: raise split.mad.seeds or split.mad.fraction_seeds"
                    )
        return self

    @model_validator(mode="after")
    def _students_are_made(self) -> Self:
        mad, student = self.distill.mad, self.pretrain.student
        made = {"student"} | ({f"student_gap{gap}" for gap in student.gaps} if student.source == "train" else set())
        for where, grid in mad.named_grids.items():
            for arm, task, fraction in product(grid.arms, grid.tasks, grid.fractions):
                options = mad.options_of(arm, task, fraction)
                if options.task_head == "matching" and student.source != "train":
                    raise ValueError(
                        f"distill.mad.{where}: {arm} starts its head from matching, which published students are used "
                        f"without (pretrain.student.source {student.source}): take it out of the list"
                    )
                name = options.student
                if name in made:
                    continue
                percent, instead = name.removeprefix("student_gap"), f"take {arm} out of distill.mad.{where}"
                if student.source == "train":
                    instead += f", or put {percent} into pretrain.student.gaps"
                raise ValueError(
                    f"distill.mad.{where}: {arm} learns with {name}, which is not made with pretrain.student.source "
                    f"{student.source} and pretrain.student.gaps {student.gaps}: {instead}"
                )
        return self

    @model_validator(mode="after")
    def _students_see_regions(self) -> Self:
        kinds = self.features.kinds.get("vg")
        if self.pretrain.student.source == "train" and kinds is not None and "region" not in kinds:
            raise ValueError(
                "features.kinds.vg lacks `region`, which the student of pretrain.student.source `train` reads: add it"
            )
        return self

    @model_validator(mode="after")
    def _trials_differ_for_a_published_student(self) -> Self:
        sweep, source = self.distill.mad.sweep, self.pretrain.student.source
        rates = [trial.learning_rate for trial in sweep.trials]
        if sweep.trial and source != "train" and len({*rates}) < len(rates):
            raise ValueError(
                f"distill.mad.sweep.trials: two agree in the learning rate, and with pretrain.student.source {source} "
                "embedding_rate tries nothing, since a published student has no new words: give each another rate"
            )
        return self

    @model_validator(mode="after")
    def _trials_see_no_test(self) -> Self:
        trial, split = self.distill.mad.sweep.trial, self.evaluate.mad.split
        if trial and split != "dev":
            raise ValueError(
                f"distill.mad.sweep.trial is {trial}, evaluate.mad.split {split}: tuning looks at dev only"
            )
        return self
