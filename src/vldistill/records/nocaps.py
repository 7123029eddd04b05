"""NoCaps validation set: ``nocaps_val_4500_captions.json`` and ``validation/``.

COCO's format with a domain for each image. The set has no training part, and the answers of its test part are not
public: the validation images are our `test`.
"""

from __future__ import annotations

from pathlib import Path

from vldistill.records.coco import read_caption_file
from vldistill.records.places import ImageFile, find, find_image, image_folders
from vldistill.records.types import CaptionRecord

CAPTIONS = "nocaps_val_4500_captions.json"
IMAGES = "validation"  # of Open Images, whence they come
DOMAINS = ("in-domain", "near-domain", "out-domain")


def image_domains(folder: Path) -> dict[int, tuple[str, str]]:
    """File name and domain of every image, by its id."""
    images, _ = read_caption_file(find(folder, CAPTIONS))
    return {number: (row.text("file_name"), row.choice("domain", DOMAINS)) for number, row in images.items()}


def read(folder: Path) -> tuple[list[CaptionRecord], dict[str, ImageFile]]:
    """Read NoCaps.

    Returns:
        The records in the file's order, and the image files by key.

    Raises:
        InputError: a broken file or a missing image; names file, record and field.
    """
    rows, captions = read_caption_file(find(folder, CAPTIONS))
    folders = image_folders(folder, IMAGES)
    records, images = [], {}
    for number, row in rows.items():
        key, domain = row.text("file_name"), row.choice("domain", DOMAINS)
        if not captions[number]:
            raise row.error("no captions for this image", "id")
        images[key] = find_image(row, folders, key, "file_name")
        records.append(CaptionRecord(str(number), key, captions[number], "test", domain))
    return records, images
