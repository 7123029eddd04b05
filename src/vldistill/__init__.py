"""Vision-language knowledge distillation as a reproducible pipeline: VLKD and MAD on CLIP."""

__version__ = "0.1.0"
