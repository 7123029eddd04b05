"""The arrays of one image's regions, in the two formats that UNITER stores them in.

``features`` [n, 2048], ``norm_bb`` [n, 6] (x1, y1, x2, y2, w, h as shares), most confident box first, and the
confidence ``conf`` [n]. Either as ``.npz``, or as msgpack of an object whose arrays the package msgpack-numpy encodes.
"""

from __future__ import annotations

import importlib
import io
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from vldistill.errors import InputError

Arrays = Mapping[str, np.ndarray]
FIELDS = ("features", "norm_bb", "conf")
THRESHOLD, FEWEST, MOST = 0.2, 10, 100
AGAIN = "Fetch or extract the features again"


def is_npz(data: bytes) -> bool:
    """Whether this is a zip archive; msgpack of an object never begins so."""
    return data.startswith(b"PK")


class Place(NamedTuple):
    """Where an image's arrays are, for errors: a file, or a record of one."""

    file: Path
    record: str | None = None


def from_npz(data: bytes, place: Place) -> Arrays:
    """The arrays of an ``.npz`` that lies at ``place``.

    Raises:
        InputError: it is broken, or an array is missing.
    """
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as archive:
            return {field: archive[field] for field in FIELDS}
    except KeyError as error:
        raise InputError(f"missing: {error}", **place._asdict(), field=str(error).strip("'\" "), action=AGAIN) from None
    except (ValueError, OSError, EOFError, zipfile.BadZipFile) as error:
        raise InputError(f"not a readable .npz: {error}", **place._asdict(), action=AGAIN) from None


def from_msgpack(data: bytes, place: Place) -> Arrays:
    """The arrays of a msgpack value that lies at ``place``.

    Raises:
        InputError: it is broken, an array is missing, or a package is.
    """
    msgpack, coding = package("msgpack", place.file), package("msgpack_numpy", place.file)

    def decoded(value: dict[Any, Any]) -> Any:
        # msgpack-numpy unpickles what is no array of numbers, and a pickle may run any code
        if value.get(b"kind") == b"O":
            raise ValueError("pickled objects")
        return coding.decode(value)

    try:
        found = msgpack.unpackb(data, raw=False, object_hook=decoded)
    except (ValueError, TypeError) as error:
        raise InputError(f"neither .npz nor readable msgpack: {error}", **place._asdict(), action=AGAIN) from None
    for field in FIELDS:
        if not isinstance(found, dict) or not isinstance(found.get(field), np.ndarray):
            raise InputError("no such array in the msgpack value", **place._asdict(), field=field, action=AGAIN)
    return {field: found[field] for field in FIELDS}


def most_confident(
    arrays: Arrays, place: Place, *, threshold: float = THRESHOLD, fewest: int = FEWEST, most: int = MOST
) -> tuple[np.ndarray, np.ndarray]:
    """Features [n, F] and boxes [n, 4] of one image; as many of the first boxes as UNITER takes.

    Args:
        arrays: as they are stored.
        place: where they are.
        threshold: boxes above this confidence count,
        fewest: but at least so many are taken where there are,
        most: and no more than these.

    Raises:
        InputError: an array has a wrong shape; names it.
    """
    count = len(arrays["features"])
    for field, shape in (("features", (count, -1)), ("norm_bb", (count, 6)), ("conf", (count,))):
        found = arrays[field].shape
        if len(found) != len(shape) or any(want not in (-1, have) for want, have in zip(shape, found, strict=True)):
            raise InputError(f"shape {found} beside {count} boxes", **place._asdict(), field=field, action=AGAIN)
    if not count:
        raise InputError("no boxes", **place._asdict(), field="features", action=AGAIN)
    taken = min(max(int((arrays["conf"] > threshold).sum()), fewest), most)
    return arrays["features"][:taken].astype(np.float32), arrays["norm_bb"][:taken, :4].astype(np.float32)


def package(module: str, file: str | Path) -> Any:
    """A package of the extra ``regions``.

    Raises:
        InputError: it is not installed.
    """
    name = module.replace("_", "-")
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError:
        raise InputError(
            f"the package {name} is not installed", file=file, action=f"Run: pip install {name}; or give .npz files"
        ) from None
