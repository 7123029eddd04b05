"""What every section of params.yaml has in common."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Section(BaseModel):
    """A part of params.yaml: typed, frozen, without unknown keys, each field described."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)
