"""params.yaml is the experiment: parsed once into a typed tree whose top-level keys are the stages, world and compute."""

from __future__ import annotations

from vldistill.params.load import load, load_tree, parse
from vldistill.params.model import Params

__all__ = ["Params", "load", "load_tree", "parse"]
