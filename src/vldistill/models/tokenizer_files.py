"""Saving tokenizers so that equal ones give equal files."""

from __future__ import annotations

from pathlib import Path
from typing import Any


def save_tokenizer(tokenizer: Any, folder: str | Path) -> None:
    """Write a tokenizer's files as ``from_pretrained`` and open_clip read them.

    A fast tokenizer keeps the truncation and padding of its last call, and would write them into its file: two equal
    models would differ by what was last asked of them.

    Args:
        tokenizer: transformers' own, or open_clip's wrapper around one.
        folder: where to.
    """
    inner = getattr(tokenizer, "tokenizer", tokenizer)
    backend = getattr(inner, "backend_tokenizer", None)
    if backend is not None:
        backend.no_truncation()
        backend.no_padding()
    tokenizer.save_pretrained(str(folder))
