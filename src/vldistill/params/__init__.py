"""params.yaml is the experiment: parsed once into a typed tree with a section for each stage, world and compute."""

from __future__ import annotations

from vldistill.params.load import load, load_tree, parse
from vldistill.params.model import Params

__all__ = ["Params", "load", "load_tree", "parse"]
