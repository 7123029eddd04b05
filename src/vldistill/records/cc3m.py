"""Conceptual Captions: ``Train_GCC-training.tsv`` (caption, tab, address; no header) and ``images/``.

An image's file name is made from its address (`image_name`), so that it does not depend on the order of rows. Rows of
one address are captions of one image. img2dataset's shards are read as they are.
"""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from pathlib import Path

from vldistill.errors import InputError
from vldistill.records.fields import Row
from vldistill.records.places import ImageFile, find
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


def read(folder: Path, least_found: float) -> tuple[list[CaptionRecord], dict[str, ImageFile], dict[str, int]]:
    """Read the pairs whose images were got.

    Args:
        folder: holds the TSV file and the images.
        least_found: the smallest share of images that must be there; addresses die, so less than all is normal.

    Returns:
        The records, the image files by key, and counts {addresses, found}.

    Raises:
        InputError: a broken file, or too many missing images; names the file and the first missing image.
    """
    file = find(folder, PAIRS)
    pairs = read_pairs(file)
    there = _shard_images(folder / IMAGES) | _single_images(folder / IMAGES)
    images = {key: there[key] for url in pairs if (key := image_name(url)) in there}
    missing = [url for url in pairs if image_name(url) not in there]
    if len(images) < least_found * len(pairs) or not images:
        raise InputError(
            f"{len(missing)} of {len(pairs)} images are missing from {folder / IMAGES}",
            file=file,
            record=missing[0] if missing else None,
            field="url",
            action=f"Fetch the images, or lower download.least_found ({least_found})",
        )
    records = [
        CaptionRecord(key.removesuffix(".jpg"), key, captions, "train")
        for url, captions in pairs.items()
        if (key := image_name(url)) in images
    ]
    return records, images, {"addresses": len(pairs), "found": len(images)}


def _single_images(folder: Path) -> dict[str, ImageFile]:
    return {path.name: ImageFile(path) for path in folder.glob("*.jpg")}


def _shard_images(folder: Path) -> dict[str, ImageFile]:
    """The images in img2dataset's shards: ``NNNNN.tar`` with ``KEY.jpg`` and ``KEY.json``, whose ``url`` names it."""
    images: dict[str, ImageFile] = {}
    for shard in sorted(folder.glob("*.tar")):
        try:
            with tarfile.open(shard) as archive:
                members = {member.name: member for member in archive if member.isfile()}
                for name, member in members.items():
                    picture = members.get(f"{name.removesuffix('.json')}.jpg")
                    if not name.endswith(".json") or picture is None:
                        continue
                    row = Row(json.load(archive.extractfile(member) or io.BytesIO()), shard, name)
                    images[image_name(row.text("url"))] = ImageFile(shard, picture.offset_data, picture.size)
        except (tarfile.TarError, ValueError, EOFError) as error:
            if isinstance(error, InputError):
                raise
            raise InputError(f"broken shard: {error}", file=shard, action="Make it again with img2dataset") from None
    return images


def _row_error(file: Path, line: int, problem: str, field: str | None = None) -> InputError:
    return InputError(problem, file=file, record=f"line {line}", field=field, action="Fetch the file again")
