"""Conceptual Captions: ``Train_GCC-training.tsv`` (caption, tab, address; no header) and ``images/``.

An image's file name is made from its address (`image_name`), so that it does not depend on the order of rows. Rows of
one address are captions of one image.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from vldistill.errors import InputError
from vldistill.records.types import CaptionRecord

PAIRS = "Train_GCC-training.tsv"
IMAGES = "images"


def image_name(url: str) -> str:
    """The file name under which the image of ``url`` is kept."""
    return hashlib.sha256(url.encode("utf-8")).hexdigest()[:20] + ".jpg"


def read_pairs(file: Path) -> dict[str, list[str]]:
    """Captions by address, in the order of the file; equal rows count once.

    Raises:
        InputError: not UTF-8, or a line that is not a caption, a tab and an address; names the line.
    """
    if not file.is_file():
        raise InputError("no such file", file=file, action="Fetch it, or check the folder")
    captions: dict[str, list[str]] = {}
    with open(file, "rb") as handle:
        for number, line in enumerate(handle, start=1):
            caption, url = _pair(line, file, number)
            known = captions.setdefault(url, [])
            if caption not in known:
                known.append(caption)
    return captions


def _pair(line: bytes, file: Path, number: int) -> tuple[str, str]:
    try:
        parts = line.rstrip(b"\r\n").decode("utf-8").split("\t")
    except UnicodeDecodeError as error:
        raise _row_error(
            file, number, f"not UTF-8: byte 0x{line[error.start]:02x} in column {error.start + 1}"
        ) from None
    if len(parts) != 2:
        raise _row_error(file, number, f"{len(parts)} columns instead of 2 (caption, tab, address)")
    for value, field in zip(parts, ("caption", "url"), strict=True):
        if not value.strip():
            raise _row_error(file, number, "empty", field)
    if "://" not in parts[1]:
        raise _row_error(file, number, f"{parts[1]!r} is no address", "url")
    return parts[0], parts[1]


def read(folder: Path, least_found: float) -> tuple[list[CaptionRecord], dict[str, Path], dict[str, int]]:
    """Read the pairs whose images were got.

    Args:
        folder: holds the TSV file and the images.
        least_found: the smallest share of images that must be there; addresses die, so less than all is normal.

    Returns:
        The records, the image files by key, and counts {addresses, found}.

    Raises:
        InputError: a broken file, or too many missing images; names the file and the first missing image.
    """
    file = folder / PAIRS
    pairs = read_pairs(file)
    records, images, missing = [], {}, []
    for url, captions in pairs.items():
        key = image_name(url)
        path = folder / IMAGES / key
        if not path.is_file():
            missing.append((url, path))
            continue
        images[key] = path
        records.append(CaptionRecord(path.stem, key, captions, "train"))
    if len(images) < least_found * len(pairs) or not images:
        url, path = missing[0] if missing else ("none", folder / IMAGES)
        raise InputError(
            f"{len(missing)} of {len(pairs)} images are missing, the first is {path}",
            file=file,
            record=url,
            field="url",
            action=f"Fetch the images, or lower download.least_found ({least_found})",
        )
    return records, images, {"addresses": len(pairs), "found": len(images)}


def _row_error(file: Path, line: int, problem: str, field: str | None = None) -> InputError:
    return InputError(problem, file=file, record=f"line {line}", field=field, action="Fetch the file again")
