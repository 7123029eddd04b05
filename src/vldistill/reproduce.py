"""Does a run reproduce the tracked reference? Each headline number against its seed interval.

The reference, ``data/reference/PRESET.json``, is ``{"numbers": [{"name", "value", "low", "high", "n", "unit"}],
"preset", "commit", "date", "machine"}``; a name is the dotted path of a number in ``results/report/metrics.json``, and
[low, high] the interval its seeds span: within it, two runs cannot be told apart.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vldistill import layout
from vldistill.errors import InputError
from vldistill.files import read_json

FIELDS = ("name", "value", "low", "high", "n", "unit")


@dataclass(frozen=True)
class Reference:
    """One headline number of the reference run; ``low`` to ``high`` is its seed interval."""

    name: str
    value: float
    low: float
    high: float
    n: int
    unit: str


@dataclass(frozen=True)
class Outcome:
    """A headline number of this run beside the reference's; ``value`` is None where the run has none."""

    reference: Reference
    value: float | None

    @property
    def agrees(self) -> bool:
        """Inside the interval, its ends included."""
        return self.value is not None and self.reference.low <= self.value <= self.reference.high


def reference_path(root: str | Path, preset: str = "mini") -> Path:
    """The tracked reference of a preset."""
    return Path(root) / "data" / "reference" / f"{preset}.json"


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _parse(entry: Any, path: str | Path, record: str) -> Reference:
    def wrong(problem: str, field: str | None = None) -> InputError:
        return InputError(problem, file=path, record=record, field=field, action="Restore the file from git")

    if not isinstance(entry, dict):
        raise wrong("an object is expected")
    for field in FIELDS:
        if field not in entry:
            raise wrong("the field is missing", field)
        if field in ("value", "low", "high", "n") and not _is_number(entry[field]):
            raise wrong(f"a number is expected, not {entry[field]!r}", field)
    if not entry["low"] <= entry["value"] <= entry["high"]:
        raise wrong("the value lies outside its own interval", "value")
    return Reference(**{field: entry[field] for field in FIELDS})


def read_reference(path: str | Path) -> list[Reference]:
    """Read a reference file.

    Raises:
        InputError: it is missing or malformed; names the entry and the field.
    """
    content = read_json(path)
    entries = content.get("numbers") if isinstance(content, dict) else None
    if not isinstance(entries, list) or not entries:
        raise InputError("a non-empty list is expected", file=path, field="numbers", action="Restore it from git")
    return [_parse(entry, path, f"numbers[{index}]") for index, entry in enumerate(entries)]


def lookup(metrics: Any, name: str) -> float | None:
    """The number at a dotted path of nested mappings, or None. Keys that hold dots themselves are found, too."""
    if not isinstance(metrics, dict):
        return None
    if _is_number(metrics.get(name)):
        return float(metrics[name])
    for at, character in enumerate(name):
        if character == "." and name[:at] in metrics:
            found = lookup(metrics[name[:at]], name[at + 1 :])
            if found is not None:
                return found
    return None


def compare(root: str | Path, preset: str = "mini") -> list[Outcome]:
    """This run's headline numbers against the reference's.

    Raises:
        InputError: there is no report yet, or the reference is missing or malformed.
    """
    metrics = read_json(layout.report(root) / "metrics.json")
    return [Outcome(number, lookup(metrics, number.name)) for number in read_reference(reference_path(root, preset))]
