"""Region features from files that the user has: bottom-up attention features as UNITER distributes them.

An image's file is an ``.npz`` (`vldistill.models.region_arrays`). Either each is a file of its own in a folder, or all
are values of an LMDB, as such or in msgpack.

The name of an image's file follows from its key (`PATTERNS`), or stands in ``names.json`` beside the files. Where these
are: `vldistill.models.region_folders`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache, partial
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from vldistill.errors import InputError
from vldistill.models.region_arrays import AGAIN, Arrays, Place, from_msgpack, from_npz, is_npz, most_confident, package
from vldistill.models.region_folders import names_of
from vldistill.models.regions import WHOLE, Regions, geometry

LMDB_FILE = "data.mdb"
PATTERNS = {
    "coco": "{stem}.npz",
    "flickr30k": "flickr30k_{number:012d}.npz",
    "vcr": "{stem}.npz",
    "vg": "vg_{number:012d}.npz",
}
READERS = 4


class RegionSource(Protocol):
    """Where an image's arrays are; `read` raises InputError for a name that is not there, or a broken value."""

    def place(self, name: str) -> Place:
        """Where the arrays of one image are, for errors."""

    def read(self, name: str) -> Arrays:
        """The arrays of one image."""


class FolderSource:
    """A folder of ``.npz`` files."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def place(self, name: str) -> Place:
        """A file of its own."""
        return Place(self.folder / name)

    def read(self, name: str) -> Arrays:
        """The arrays of one file."""
        place = self.place(name)
        try:
            data = place.file.read_bytes()
        except OSError as error:
            raise InputError(
                f"no region features: {error.strerror}", file=place.file, action="Supply the file"
            ) from None
        return from_npz(data, place)


class LmdbSource:
    """An LMDB folder whose values are ``.npz`` files (UNITER's ``..._compressed``) or msgpack (its others).

    Raises:
        InputError: the package ``lmdb`` is missing, or the folder is no LMDB.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._environment = _environment(folder.resolve())

    def place(self, name: str) -> Place:
        """A record of the LMDB."""
        return Place(self.folder / LMDB_FILE, name)

    def read(self, name: str) -> Arrays:
        """The arrays of one value.

        Raises:
            InputError: no such value, it is broken, or it is msgpack and a package to read that is missing.
        """
        place = self.place(name)
        with self._environment.begin() as transaction:
            value = transaction.get(name.encode())
        if value is None:
            raise InputError("no region features", **place._asdict(), action="Check the naming pattern")
        return from_npz(value, place) if is_npz(value) else from_msgpack(value, place)


@cache
def _environment(folder: Path) -> Any:
    """The LMDB of a folder: a process may open one once, and several students may read it."""
    lmdb = package("lmdb", folder)
    try:
        # no lock file: the folder may be on a read-only disk, and nobody writes
        return lmdb.open(str(folder), readonly=True, create=False, lock=False)
    except lmdb.Error as error:
        raise InputError(f"not an LMDB: {error}", file=folder, action="Check the path") from None


def open_source(folder: str | Path) -> RegionSource:
    """Region features in ``folder``: an LMDB if it holds data.mdb, else single files.

    Raises:
        InputError: no such folder, or as `LmdbSource`.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise InputError("no such folder of region features", file=folder, action="Check the path")
    return LmdbSource(folder) if (folder / LMDB_FILE).exists() else FolderSource(folder)


class RegionFiles:
    """The region features of one set's images, by image key.

    Args:
        folder: holds them.
        dataset: whose images they are of.

    Raises:
        InputError: as `open_source`, or names.json is broken.
    """

    def __init__(self, folder: Path, dataset: str) -> None:
        self.folder = folder
        self._source, self._names = open_source(folder), names_of(folder)
        self._pattern = PATTERNS[dataset]
        self._pool = ThreadPoolExecutor(READERS)

    def read(self, images: Sequence[str]) -> Regions:
        """Regions of images.

        Raises:
            InputError: as `read_regions` and `file_name`.
        """
        names = [self._names.get(image) or file_name(self._pattern, image) for image in images]
        return read_regions(self._source, names, pool=self._pool)


def file_name(pattern: str, image: str) -> str:
    """The name that an image's features have.

    Args:
        pattern: with ``{stem}``, the image key's stem in small letters, or ``{number}``, the last number in it:
            ``{stem}.npz`` for coco, ``flickr30k_{number:012d}.npz``.
        image: image key.

    Raises:
        InputError: the pattern asks for what the key does not have.
    """
    stem = Path(image).stem.lower()
    numbers = re.findall(r"\d+", stem)
    values: dict[str, Any] = {"stem": stem, **({"number": int(numbers[-1])} if numbers else {})}
    try:
        return pattern.format(**values)
    except (KeyError, IndexError, ValueError) as error:
        raise InputError(
            f"the pattern {pattern!r} does not fit: {error}", record=image, action="Use {stem} or {number}"
        ) from None


def read_regions(
    source: RegionSource, names: Sequence[str], *, pool: ThreadPoolExecutor | None = None, **limits: Any
) -> Regions:
    """Regions of the images with these file names; region 0 is the mean of an image's features (our choice).

    Args:
        source: where they are.
        names: one for each image, see `file_name`.
        pool: reads and unpacks several at a time.
        limits: `threshold`, `fewest`, `most` of `most_confident`.

    Raises:
        InputError: as `most_confident` and `RegionSource.read`, or widths differ.
    """
    images = list((pool.map if pool else map)(partial(_image, source, limits), names))
    if not images:
        raise InputError("no images to read", action="Give at least one name")
    longest, width = 1 + max(len(features) for features, _ in images), images[0][0].shape[1]
    features, boxes = torch.zeros(len(images), longest, width), torch.zeros(len(images), longest, 7)
    for row, (found, places) in enumerate(images):
        if found.shape[1] != width:
            where = source.place(names[row])._asdict()
            raise InputError(f"{found.shape[1]} wide, others {width}", **where, field="features", action=AGAIN)
        features[row, : 1 + len(found)] = torch.from_numpy(np.concatenate([found.mean(axis=0, keepdims=True), found]))
        boxes[row, : 1 + len(found)] = _with_whole(places)
    counts = torch.tensor([1 + len(found) for found, _ in images])
    return Regions(
        features=features,
        boxes=boxes,
        mask=torch.arange(longest) < counts[:, None],
        pooled=None,
        left_out=torch.zeros(len(images), dtype=torch.long),
    )


def _image(source: RegionSource, limits: Mapping[str, Any], name: str) -> tuple[np.ndarray, np.ndarray]:
    return most_confident(source.read(name), source.place(name), **limits)


def _with_whole(boxes: np.ndarray) -> Tensor:
    return torch.from_numpy(geometry(np.concatenate([np.asarray([WHOLE], np.float32), boxes])))
