"""Parameters of the `split` section."""

from __future__ import annotations

from typing import Annotated, Any, Self

from pydantic import Field, field_validator, model_validator

from vldistill.params.base import Section


class Limits(Section):
    """How many units of each part are kept: all questions or captions of one image go together."""

    dev: int | None = Field(None, ge=1, description="Images (VCR: movies; or texts) of the dev list; null takes all.")
    test: int | None = Field(None, ge=1, description="Images (VCR: movies; or texts) of the test list; null takes all.")


Percent = Annotated[int, Field(ge=1, le=100)]


class MadSplits(Section):
    """MAD's lists: nested training subsets and shifted test sets."""

    fractions: list[Percent] = Field(
        default_factory=lambda: [10, 25, 100],
        min_length=1,
        description="Training subsets, in percent of the training units (images; VCR: movies). Of one seed, a smaller "
        "subset is a part of every larger one.",
    )
    seeds: int = Field(
        5,
        ge=1,
        description="Subsets of each size: seeds 0, 1, ... of the order. One more than is trained on costs little, and "
        "an arm can be given another seed without making the lists again.",
    )
    fraction_seeds: dict[str, int] = Field(
        default_factory=dict,
        description='Other numbers of seeds by size, e.g. {"1": 5}: small subsets differ more.',
    )
    dev_share: float = Field(
        0.1, gt=0, lt=1, description="Share of the official training units that become dev, where there is no dev part."
    )
    prior_share: float = Field(
        0.85,
        gt=0.5,
        lt=1,
        description="Changed answer priors: share of the training questions of each type whose answer is on the side "
        "that training prefers; under shift 1 minus this.",
    )
    tagged: list[str] = Field(
        default_factory=lambda: ["person"],
        description="Classes of objects whose tags VCR's rules replace by pronouns; empty takes every class.",
    )
    snli_ve: Limits = Field(default_factory=Limits, description="SNLI-VE.")
    vcr: Limits = Field(default_factory=Limits, description="VCR; its units are movies.")
    vqa: Limits = Field(default_factory=Limits, description="VQA v2 as a task that is trained on.")

    @field_validator("fraction_seeds", mode="before")
    @classmethod
    def _keys_as_text(cls, value: Any) -> Any:
        # YAML reads a bare 1 as a number
        return {str(key): number for key, number in value.items()} if isinstance(value, dict) else value

    @model_validator(mode="after")
    def _check_fractions(self) -> Self:
        if len(set(self.fractions)) < len(self.fractions):
            raise ValueError("a fraction stands twice in fractions")
        for key, number in self.fraction_seeds.items():
            if key not in map(str, self.fractions):
                raise ValueError(f"fraction_seeds names {key}, which is not in fractions")
            if number < 1:
                raise ValueError(f"fraction_seeds gives {key} percent {number} seeds; at least 1 is needed")
        return self

    def seeds_of(self, percent: int) -> int:
        """How many subsets of this size there are."""
        return self.fraction_seeds.get(str(percent), self.seeds)

    @property
    def subsets(self) -> list[tuple[int, int]]:
        """Every (percent, seed)."""
        return [(percent, seed) for percent in self.fractions for seed in range(self.seeds_of(percent))]


class Split(Section):
    """Which items are trained on and evaluated. Lists are nested: a smaller limit keeps the first units of an order."""

    seed: int = Field(0, ge=0, description='Seed of the order sha256("seed:unit").')
    coco: Limits = Field(default_factory=Limits, description="Captioning on COCO.")
    nocaps: Limits = Field(default_factory=Limits, description="Captioning on NoCaps; has no dev part.")
    vqav2: Limits = Field(default_factory=lambda: Limits(dev=500, test=600), description="VQAv2 questions, for VLKD.")
    okvqa: Limits = Field(default_factory=Limits, description="OK-VQA questions.")
    domains: Limits = Field(default_factory=Limits, description="VQA questions on NoCaps images; has no dev part.")
    reading: Limits = Field(default_factory=Limits, description="The reading task.")
    summary: Limits = Field(default_factory=Limits, description="The generation task.")
    mad: MadSplits = Field(default_factory=MadSplits, description="MAD's lists.")
