"""Region features from files that the user has: bottom-up attention features as UNITER distributes them.

An image's file is an ``.npz`` with ``features`` [n, 2048] and ``norm_bb`` [n, 6] (x1, y1, x2, y2, w, h as shares),
most confident box first, and their confidence ``conf`` [n]. Either each is a file of its own in a folder, or all are
values of an LMDB, which UNITER calls ``..._compressed``. The LMDBs of its other kind, in msgpack, are not read.

The name of an image's file follows from its key (`PATTERNS`), or stands in ``names.json`` beside the files. Where these
are: `vldistill.models.region_folders`.
"""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from vldistill.errors import InputError
from vldistill.models.region_folders import names_of
from vldistill.models.regions import WHOLE, Regions, geometry

THRESHOLD, FEWEST, MOST = 0.2, 10, 100
LMDB_FILE = "data.mdb"
PATTERNS = {
    "coco": "{stem}.npz",
    "flickr30k": "flickr30k_{number:012d}.npz",
    "vcr": "{stem}.npz",
    "vg": "vg_{number:012d}.npz",
}
READERS = 4


class RegionSource(Protocol):
    """Where an image's bytes are; `read` raises InputError for a name that is not there."""

    def read(self, name: str) -> bytes:
        """The ``.npz`` of one image."""


class FolderSource:
    """A folder of ``.npz`` files."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def read(self, name: str) -> bytes:
        """The bytes of one file."""
        try:
            return (self.folder / name).read_bytes()
        except OSError as error:
            raise InputError(
                f"no region features: {error.strerror}", file=self.folder / name, action="Supply the file"
            ) from None


class LmdbSource:
    """An LMDB folder whose values are ``.npz`` files.

    Raises:
        InputError: the package ``lmdb`` is missing, or the folder is no LMDB.
    """

    def __init__(self, folder: Path) -> None:
        try:
            import lmdb
        except ModuleNotFoundError:
            raise InputError(
                "the package lmdb is not installed", file=folder, action="Run: pip install lmdb; or give .npz files"
            ) from None
        self.folder = folder
        try:
            # no lock file: the folder may be on a read-only disk, and nobody writes
            self._environment = lmdb.open(str(folder), readonly=True, create=False, lock=False)
        except lmdb.Error as error:
            raise InputError(f"not an LMDB: {error}", file=folder, action="Check the path") from None

    def read(self, name: str) -> bytes:
        """The bytes of one value."""
        with self._environment.begin() as transaction:
            value = transaction.get(name.encode())
        if value is None:
            raise InputError("no region features", file=self.folder, record=name, action="Check the naming pattern")
        return bytes(value)


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


def parse_npz(
    data: bytes, name: str, *, threshold: float = THRESHOLD, fewest: int = FEWEST, most: int = MOST
) -> tuple[np.ndarray, np.ndarray]:
    """Features [n, F] and boxes [n, 4] of one image; as many of the first boxes as UNITER takes.

    Args:
        data: the ``.npz``.
        name: what errors call it.
        threshold: boxes above this confidence count,
        fewest: but at least so many are taken where there are,
        most: and no more than these.

    Raises:
        InputError: the file is broken, or an array is missing or of a wrong shape; names it.
    """
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as archive:
            arrays = {field: archive[field] for field in ("features", "norm_bb", "conf")}
    except KeyError as error:
        raise InputError(f"missing: {error}", file=name, field=str(error).strip("'\" "), action=_AGAIN) from None
    except (ValueError, OSError, EOFError, zipfile.BadZipFile) as error:
        raise InputError(f"not a readable .npz: {error}", file=name, action=_AGAIN) from None
    count = len(arrays["features"])
    for field, shape in (("features", (count, -1)), ("norm_bb", (count, 6)), ("conf", (count,))):
        found = arrays[field].shape
        if len(found) != len(shape) or any(want not in (-1, have) for want, have in zip(shape, found, strict=True)):
            raise InputError(f"shape {found} beside {count} boxes", file=name, field=field, action=_AGAIN)
    if not count:
        raise InputError("no boxes", file=name, field="features", action=_AGAIN)
    taken = min(max(int((arrays["conf"] > threshold).sum()), fewest), most)
    return arrays["features"][:taken].astype(np.float32), arrays["norm_bb"][:taken, :4].astype(np.float32)


def read_regions(
    source: RegionSource, names: Sequence[str], *, pool: ThreadPoolExecutor | None = None, **limits: Any
) -> Regions:
    """Regions of the images with these file names; region 0 is the mean of an image's features (our choice).

    Args:
        source: where they are.
        names: one for each image, see `file_name`.
        pool: reads and unpacks several at a time.
        limits: `threshold`, `fewest`, `most` of `parse_npz`.

    Raises:
        InputError: as `parse_npz` and `RegionSource.read`, or widths differ.
    """
    images = list((pool.map if pool else map)(partial(_image, source, limits), names))
    if not images:
        raise InputError("no images to read", action="Give at least one name")
    longest, width = 1 + max(len(features) for features, _ in images), images[0][0].shape[1]
    features, boxes = torch.zeros(len(images), longest, width), torch.zeros(len(images), longest, 7)
    for row, (found, places) in enumerate(images):
        if found.shape[1] != width:
            raise InputError(f"{found.shape[1]} wide, others {width}", file=names[row], field="features", action=_AGAIN)
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
    return parse_npz(source.read(name), name, **limits)


def _with_whole(boxes: np.ndarray) -> Tensor:
    return torch.from_numpy(geometry(np.concatenate([np.asarray([WHOLE], np.float32), boxes])))


_AGAIN = "Fetch or extract the features again"
