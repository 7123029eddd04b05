"""Reading params.yaml: one YAML loader, and errors that name the key, the file and the nearest valid key."""

from __future__ import annotations

import difflib
import re
import types
import typing
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError

from vldistill.errors import InputError
from vldistill.params.model import Params

NUMBER_LIKE = re.compile(r"[-+]?\d+(\.\d*)?[eE][-+]?\d+")


class _Loader(yaml.CSafeLoader):
    """YAML 1.1 as libyaml reads it, except that a key given twice is an error instead of silently the last one.

    Every job reads params.yaml, and Python's own parser takes seven times as long.
    """


def _mapping(loader: _Loader, node: yaml.MappingNode) -> dict[Any, Any]:
    loader.flatten_mapping(node)
    seen: dict[Any, int] = {}
    for key_node, _ in node.value:
        key = loader.construct_object(key_node, deep=True)
        line = key_node.start_mark.line + 1
        if key in seen:
            raise InputError(
                f"the key stands twice, at lines {seen[key]} and {line}",
                file=key_node.start_mark.name,
                field=str(key),
                action="Keep one of them",
            )
        seen[key] = line
    return loader.construct_mapping(node, deep=True)


_Loader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _mapping)


def load_tree(path: str | Path) -> dict[str, Any]:
    """Read a YAML file whose top level is a mapping, without checking its keys.

    Raises:
        InputError: the file is missing, not UTF-8, not YAML, not a mapping, or a key stands twice.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(
            "no such file", file=path, action="Run from the project's root, or make it: vldistill preset mini"
        )
    try:
        with open(path, encoding="utf-8") as handle:
            tree = yaml.load(handle, _Loader)
    except UnicodeDecodeError as error:
        raise InputError(f"not UTF-8 at offset {error.start}", file=path, action="Save it as UTF-8") from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        problem = getattr(error, "problem", None) or "cannot be parsed"
        raise InputError(
            f"not valid YAML: {problem}",
            file=path,
            record=f"line {mark.line + 1}" if mark else None,
            action="Mind the indentation and the colons",
        ) from None
    if tree is None:
        return {}
    if not isinstance(tree, dict):
        raise InputError(f"a mapping is expected, not a {type(tree).__name__}", file=path)
    return tree


def load(path: str | Path = "params.yaml") -> Params:
    """Read and check params.yaml.

    Raises:
        InputError: an unknown key, a wrong type, a value out of bounds or an impossible combination; names the key,
            the file and, for an unknown key, the nearest valid one.
    """
    return parse(load_tree(path), path)


def parse(tree: dict[str, Any], source: str | Path = "params") -> Params:
    """Check a tree of parameters; ``source`` is named in errors."""
    try:
        return Params.model_validate(tree)
    except ValidationError as error:
        problems = [_explain(detail) for detail in error.errors()]
    first_field, first_problem, first_action = problems[0]
    more = "".join(f"\n  also {field}: {problem}{f'. {act}' if act else ''}" for field, problem, act in problems[1:])
    ending = f". {first_action}" if first_action and more else ""
    action = None if more else first_action
    raise InputError(f"{first_problem}{ending}{more}", file=source, field=first_field or None, action=action)


def _explain(detail: Any) -> tuple[str, str, str | None]:
    location = [part for part in detail["loc"] if part != "[key]"]
    field = ".".join(str(part) for part in location)
    if detail["type"] == "extra_forbidden":
        return field, "unknown key", _nearest(location)
    message = detail["msg"].removeprefix("Value error, ")
    message = message[0].lower() + message[1:]
    given = detail["input"]
    if isinstance(given, str) and NUMBER_LIKE.fullmatch(given):
        return (
            field,
            f"{message}; YAML reads {given} as text",
            f"Write it without an exponent: {float(given):.12f}".rstrip("0"),
        )
    if detail["type"] == "missing":
        return field, "the key is required", None
    shown = "" if isinstance(given, dict | list) or detail["type"] == "value_error" else f", got {given!r}"
    return field, f"{message}{shown}", "See docs/params.md"


def _nearest(location: list[Any]) -> str:
    parent: Any = Params
    for part in location[:-1]:
        parent = _child(parent, str(part))
    known = list(parent.model_fields) if parent is not None else []
    close = difflib.get_close_matches(str(location[-1]), known, n=1, cutoff=0.0)
    path = ".".join([*(str(part) for part in location[:-1]), *close])
    if close:
        return f"The nearest known key is {path}; all keys: docs/params.md"
    return "See docs/params.md for all keys"


def _child(parent: Any, key: str) -> Any:
    """The model below ``key``, through optionals and mappings of models; None where there is none."""
    if parent is None:
        return None
    if isinstance(parent, type) and issubclass(parent, BaseModel):
        info = parent.model_fields.get(key)
        return _models_in(info.annotation) if info else parent
    return parent


def _models_in(annotation: Any) -> Any:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    if typing.get_origin(annotation) in (dict, list, typing.Union, types.UnionType, typing.Annotated):
        for argument in typing.get_args(annotation):
            if (found := _models_in(argument)) is not None:
                return found
    return None
