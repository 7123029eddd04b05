"""Dotted keys of params.yaml."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def value_at(tree: Mapping[str, Any], key: str) -> Any:
    """The value below a dotted key; None where params.yaml leaves it to the default."""
    value: Any = tree
    for part in key.split("."):
        if not isinstance(value, Mapping) or part not in value:
            return None
        value = value[part]
    return value


def leaves(tree: Any, prefix: str = "") -> dict[str, Any]:
    """Dotted keys of all values below `tree`; lists and empty mappings are values."""
    if not isinstance(tree, Mapping) or not tree:
        return {prefix: tree}
    found: dict[str, Any] = {}
    for key, value in tree.items():
        found |= leaves(value, f"{prefix}.{key}" if prefix else str(key))
    return found


def leaves_below(tree: Mapping[str, Any], keys: list[str]) -> dict[str, Any]:
    """The leaves below several dotted keys of one tree."""
    found: dict[str, Any] = {}
    for key in keys:
        found |= leaves(value_at(tree, key), key)
    return found
