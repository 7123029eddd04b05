"""Parameters of the `report` section: what the page shows and when it distrusts its own headline."""

from __future__ import annotations

from pydantic import Field

from vldistill.params.base import Section


class Report(Section):
    """The report page."""

    gallery: int = Field(
        12, ge=0, le=200, description="Test images shown, the first in the order of sha256 of the image key."
    )
    failures: int = Field(
        6,
        ge=0,
        le=200,
        description="Wrongly answered questions shown apart, the first in the order of sha256 of the id.",
    )
    image_width: int = Field(
        224, ge=16, le=1024, description="Widest picture embedded in the page, in px; larger ones are scaled down."
    )
    gated: bool = Field(
        False,
        description="Also show examples of Flickr30k and VCR where they are the published ones, whose terms forbid "
        "passing them on: for a page that stays with you. The rendered world is always shown.",
    )
    unreliable_margin: float = Field(
        10.0,
        ge=0,
        le=100,
        description="Points of VQA accuracy: with a no-image or shuffled-image control this close to the headline, "
        "or an untrained teacher above it, the headline is marked unreliable.",
    )
