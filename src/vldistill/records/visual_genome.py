"""Visual Genome: phrases about boxes (``region_descriptions.json``), object boxes (``objects.json``), image sizes.

The phrases ground a cross-modal student before any task; all of them are `train`. A phrase may refer to an object by a
tag of its own, as the miniature world's do; here it is just text.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from vldistill.errors import InputError
from vldistill.files import read_json
from vldistill.records.fields import MEND, Row, Unique, listing
from vldistill.records.places import ImageFile, find, find_image, image_folders
from vldistill.records.regions import BoxCheck, RegionsRecord, size
from vldistill.records.types import PhraseRecord

SIZES, PHRASES, OBJECTS = "image_data.json", "region_descriptions.json", "objects.json"
IMAGES = ("VG_100K", "VG_100K_2")
TOLERATED = 0.05
"""Share of boxes with a blemish; the official files are known to hold boxes that reach over their pictures."""


def read(folder: Path) -> tuple[list[PhraseRecord], dict[str, ImageFile], list[RegionsRecord], dict[str, int]]:
    """Read the phrases, the images that they are about, and those images' object boxes.

    Returns:
        The records in the file's order, the image files by key, the boxes in the order of the keys, and counts.

    Raises:
        InputError: a broken file, a missing image, or too many blemished boxes; names file, record and field.
    """
    sizes = _sizes(find(folder, SIZES))
    folders = [place for name in IMAGES for place in image_folders(folder, name)]
    records: list[PhraseRecord] = []
    images: dict[str, ImageFile] = {}
    check, ids = BoxCheck(TOLERATED), Unique()
    file = find(folder, PHRASES)
    for row, number in _images(file, "id"):
        width, height = _size(sizes, row, number, "id")
        images[image_key(number)] = find_image(row, folders, image_key(number), "id")
        for region in row.rows("regions"):
            identity = region.get("region_id", int)
            ids.add(region, "region_id", identity)
            box = check.check(region, "x", _box(region, "width", "height"), width, height)
            if box is not None:
                records.append(PhraseRecord(str(identity), image_key(number), region.text("phrase"), box, "train"))
    if not records:
        raise InputError("holds no phrases", file=file, action="Fetch it again")
    objects = _objects(find(folder, OBJECTS), sizes, check)
    for key in images:
        if key not in objects:
            raise InputError(
                f"does not name the image {key}", file=find(folder, OBJECTS), field="image_id", action=MEND
            )
    return records, images, [objects[key] for key in sorted(images)], check.finish()


def image_key(number: int) -> str:
    """The key of an image, which is its file name."""
    return f"{number}.jpg"


def _images(file: Path, field: str) -> Iterator[tuple[Row, int]]:
    ids = Unique()
    for row in listing(read_json(file), file):
        number = row.get(field, int)
        ids.add(row, field, number)
        yield row, number


def _sizes(file: Path) -> dict[int, tuple[int, int]]:
    return {number: size(row) for row, number in _images(file, "image_id")}


def _size(sizes: dict[int, tuple[int, int]], row: Row, number: int, field: str) -> tuple[int, int]:
    if number not in sizes:
        raise row.error(f"image {number} is not in {SIZES}", field)
    return sizes[number]


def _box(row: Row, width: str, height: str) -> list[float]:
    x, y = row.number("x"), row.number("y")
    return [x, y, x + row.number(width), y + row.number(height)]


def _objects(file: Path, sizes: dict[int, tuple[int, int]], check: BoxCheck) -> dict[str, RegionsRecord]:
    found = {}
    for row, number in _images(file, "image_id"):
        width, height = _size(sizes, row, number, "image_id")
        boxes, names = [], []
        for thing in row.rows("objects"):
            box = check.check(thing, "x", _box(thing, "w", "h"), width, height)
            if box is not None:
                boxes.append(box)
                names.append(next(iter(thing.names("names")), ""))
        found[image_key(number)] = RegionsRecord(image_key(number), width, height, boxes, names)
    return found
