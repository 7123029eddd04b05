"""Checked access to the fields of records of foreign files."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, TypeVar

from vldistill.errors import InputError

T = TypeVar("T")
_NAMES = {str: "text", int: "a whole number", list: "a list", dict: "an object", bool: "true or false"}
MEND = "Fetch the file again, or mend the record"


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
        values = self.get(field, list)
        if not values:
            raise self.error("empty list", field)
        for index, value in enumerate(values):
            if not isinstance(value, str):
                raise self.error(f"{_kind(value)} instead of text", f"{field}[{index}]")
        return values

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


def _kind(value: Any) -> str:
    names = {str: "text", bool: "true/false", int: "a number", float: "a number", list: "a list", dict: "an object"}
    return "nothing (null)" if value is None else names.get(type(value), type(value).__name__)
