"""Parameters of `pretrain.student`: the cross-modal student that MAD distils into."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, model_validator

from vldistill.params.base import Section
from vldistill.params.training import Training

Gap = Literal[0, 25, 50]


class StudentShape(Section):
    """Shape of the student that is trained here; a single-stream encoder as UNITER."""

    width: int = Field(64, ge=8, description="Width D of all states.")
    layers: int = Field(3, ge=1, description="Layers of the encoder.")
    heads: int = Field(2, ge=1, description="Attention heads; must divide `width`.")
    feedforward: int = Field(128, ge=8, description="Width of the feed-forward layers.")
    positions: int = Field(64, ge=8, description="Longest text in tokens, special tokens included.")
    vocabulary: int = Field(
        1000, ge=1, description="Largest vocabulary; characters, tags and the words of the tasks are in it in any case."
    )
    dropout: float = Field(0.0, ge=0, lt=1, description="Dropout; with 0.1 a small student does not become grounded.")
    pre_norm: bool = Field(False, description="Normalise before attention and feed-forward, not after as BERT does.")
    init_std: float = Field(0.1, gt=0, le=1, description="Standard deviation of fresh weights; BERT's 0.02 suits 768.")

    @model_validator(mode="after")
    def _fits(self) -> StudentShape:
        if self.width % self.heads:
            raise ValueError(f"heads ({self.heads}) must divide width ({self.width})")
        return self


class StudentRegions(Section):
    """What the student sees of an image."""

    most: int = Field(6, ge=1, description="Regions of an image, the whole image included; further boxes are left out.")
    margin: float = Field(
        0.25, ge=0, description="How far a crop reaches over its box on each side, as a share of the box's longer side."
    )
    pad: bool = Field(
        True,
        description="Pad wide and tall images and crops to a square. False leaves them to the teacher's own rule: CLIP "
        "takes the centre, and what is at the ends of VCR's wide frames is lost to it.",
    )


class StudentWeights(Section):
    """Weights of the loss terms."""

    mlm: float = Field(1.0, ge=0, description="Weight of masked language modelling.")
    matching: float = Field(1.0, gt=0, description="Weight of image-text matching.")


def _training(**values: Any) -> Any:
    return Field(default_factory=lambda: Training.model_validate(values), description="How long and how it is trained.")


class Student(Section):
    """The student."""

    source: Literal["train", "uniter", "vilt"] = Field(
        "train",
        description="`train` grounds a small one on phrases about images; `uniter` and `vilt` load published weights.",
    )
    published: str = Field(
        "dandelin/vilt-b32-mlm",
        description="What `vilt` loads, a name on the Hugging Face hub or a folder; for `uniter` the file of weights.",
    )
    sha256: str = Field("", description="Digest that the file of `uniter` must have.")
    published_vocabulary: str = Field("", description="vocab.txt of the BERT that `uniter` was made with.")
    published_seen: list[Literal["snli_ve", "vcr", "vqa"]] = Field(
        default_factory=list,
        description="Tasks whose training sets published weights have seen, besides those that their files tell. "
        "Low-shot runs on them are refused.",
    )
    model: StudentShape = Field(default_factory=StudentShape, description="Shape of the one that is trained.")
    regions: StudentRegions = Field(default_factory=StudentRegions, description="What it sees of an image.")
    gaps: list[Gap] = Field(
        [0, 50],
        description="Students besides `student`, by the percentage of the synonyms that they are kept from: "
        "`student_gap0`, `student_gap25`, `student_gap50`. Arms of MAD learn with them; no published one is made so.",
    )
    gap_steps: int = Field(
        2000, ge=1, description="Steps of each of them, on the schedule of `training`: they go on from `student`."
    )
    seed: int = Field(0, ge=0, description="Seed of weights, order of phrases, masks and negatives.")
    held_out: float = Field(0.05, gt=0, lt=0.5, description="Share of the images kept from training, for dev figures.")
    matched: float = Field(
        0.4, gt=0, le=1, description="Share of a batch's phrases that are also matched; all of them are shown masked."
    )
    mask_ratio: float = Field(0.4, gt=0, le=1, description="Share of a masked phrase's tokens; at least one.")
    hard: float = Field(
        0.9, ge=0, le=1, description="Share of the negatives that differ from the phrase in one word, where there are."
    )
    focus_first: float = Field(
        0.4,
        ge=0,
        le=1,
        description="Share of the steps, at the beginning, that show only the region a phrase is about.",
    )
    focus: float = Field(0.3, ge=0, le=1, description="Share of the pairs that do so in the steps afterwards.")
    weights: StudentWeights = Field(default_factory=StudentWeights, description="Weights of the loss terms.")
    training: Training = _training(
        steps=4000, batch_size=64, learning_rate=0.002, warmup=150, weight_decay=0.01, checkpoint_every=500
    )

    @model_validator(mode="after")
    def _fits(self) -> Student:
        if self.source == "uniter" and not (self.sha256 and self.published_vocabulary):
            raise ValueError("uniter: sha256 and published_vocabulary are needed, the weights are checked before use")
        if self.source == "train" and self.gaps and self.training.warmup > self.gap_steps:
            raise ValueError(f"gap_steps ({self.gap_steps}) is shorter than training.warmup ({self.training.warmup})")
        return self

    @property
    def gap_training(self) -> Training:
        """`training` of the students of chosen gaps."""
        return self.training.model_copy(update={"steps": self.gap_steps})
