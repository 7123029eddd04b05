"""Where the user's region features are, and what tells one folder of them from another. Imports no torch.

They lie where ``$VLDISTILL_REGIONS_SET`` says, else in ``regions/`` of the set's data folder.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from filelock import FileLock

from vldistill import layout
from vldistill.errors import InputError
from vldistill.files import read_json, sha256_file, sha256_json, write_json
from vldistill.progress import Progress

NAMES = "names.json"
LMDB_LOCK = "lock.mdb"
"""Says who reads an LMDB at the moment, and nothing of what is in it."""


def folder_of(dataset: str, root: str | Path = ".") -> Path:
    """Where the region features of a data set's images are.

    Raises:
        InputError: there is no such folder; tells both places.
    """
    variable = f"VLDISTILL_REGIONS_{dataset.upper()}"
    given = os.environ.get(variable)
    folder = Path(given).resolve() if given else layout.data_root(root) / dataset / "regions"
    if not folder.is_dir():
        raise InputError(
            f"no region features of {dataset}: a student of kind uniter reads yours",
            file=folder,
            field=variable,
            action="Put the .npz files or the LMDB there, or let the variable name their folder (docs/data.md)",
        )
    return folder


def identity(folder: Path, root: str | Path = ".") -> str:
    """A hash of the names and the content of all files in ``folder``.

    Reading 50 GB takes minutes, and every cell asks. So the scratch folder keeps a file of digests for each folder, and
    a file is read again only if its size or its time of modification is another.

    Args:
        folder: holds the region features.
        root: project root.
    """
    files = {path.relative_to(folder).as_posix(): path for path in sorted(folder.rglob("*")) if path.is_file()}
    files = {name: path for name, path in files.items() if path.name != LMDB_LOCK}
    known = layout.scratch_root(root) / f"regions-{sha256_json(str(folder.resolve()))[:16]}.json"
    return sha256_json(_digests(files, known))


def _digests(files: Mapping[str, Path], known: Path) -> dict[str, str]:
    """The sha256 of each file; those of ``known`` are taken over, and new ones added to it."""
    # before they are read: a file that changes meanwhile is read again by the next call
    states = {name: _state(path) for name, path in files.items()}
    digests = _known(known)
    if any(digests.get(name, [])[:2] != state for name, state in states.items()):
        known.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(known.with_name(f".{known.name}.lock")):
            # the process that held the lock before us may have read them all
            digests = _known(known)
            digests = {name: digests[name] for name, state in states.items() if digests.get(name, [])[:2] == state}
            try:
                unread = sorted(states.keys() - digests.keys())
                progress = Progress(len(unread), "hash region files")
                for name in unread:
                    digests[name] = [*states[name], sha256_file(files[name])]
                    progress.step()
            finally:
                write_json(known, digests, compact=True)
    return {name: digests[name][2] for name in files}


def _known(file: Path) -> dict[str, list[Any]]:
    """File name -> size, time of modification in ns, sha256."""
    found: dict[str, list[Any]] = read_json(file) if file.is_file() else {}
    return found


def _state(path: Path) -> list[int]:
    state = path.stat()
    return [state.st_size, state.st_mtime_ns]


def names_of(folder: Path) -> Mapping[str, str]:
    """Image key -> file name, as ``names.json`` in ``folder`` tells; empty where there is none.

    Raises:
        InputError: it is broken.
    """
    file = folder / NAMES
    found = read_json(file) if file.is_file() else {}
    if not isinstance(found, dict) or not all(isinstance(name, str) for name in found.values()):
        raise InputError("not an object of image key and file name", file=file, action="Write {key: name}")
    return found
