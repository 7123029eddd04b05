"""Where the user's region features are, and what tells one folder of them from another. Imports no torch.

They lie where ``$VLDISTILL_REGIONS_SET`` says, else in ``regions/`` of the set's data folder.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from vldistill import layout
from vldistill.errors import InputError
from vldistill.files import read_json, sha256_json

NAMES = "names.json"


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


def identity(folder: Path) -> str:
    """A hash of names and sizes of the files in ``folder``, and of names.json; hashing 50 GB would take longer than
    a training."""
    files = {path.relative_to(folder).as_posix(): path.stat().st_size for path in folder.rglob("*") if path.is_file()}
    return sha256_json({"files": files, "names": names_of(folder)})


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
