"""Vision-language knowledge distillation as a reproducible pipeline, on CLIP."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vldistill.inference import Distilled

__version__ = "0.1.0"
__all__ = ["__version__", "load"]


def load(path: str, **options: Any) -> Distilled:
    """Load a distilled model, ready to caption images and to answer questions; see `vldistill.inference.load`."""
    from vldistill import inference  # imports torch

    return inference.load(path, **options)
