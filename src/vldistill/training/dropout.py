"""Dropout of a whole model, whoever wrote it."""

from __future__ import annotations

from torch import nn

HEADS = ("num_attention_heads", "num_heads", "heads")
"""What attention modules call their number of heads; the dropout they hold is that of attention weights."""


def set_dropout(module: nn.Module, rate: float, attention: float | None = None) -> None:
    """Set the dropout rate throughout a model (`nn.Dropout` modules, attributes as transformers and students have).

    Args:
        module: the model.
        rate: of everything but attention weights.
        attention: of attention weights; the same where None.
    """
    for part in module.modules():
        inner = rate if attention is None or not any(hasattr(part, name) for name in HEADS) else attention
        for child in part.children():
            if isinstance(child, nn.Dropout):
                child.p = inner
        for name in ("dropout", "activation_dropout"):
            if isinstance(getattr(part, name, None), float):
                setattr(part, name, inner)
