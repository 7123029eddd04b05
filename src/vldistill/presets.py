"""Presets: named experiments. `mini` is the defaults of the parameter tree; the others are partial trees over it."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import yaml

from vldistill.errors import InputError, VldistillError
from vldistill.files import write_text
from vldistill.layout import PARAMS
from vldistill.params import Params, load_tree, parse

NAMES = ("smoke", "mini", "mini-full", "paper", "paper-dry")
HEAD = "# The experiment. Every key is described in docs/params.md; presets: vldistill preset NAME.\n"


def merge(base: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    """``base`` with the keys of ``over`` laid over it, mappings merged key by key, everything else replaced.

    An empty mapping empties the one below it: key by key, a preset could never remove any.
    """
    merged = dict(base)
    for key, value in over.items():
        both = isinstance(value, dict) and value and isinstance(merged.get(key), dict)
        merged[key] = merge(merged[key], value) if both else value
    return merged


def overlay(root: str | Path, name: str) -> dict[str, Any]:
    """The partial tree of preset ``name``; empty for `mini`. `paper-dry` lies over `paper`."""
    if name not in NAMES:
        raise InputError(f"no preset {name}", action=f"Presets: {', '.join(NAMES)}")
    if name == "mini":
        return {}
    tree = load_tree(Path(root) / "workflow" / "presets" / f"{name}.yaml")
    return merge(overlay(root, "paper"), tree) if name == "paper-dry" else tree


@cache
def _defaults() -> dict[str, Any]:
    return Params().model_dump(mode="json")


def params_of(root: str | Path, name: str) -> Params:
    """The complete, checked parameters of a preset."""
    return parse(merge(_defaults(), overlay(root, name)), Path(root) / "workflow" / "presets" / f"{name}.yaml")


def render(params: Params) -> str:
    """params.yaml as text: every key, in the order of the tree, numbers without exponents."""
    return HEAD + yaml.dump(
        params.model_dump(mode="json"), Dumper=_Dumper, sort_keys=False, width=120, allow_unicode=True
    )


class _Dumper(yaml.SafeDumper):
    """Lists of plain values on one line, numbers that PyYAML reads back as numbers."""


def _float(dumper: yaml.SafeDumper, value: float) -> yaml.Node:
    # repr gives 1e-05, which YAML 1.1 reads as text
    text = f"{value:.12f}".rstrip("0") if "e" in repr(value) else repr(value)
    return dumper.represent_scalar("tag:yaml.org,2002:float", text + "0" if text.endswith(".") else text)


def _list(dumper: yaml.SafeDumper, value: list[Any]) -> yaml.Node:
    plain = not any(isinstance(item, dict | list) for item in value)
    return dumper.represent_sequence("tag:yaml.org,2002:seq", value, flow_style=plain)


_Dumper.add_representer(float, _float)
_Dumper.add_representer(list, _list)


def flat(tree: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Dotted keys to values; empty mappings stand for themselves."""
    found: dict[str, Any] = {}
    for key, value in tree.items():
        if isinstance(value, dict) and value:
            found |= flat(value, f"{prefix}{key}.")
        else:
            found[f"{prefix}{key}"] = value
    return found


def current(root: str | Path) -> str | None:
    """The preset that params.yaml equals, or None."""
    path = Path(root) / PARAMS
    tree = parse(load_tree(path), path).model_dump(mode="json")
    return next((name for name in NAMES if params_of(root, name).model_dump(mode="json") == tree), None)


def describe(root: str | Path) -> str:
    """One line: which preset params.yaml equals."""
    name = current(root)
    return (
        f"params.yaml equals the preset {name}"
        if name
        else "params.yaml equals no preset; see vldistill preset NAME --show"
    )


def difference(root: str | Path, name: str) -> list[str]:
    """Lines ``KEY: OLD -> NEW`` from params.yaml as it stands, valid or not, to the preset."""
    path = Path(root) / PARAMS
    old = flat(load_tree(path)) if path.is_file() else {}
    new = flat(params_of(root, name).model_dump(mode="json"))
    keys = [*new, *(key for key in old if key not in new)]
    return [
        f"{key}: {old.get(key, '(absent)')} -> {new.get(key, '(absent)')}"
        for key in keys
        if old.get(key) != new.get(key)
    ]


def apply(root: str | Path, name: str, *, force: bool = False) -> None:
    """Write the preset to params.yaml.

    Raises:
        VldistillError: params.yaml holds an experiment that is no preset, and ``force`` is not given.
    """
    path = Path(root) / PARAMS
    if path.is_file() and not force and current(root) is None:
        raise VldistillError(
            f"{path} holds edits that are in no preset and would be lost. Commit or copy them, then use --force"
        )
    write_text(path, render(params_of(root, name)))
