"""Flickr30k: the images, and the boxes of Flickr30k Entities (``Annotations/ID.xml``).

The official names of the boxes are numbers of chains of mentions, without a meaning of their own: they become empty.
"""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from vldistill.errors import InputError
from vldistill.records.fields import MEND, Row, document
from vldistill.records.places import ImageFile, find, image_folders
from vldistill.records.regions import BoxCheck, RegionsRecord, size

# as the archive of the official form and as a mirror of it call the folder
IMAGES = ("flickr30k-images", "flickr30k_images")
BOXES = "Annotations"
CORNERS = ("xmin", "ymin", "xmax", "ymax")
TOLERATED = 0.01
"""Share of boxes with a blemish; drawn by hand, and not known to be free of them."""


def image_files(folder: Path) -> dict[str, ImageFile]:
    """The images by key, which is their file name.

    Raises:
        InputError: there are none.
    """
    folders = [place for name in IMAGES for place in image_folders(folder, name)]
    images = {path.name: ImageFile(path) for place in folders for path in sorted(place.glob("*.jpg"))}
    if not images:
        raise InputError(f"no images in a folder {' or '.join(IMAGES)}", file=folder, action="See docs/data.md")
    return images


def read(folder: Path) -> tuple[dict[str, ImageFile], list[RegionsRecord], dict[str, int]]:
    """Read the images and their boxes.

    Returns:
        The image files by key, the boxes in the order of the keys, and counts.

    Raises:
        InputError: a broken file, an image without boxes' file, or too many blemished boxes; names file, record and
            field.
    """
    images = image_files(folder)
    check = BoxCheck(TOLERATED)
    regions = [_regions(find(folder, f"{BOXES}/{Path(key).stem}.xml"), key, check) for key in sorted(images)]
    return images, regions, check.finish()


def _regions(file: Path, key: str, check: BoxCheck) -> RegionsRecord:
    try:
        root = ElementTree.fromstring(file.read_bytes())
    except ElementTree.ParseError as error:
        line, column = error.position
        raise InputError(
            f"not valid XML: {error.msg} at column {column + 1}", file=file, record=f"line {line}", action=MEND
        ) from None
    top = document({part.tag: _fields(part) for part in root}, file)
    top.get("size", dict)
    width, height = size(Row(top.value["size"], file, "size"))
    boxes, names = [], []
    for index, thing in enumerate(root.iterfind("object")):
        row = Row(_fields(thing), file, f"object[{index}]")
        name = str(row.value.get("name", ""))
        for corners in thing.iterfind("bndbox"):  # none where the mention is the whole scene or cannot be seen
            place = Row(_fields(corners), file, row.name)
            box = check.check(place, "bndbox", [place.number(field) for field in CORNERS], width, height)
            if box is not None:
                boxes.append(box)
                names.append("" if name.isdigit() else name)
    return RegionsRecord(key, width, height, boxes, names)


def _fields(parts: Iterable[ElementTree.Element]) -> dict[str, Any]:
    """Texts and numbers below an element by tag; the first of equal tags, for a thing in several chains has as many."""
    found: dict[str, Any] = {}
    for part in parts:
        text = (part.text or "").strip()
        found.setdefault(part.tag, int(text) if re.fullmatch(r"-?\d+", text) else text)
    return found
