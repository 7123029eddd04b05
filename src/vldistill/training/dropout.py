"""Dropout of a whole model, whoever wrote it."""

from __future__ import annotations

from torch import nn


def set_dropout(module: nn.Module, rate: float) -> None:
    """Set the dropout rate throughout a model (`nn.Dropout` modules, attributes as transformers and students have)."""
    for part in module.modules():
        if isinstance(part, nn.Dropout):
            part.p = rate
        for name in ("dropout", "activation_dropout", "attention_dropout"):
            if isinstance(getattr(part, name, None), float):
                setattr(part, name, rate)
