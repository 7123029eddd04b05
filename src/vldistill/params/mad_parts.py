"""Parameters of MAD's parts: teachers, projections, weights of instances, the teacher's head, adaptation, hold-out."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from vldistill.params.base import Section


class Teachers(Section):
    """Weight of each teacher; one of weight 0 gives no target."""

    clip_image: float = Field(1.0, ge=0, description="Weight of CLIP's vector of the image.")
    clip_text: float = Field(1.0, ge=0, description="Weight of CLIP's vector of the text.")
    language_model: float = Field(1.0, ge=0, description="Weight of the language model's vector of the text.")

    @property
    def taught(self) -> list[str]:
        """The teachers that give a target."""
        return [name for name, weight in self if weight]


class Projections(Section):
    """The heads P that bring student states into a teacher's space; only in training."""

    kind: Literal["ridge", "trainable"] = Field(
        "ridge",
        description="`ridge` fits them on the student's own pre-training pairs and freezes them; `trainable` draws "
        "them and trains them with the student, which lets them take up the alignment instead of the student.",
    )
    alpha: float = Field(0.001, gt=0, description="Ridge penalty, as a share of the number of pairs.")
    pairs: int = Field(6000, ge=16, description="Pairs of phrase and image they are fitted on, at most.")


class Confidence(Section):
    """Weights w_m of each instance and teacher: p_m and p_S are what teacher and student give the right answer."""

    kind: Literal["constant", "ratio", "p", "indicator", "equal_mean"] = Field(
        "ratio",
        description="`ratio` p_m / p_S up to `most`, `p` p_m, `indicator` 1 where p_m > p_S, `constant` the number "
        "`value`, `equal_mean` the mean weight that the arm `equal_to` had.",
    )
    most: float = Field(2.0, gt=0, description="Largest weight w_max of `ratio`.")
    value: float = Field(1.0, ge=0, description="The weight where it is `constant`.")
    equal_to: str = Field("cw", description="The arm of the same task, subset and seed that `equal_mean` refers to.")
    normalise: bool = Field(False, description="Divide an instance's weights by their mean over the teachers.")


class TeacherHead(Section):
    """The small classifier on frozen teacher features that gives p_m, fitted out of fold on the training subset."""

    folds: int = Field(5, ge=2, description="Folds of the training subset, by image (VCR: by movie).")
    hidden: int = Field(32, ge=0, description="Width of its hidden layer; 0 = none, a logistic regression.")
    steps: int = Field(150, ge=1, description="Steps, each on up to 256 items of the other folds, drawn anew.")
    learning_rate: float = Field(0.01, gt=0, description="Learning rate of AdamW.")
    weight_decay: float = Field(0.001, ge=0, description="Weight decay.")


class Adaptation(Section):
    """Adaptive fine-tuning: a first stage that adapts the teacher's vectors on the training subset."""

    steps: int = Field(0, ge=0, description="Its steps; 0 = there is no such stage.")
    batch_size: int = Field(64, ge=2, description="Examples in a step.")
    learning_rate: float = Field(0.001, gt=0, description="Learning rate of Adam.")
    scale: float = Field(20.0, gt=0, description="Factor on cosines in its contrastive loss.")


class Tuning(Section):
    """What a sweep may look at, without touching dev or test."""

    holdout: float = Field(
        0.0,
        ge=0,
        lt=1,
        description="Share of the training subset's images (VCR: movies) that are kept from training; each cell's "
        "record tells the accuracy on them. 0 = train on all.",
    )
