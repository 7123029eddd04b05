"""COCO captions with Karpathy's splits: ``annotations/captions_{train,val}2014.json`` and ``dataset_coco.json``.

Captions come from the official annotation files, the split from Karpathy's file: train and restval are `train`, val is
`dev`, test is `test`. Boxes come from ``annotations/instances_{train,val}2014.json``. Of the images of test2015 nothing
but the pictures is public: they are `unlabelled`, without captions and boxes.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from io import BytesIO
from pathlib import Path

from PIL import Image

from vldistill.errors import InputError
from vldistill.files import read_json
from vldistill.records.fields import MEND, Row, Unique, document
from vldistill.records.places import ImageFile, exists, find, find_image, image_folders
from vldistill.records.regions import BoxCheck, RegionsRecord, size
from vldistill.records.types import UNLABELLED, CaptionRecord

ANNOTATIONS = ("annotations/captions_train2014.json", "annotations/captions_val2014.json")
INSTANCES = ("annotations/instances_train2014.json", "annotations/instances_val2014.json")
KARPATHY = "dataset_coco.json"
TEST2015 = "test2015"
TOLERATED = 0.01
"""Share of boxes with a blemish; COCO holds a few without any width."""
SPLIT_OF = {"train": "train", "restval": "train", "val": "dev", "test": "test"}


def read_caption_file(file: Path) -> tuple[dict[int, Row], dict[int, list[str]]]:
    """Read a captions JSON file of COCO's format.

    Returns:
        The image entries, and the captions, both by image id.

    Raises:
        InputError: names file, record and field.
    """
    top = document(read_json(file), file)
    images: dict[int, Row] = {}
    ids = Unique()
    for row in top.rows("images"):
        number = row.get("id", int)
        ids.add(row, "id", number)
        row.text("file_name")
        images[number] = row
    captions: dict[int, list[str]] = {number: [] for number in images}
    ids = Unique()
    for row in top.rows("annotations"):
        ids.add(row, "id", row.get("id", int))
        number = row.get("image_id", int)
        if number not in captions:
            raise row.error(f"image {number} is not in the file's images", "image_id")
        captions[number].append(row.text("caption"))
    return images, captions


def image_names(folder: Path) -> dict[int, str]:
    """File name of every COCO image by its id, from the annotation files of ``folder``."""
    return {
        number: row.text("file_name")
        for name in ANNOTATIONS
        for number, row in read_caption_file(find(folder, name))[0].items()
    }


def read(folder: Path) -> tuple[list[CaptionRecord], dict[str, ImageFile]]:
    """Read COCO with Karpathy's splits.

    Returns:
        The records in the order of ``dataset_coco.json``, and the image files by key.

    Raises:
        InputError: a broken file, or an image without a file or captions; names file, record and field.
    """
    captions: dict[int, list[str]] = {}
    for name in ANNOTATIONS:
        captions |= read_caption_file(find(folder, name))[1]
    file = find(folder, KARPATHY)
    folders = {name: image_folders(folder, name) for name in ("train2014", "val2014")}
    ids = Unique()
    records, images = [], {}
    for row in document(read_json(file), file).rows("images"):
        number = row.get("cocoid", int)
        ids.add(row, "cocoid", number)
        if not captions.get(number):
            raise row.error(f"image {number} has no captions in the annotation files", "cocoid")
        key = row.text("filename")
        images[key] = find_image(row, folders[row.choice("filepath", folders)], key, "filename")
        split = SPLIT_OF[row.choice("split", SPLIT_OF)]
        records.append(CaptionRecord(str(number), key, captions[number], split))
    if not records:
        raise InputError("holds no images", file=file, field="images", action="Fetch it again")
    return records, images


def test_images(folder: Path) -> dict[str, ImageFile]:
    """The images of test2015 by key, from the folder of that name in ``folder``."""
    pattern = f"COCO_{TEST2015}_{'[0-9]' * 12}.jpg"
    places = image_folders(folder, TEST2015)
    return {path.name: ImageFile(path) for place in places for path in sorted(place.glob(pattern))}


def test_image_names(folder: Path) -> dict[int, str]:
    """File name of every image of test2015 by its id, which the name holds."""
    return {_number(key): key for key in test_images(folder)}


def unlabelled(images: Mapping[str, ImageFile]) -> list[CaptionRecord]:
    """Records of the images of test2015, which have no captions."""
    return [CaptionRecord(str(_number(key)), key, [], UNLABELLED) for key in images]


def unlabelled_regions(images: Mapping[str, ImageFile]) -> list[RegionsRecord]:
    """The images of test2015 as a whole: nobody has drawn boxes on them.

    Raises:
        InputError: a file is no image.
    """
    return [RegionsRecord(key, *_size(image), [], []) for key, image in images.items()]


def _number(key: str) -> int:
    return int(Path(key).stem.rpartition("_")[2])


def _size(image: ImageFile) -> tuple[int, int]:
    try:
        return Image.open(BytesIO(image.read())).size
    except (OSError, Image.DecompressionBombError):
        raise InputError("not an image", file=image.path, action=MEND) from None


def has_regions(folder: Path) -> bool:
    """Whether there are files with boxes; only region-based students need them."""
    return any(exists(folder, name) for name in INSTANCES)


def read_regions(folder: Path, keys: Collection[str]) -> tuple[list[RegionsRecord], dict[str, int]]:
    """The boxes of the images ``keys``, in the order of the keys, and counts; those of crowds are left out.

    Raises:
        InputError: a broken file, an image that none of them names, or too many blemished boxes.
    """
    check = BoxCheck(TOLERATED)
    found: dict[str, RegionsRecord] = {}
    for name in INSTANCES:
        found |= _instances(find(folder, name), check)
    for key in sorted(keys):
        if key not in found:
            file = find(folder, INSTANCES[key.startswith("COCO_val2014")])
            raise InputError(f"does not name the image {key}", file=file, field="images", action=MEND)
    return [found[key] for key in sorted(keys)], check.finish()


def _instances(file: Path, check: BoxCheck) -> dict[str, RegionsRecord]:
    top = document(read_json(file), file)
    classes = {row.get("id", int): row.text("name") for row in top.rows("categories")}
    images: dict[int, RegionsRecord] = {}
    ids = Unique()
    for row in top.rows("images"):
        ids.add(row, "id", row.get("id", int))
        images[row.get("id", int)] = RegionsRecord(row.text("file_name"), *size(row), [], [])
    ids = Unique()
    for row in top.rows("annotations"):
        ids.add(row, "id", row.get("id", int))
        image, category = row.get("image_id", int), row.get("category_id", int)
        for known, number, field in ((images, image, "image_id"), (classes, category, "category_id")):
            if number not in known:
                raise row.error(f"{number} is not in the file", field)
        x, y, width, height = row.numbers("bbox", 4)
        place = images[image]
        box = check.check(row, "bbox", [x, y, x + width, y + height], place.width, place.height)
        if box is not None and not row.get("iscrowd", int):
            place.boxes.append(box)
            place.names.append(classes[category])
    return {record.image: record for record in images.values()}
