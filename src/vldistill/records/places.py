"""Where the official files are: flat in the set's folder, or one folder deeper, where unpacked archives leave them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from vldistill.errors import InputError
from vldistill.records.fields import Row


def find(folder: Path, name: str) -> Path:
    """The file ``name`` (may have folders in it) in ``folder`` or in one of the folders in there.

    Raises:
        InputError: it is in none of them; names the file.
    """
    for place in (folder, *_below(folder)):
        if (place / name).is_file():
            return place / name
    raise InputError("no such file", file=folder / name, action="Fetch it, or check the folder")


def exists(folder: Path, name: str) -> bool:
    """Whether `find` would find the file ``name``."""
    return any((place / name).is_file() for place in (folder, *_below(folder)))


def image_folders(folder: Path, name: str) -> list[Path]:
    """The folders called ``name`` in ``folder`` or in one of the folders in there."""
    return [place / name for place in (folder, *_below(folder)) if (place / name).is_dir()]


def find_image(row: Row, folders: Sequence[Path], key: str, field: str) -> ImageFile:
    """The image file ``key`` in one of ``folders``.

    Raises:
        InputError: it is in none of them; names the record that asks for it.
    """
    for folder in folders:
        if (folder / key).is_file():
            return ImageFile(folder / key)
    where = ", ".join(map(str, folders)) or "any image folder"
    raise row.error(f"the file {key} is missing from {where}", field, "Fetch or unpack the images again")


def _below(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else []


@dataclass(frozen=True)
class ImageFile:
    """The bytes of an image: a file of its own, or ``size`` bytes at ``offset`` of a shard."""

    path: Path
    offset: int = 0
    size: int = -1

    def read(self) -> bytes:
        """The image file's content."""
        with open(self.path, "rb") as handle:
            handle.seek(self.offset)
            return handle.read(self.size)
