"""Parameters of the `download` section."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from vldistill.params.base import Section


class Download(Section):
    """Where the data sets come from, and what becomes of their images."""

    source: Literal["world", "registry"] = Field(
        "world",
        description="`world` renders the miniature world in the official formats; `registry` fetches the real data "
        "sets of data/registry.csv.",
    )
    resize: int | None = Field(
        None,
        ge=16,
        le=4096,
        description="Shorter side, in pixels, to which larger images are scaled down before they are kept; null keeps "
        "the files as they are.",
    )
    least_found: float = Field(
        1.0,
        gt=0,
        le=1,
        description="Smallest share of the CC3M images that must have been got; addresses die, so the real set needs "
        "less than 1.",
    )
