"""Parameters of the `split` section."""

from __future__ import annotations

from pydantic import Field

from vldistill.params.base import Section


class Limits(Section):
    """How many units of each part are kept: all questions or captions of one image go together."""

    dev: int | None = Field(None, ge=1, description="Images (or texts) of the dev list; null takes all.")
    test: int | None = Field(None, ge=1, description="Images (or texts) of the test list; null takes all.")


class Split(Section):
    """Which items are evaluated. Lists are nested: a smaller limit keeps the first units of the same order."""

    seed: int = Field(0, ge=0, description='Seed of the order sha256("seed:unit").')
    coco: Limits = Field(default_factory=Limits, description="Captioning on COCO.")
    nocaps: Limits = Field(default_factory=Limits, description="Captioning on NoCaps; has no dev part.")
    vqav2: Limits = Field(default_factory=Limits, description="VQAv2 questions.")
    okvqa: Limits = Field(default_factory=Limits, description="OK-VQA questions.")
    domains: Limits = Field(default_factory=Limits, description="VQA questions on NoCaps images; has no dev part.")
    reading: Limits = Field(default_factory=Limits, description="The reading task.")
    summary: Limits = Field(default_factory=Limits, description="The generation task.")
