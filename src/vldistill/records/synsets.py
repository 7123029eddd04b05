"""Which words mean the same, as Visual Genome tells it: ``object_synsets.json``, ``attribute_synsets.json``.

Both map a name to a synset, ``{"disc": "ball.n.01"}``. A set's artifact holds them as one file, ``synsets.json``.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from vldistill.files import read_json, write_json
from vldistill.records.fields import document
from vldistill.records.places import exists, find

OFFICIAL = OBJECTS, ATTRIBUTES = "object_synsets.json", "attribute_synsets.json"
SYNSETS = "synsets.json"


def read_official(folder: Path) -> dict[str, str]:
    """Name -> synset of the official files that are there; an object's name goes before an attribute's.

    Raises:
        InputError: a broken file; names file and field.
    """
    found: dict[str, str] = {}
    for name in reversed(OFFICIAL):
        if exists(folder, name):
            found |= _mapping(find(folder, name))
    return found


def write_synsets(folder: Path, synsets: Mapping[str, str]) -> None:
    """Write ``synsets.json`` of an artifact."""
    write_json(folder / SYNSETS, dict(sorted(synsets.items())))


def read_synsets(folder: Path) -> dict[str, str]:
    """Name -> synset of an artifact; empty where it has none."""
    return _mapping(folder / SYNSETS) if (folder / SYNSETS).is_file() else {}


def synonyms(synsets: Mapping[str, str]) -> dict[str, list[str]]:
    """Synset -> its words besides its own name (``ball`` of ``ball.n.01``) and forms of that, such as ``balls``.

    Names of several words are left out, and so are synsets of one word.
    """
    found: dict[str, list[str]] = {}
    for name, synset in sorted(synsets.items()):
        if " " not in name and not name.startswith(synset.split(".")[0]):
            found.setdefault(synset, []).append(name)
    return found


def _mapping(file: Path) -> dict[str, str]:
    row = document(read_json(file), file)
    return {name: row.text(name) for name in row.value}
