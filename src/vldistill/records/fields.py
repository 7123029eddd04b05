"""Checked access to the fields of records of foreign files."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, TypeVar

from vldistill.errors import InputError

T = TypeVar("T")
_NAMES = {str: "text", int: "a whole number", list: "a list", dict: "an object", bool: "true or false"}
MEND = "Fetch the file again, or mend the record"
Token = str | list[int]
"""A word, or the indices of the image's objects that it names (VCR)."""


class Row:
    """One record (a JSON object) of a file; every access checks presence and type.

    Args:
        value: the record as parsed.
        file: the file it stands in.
        name: how errors call the record, as in ``images[3]`` or ``line 7``.

    Raises:
        InputError: ``value`` is no object.
    """

    def __init__(self, value: Any, file: Path, name: str) -> None:
        self.file, self.name = file, name
        if not isinstance(value, dict):
            raise InputError(f"{_kind(value)} instead of an object", file=file, record=name, action=MEND)
        self.value: dict[str, Any] = value

    def error(self, problem: str, field: str | None = None, action: str = MEND) -> InputError:
        """An error about this record, for the caller to raise."""
        return InputError(problem, file=self.file, record=self.name, field=field, action=action)

    def get(self, field: str, kind: type[T]) -> T:
        """The field's value, of type ``kind``."""
        if field not in self.value:
            raise self.error("missing", field)
        value = self.value[field]
        # bool is a subclass of int, but true is no number in a data file
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
            raise self.error(f"{_kind(value)} instead of {_NAMES[kind]}", field)
        return value

    def text(self, field: str) -> str:
        """A text that is not empty."""
        value = self.get(field, str)
        if not value.strip():
            raise self.error("empty text", field)
        return value

    def texts(self, field: str) -> list[str]:
        """A list of texts, not empty."""
        values = self.names(field)
        if not values:
            raise self.error("empty list", field)
        return values

    def number(self, field: str) -> float:
        """A finite number."""
        if field not in self.value:
            raise self.error("missing", field)
        return self._number(self.value[field], field)

    def numbers(self, field: str, count: int, at: int | None = None) -> list[float]:
        """The first ``count`` finite numbers of a list: the field itself, or the entry ``at`` of the field's list."""
        values, name = self.get(field, list), field
        if at is not None:
            values, name = values[at], f"{field}[{at}]"
            if not isinstance(values, list):
                raise self.error(f"{_kind(values)} instead of a list", name)
        if len(values) < count:
            raise self.error(f"{len(values)} numbers instead of {count}", name)
        return [self._number(value, f"{name}[{index}]") for index, value in enumerate(values[:count])]

    def names(self, field: str) -> list[str]:
        """A list of texts, which may be empty, as may the texts."""
        for index, value in enumerate(self.get(field, list)):
            if not isinstance(value, str):
                raise self.error(f"{_kind(value)} instead of text", f"{field}[{index}]")
        return self.value[field]  # type: ignore[no-any-return]

    def tokens(self, field: str, objects: int) -> list[Token]:
        """Words and lists of object indices, not empty; indices count from 0 and lie below ``objects``."""
        return self._tokens(self.get(field, list), field, objects)

    def choices(self, field: str, count: int, objects: int) -> list[list[Token]]:
        """A list of ``count`` token lists, as `tokens`."""
        values = self.get(field, list)
        if len(values) != count:
            raise self.error(f"{len(values)} choices instead of {count}", field)
        return [self._tokens(value, f"{field}[{index}]", objects) for index, value in enumerate(values)]

    def index(self, field: str, count: int) -> int:
        """A whole number from 0 to ``count`` - 1."""
        value = self.get(field, int)
        if not 0 <= value < count:
            raise self.error(f"{value} is not in 0..{count - 1}", field)
        return value

    def choice(self, field: str, allowed: Iterable[str]) -> str:
        """A text that is one of ``allowed``."""
        value = self.get(field, str)
        if value not in allowed:
            raise self.error(f"{value!r} is none of {', '.join(allowed)}", field)
        return value

    def rows(self, field: str) -> Iterator[Row]:
        """The objects of the list ``field``, named ``field[i]``."""
        prefix = f"{self.name}." if self.name != "the document" else ""
        for index, value in enumerate(self.get(field, list)):
            yield Row(value, self.file, f"{prefix}{field}[{index}]")

    def _number(self, value: Any, field: str) -> float:
        if not isinstance(value, int | float) or isinstance(value, bool):
            raise self.error(f"{_kind(value)} instead of a number", field)
        if not math.isfinite(value):
            raise self.error(f"{value} is no finite number", field)
        return float(value)

    def _tokens(self, values: Any, field: str, objects: int) -> list[Token]:
        if not isinstance(values, list):
            raise self.error(f"{_kind(values)} instead of a list", field)
        if not values:
            raise self.error("empty list", field)
        for at, token in enumerate(values):
            if isinstance(token, str):
                continue
            if not isinstance(token, list) or not token or any(type(index) is not int for index in token):
                raise self.error("neither a word nor a list of object indices", f"{field}[{at}]")
            for index in token:
                if not 0 <= index < objects:
                    raise self.error(f"object {index}, but there are {objects} objects", f"{field}[{at}]")
        return values


class Unique:
    """Remembers ids and refuses a second one of the same name."""

    def __init__(self) -> None:
        self._first: dict[Any, str] = {}

    def add(self, row: Row, field: str, value: Any) -> None:
        """Note ``value``.

        Raises:
            InputError: it was noted before; names both records.
        """
        if value in self._first:
            raise row.error(f"duplicate id {value!r}, first in {self._first[value]}", field)
        self._first[value] = row.name


def document(value: Any, file: Path) -> Row:
    """The outermost object of a JSON file."""
    return Row(value, file, "the document")


def listing(value: Any, file: Path) -> Iterator[Row]:
    """The objects of a JSON file whose outermost value is a list, named ``[i]``."""
    if not isinstance(value, list):
        raise InputError(f"{_kind(value)} instead of a list", file=file, record="the document", action=MEND)
    for index, item in enumerate(value):
        yield Row(item, file, f"[{index}]")


def _kind(value: Any) -> str:
    names = {str: "text", bool: "true/false", int: "a number", float: "a number", list: "a list", dict: "an object"}
    return "nothing (null)" if value is None else names.get(type(value), type(value).__name__)
