"""Parameters of the `download` section."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

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
    gated_remote: str = Field(
        "",
        description="DVC remote for data sets with gated files: `dvc push` sends them to no other one, and stops where "
        "none of this name is set up. Empty is the default remote, for the rendered world only.",
    )

    @model_validator(mode="after")
    def _passes_nothing_on(self) -> Download:
        if self.source == "registry" and not self.gated_remote:
            raise ValueError(
                "gated_remote: name a DVC remote that only entitled people can read (it need not exist until you "
                "push), so that `dvc push` does not pass gated data on"
            )
        return self
