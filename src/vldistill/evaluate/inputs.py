"""Identity of what a prediction depends on, for the keys of run folders; remembered while a file is not replaced."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from vldistill import layout
from vldistill.artifact import MANIFEST, fingerprint, read_manifest
from vldistill.errors import InputError
from vldistill.files import read_json, sha256_json

LOGS = (".md", "metrics.jsonl")  # of a cell's files those that say nothing of its model


def identity(folder: Path) -> str:
    """The fingerprint of an artifact.

    Raises:
        InputError: there is none.
    """
    return _identity(folder, _stamp(folder / MANIFEST))


def list_identity(root: str | Path, task: str, name: str) -> str:
    """The hash of an id list.

    Raises:
        InputError: there is no such list.
    """
    return str(read_json(layout.split(root, task, name))["sha256"])


def model_identity(folder: Path, cell: str, again: str) -> str:
    """The hash of the files that the model of ``cell`` is made of, in the artifact ``folder`` of all cells.

    Args:
        folder: the artifact.
        cell: name of the cell.
        again: what makes the model, for the message.

    Raises:
        InputError: there is no such model.
    """
    return _model_identity(folder, cell, again, _stamp(folder / MANIFEST))


@lru_cache(maxsize=256)
def _identity(folder: Path, stamp: tuple[int, int] | None) -> str:
    return fingerprint(folder)


@lru_cache(maxsize=1024)
def _model_identity(folder: Path, cell: str, again: str, stamp: tuple[int, int] | None) -> str:
    files = read_manifest(folder)["files"]
    parts = {
        name: entry["sha256"]
        for name, entry in files.items()
        if name.startswith(f"{cell}/") and not name.endswith(LOGS)
    }
    if not parts:
        raise InputError(f"no distilled model {cell}", file=folder, action=f"Distil it: {again}")
    return sha256_json(parts)


def _stamp(path: Path) -> tuple[int, int] | None:
    """What changes when a file is replaced; None where it is missing (reading it then says so)."""
    if not path.is_file():
        return None
    status = path.stat()
    return status.st_mtime_ns, status.st_ino
