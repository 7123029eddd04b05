"""The schema and the reference table of params.yaml, generated from the parameter tree.

Run ``python -m vldistill.params.docs`` in the project's root after a change of the tree; a test holds both to it.
"""

from __future__ import annotations

import json
import types
import typing
from pathlib import Path
from typing import Any

from annotated_types import Ge, Gt, Le, Lt, MaxLen, MinLen
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from vldistill.files import write_text
from vldistill.params.model import Params

BOUNDS = {
    Ge: (">=", "ge"),
    Gt: (">", "gt"),
    Le: ("<=", "le"),
    Lt: ("<", "lt"),
    MinLen: ("length >=", "min_length"),
    MaxLen: ("length <=", "max_length"),
}
HEAD = """# Parameters

Every key of params.yaml, generated from `src/vldistill/params/` (`python -m vldistill.params.docs`). The defaults are the preset `mini`;
`vldistill preset NAME --show` prints how another preset differs. Write small numbers without an exponent (`0.0001`):
YAML reads `1e-4` as text.
"""


def schema() -> str:
    """The JSON schema of params.yaml."""
    return json.dumps(Params.model_json_schema(), indent=2, ensure_ascii=False) + "\n"


def reference() -> str:
    """The reference table in Markdown, a section a stage."""
    parts = [HEAD]
    for name, info in Params.model_fields.items():
        parts.append(f"\n## {name}\n\n{info.description}\n\n| key | type | default | what it is |\n|---|---|---|---|\n")
        parts.extend(_rows(typing.cast(type[BaseModel], info.annotation), f"{name}."))
    return "".join(parts)


def _rows(model: type[BaseModel], prefix: str) -> list[str]:
    rows = []
    for name, info in model.model_fields.items():
        if isinstance(info.annotation, type) and issubclass(info.annotation, BaseModel):
            rows.extend(_rows(info.annotation, f"{prefix}{name}."))
            continue
        cells = (f"`{prefix}{name}`", _type(info), _default(info), info.description or "")
        rows.append("| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in cells) + " |\n")
        for inner in _models_below(info.annotation):
            rows.extend(_rows(inner, f"{prefix}{name}.*."))
    return rows


def _models_below(annotation: Any) -> list[type[BaseModel]]:
    """Models inside a mapping or list: their keys are shown once, below a star."""
    return [item for item in typing.get_args(annotation) if isinstance(item, type) and issubclass(item, BaseModel)]


def _type(info: FieldInfo) -> str:
    bounds = [
        f"{sign} {getattr(item, attribute)}"
        for item in info.metadata
        for kind, (sign, attribute) in BOUNDS.items()
        if isinstance(item, kind)
    ]
    return ", ".join([_type_name(info.annotation), *bounds])


def _type_name(annotation: Any) -> str:
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Literal:
        return " or ".join(f"`{value}`" for value in arguments)
    if origin in (typing.Union, types.UnionType):
        return " or ".join("null" if item is type(None) else _type_name(item) for item in arguments)
    if origin is typing.Annotated:
        return _type_name(arguments[0])
    if origin in (list, dict):
        return ("list of " if origin is list else "mapping to ") + _type_name(arguments[-1])
    return {str: "text", int: "integer", float: "number", bool: "true or false"}.get(annotation, annotation.__name__)


def _default(info: FieldInfo) -> str:
    if info.is_required():
        return "required"
    value = info.get_default(call_default_factory=True)
    if isinstance(value, dict):
        value = {
            key: item.model_dump(exclude_unset=True) if isinstance(item, BaseModel) else item
            for key, item in value.items()
        }
    text = json.dumps(value, ensure_ascii=False)
    return f"`{text}`" if len(text) <= 60 else "see params.yaml"


def targets(root: Path) -> dict[Path, str]:
    """Generated files and their texts."""
    return {root / "workflow" / "schemas" / "params.schema.json": schema(), root / "docs" / "params.md": reference()}


if __name__ == "__main__":
    for path, text in targets(Path.cwd()).items():
        write_text(path, text)
