"""VCR v1: ``{train,val,test}.jsonl`` and ``vcr1images/`` with a metadata JSON file (boxes, names) beside each image.

Labels of the official test part are not public, so the official val is our `test`; our dev is carved from train, by
movie, when the id lists are made (stage `split`). The official test part is kept as `unlabelled`, for the leaderboard.
"""

from __future__ import annotations

from pathlib import Path

from vldistill.errors import InputError
from vldistill.files import read_json, read_jsonl
from vldistill.records.fields import Row, Unique, document
from vldistill.records.places import ImageFile, find, find_image, image_folders
from vldistill.records.regions import BoxCheck, RegionsRecord, size
from vldistill.records.types import CHOICES, UNLABELLED, ChoiceRecord

# our split -> official part
PARTS = {"train": "train", "test": "val", UNLABELLED: "test"}
IMAGES = "vcr1images"


def read(folder: Path) -> tuple[list[ChoiceRecord], dict[str, ImageFile], list[RegionsRecord], dict[str, int]]:
    """Read VCR.

    Returns:
        The records in the files' order, the image files by key, the boxes in the order of the keys, and counts.

    Raises:
        InputError: a broken or missing file or image, an index or a label out of range, a box outside its picture;
            names file, record and field.
    """
    folders = image_folders(folder, IMAGES)
    records: list[ChoiceRecord] = []
    images: dict[str, ImageFile] = {}
    regions: dict[str, RegionsRecord] = {}
    check, ids = BoxCheck(), Unique()
    for split, part in PARTS.items():
        file = find(folder, f"{part}.jsonl")
        for number, value in enumerate(read_jsonl(file), start=1):
            row = Row(value, file, f"line {number}")
            record, metadata = read_record(row, split), row.text("metadata_fn")
            ids.add(row, "annot_id", record.id)
            if record.image not in images:
                images[record.image] = find_image(row, folders, record.image, "img_fn")
                file_of_boxes = find_image(row, folders, metadata, "metadata_fn").path
                regions[record.image] = _regions(file_of_boxes, record.image, check)
            if record.objects != regions[record.image].names:
                raise row.error("other objects than in the image's metadata file", "objects")
            records.append(record)
        if split != UNLABELLED and (not records or records[-1].split != split):
            raise InputError("holds no questions", file=file, action="Unpack the annotations again")
    return records, images, [regions[key] for key in sorted(regions)], check.finish()


def read_record(row: Row, split: str) -> ChoiceRecord:
    """One line of an annotation file as a record; only that of an unlabelled part may lack labels.

    Raises:
        InputError: a field is missing, of a wrong type or out of range.
    """
    objects = row.names("objects")
    labels: list[int | None] = [None, None]
    if split != UNLABELLED:
        labels = [row.index(field, CHOICES) for field in ("answer_label", "rationale_label")]
    return ChoiceRecord(
        id=row.text("annot_id"),
        image=row.text("img_fn"),
        movie=row.text("movie"),
        objects=objects,
        question=row.tokens("question", len(objects)),
        answers=row.choices("answer_choices", CHOICES, len(objects)),
        answer_label=labels[0],
        rationales=row.choices("rationale_choices", CHOICES, len(objects)),
        rationale_label=labels[1],
        split=split,
    )


def _regions(file: Path, key: str, check: BoxCheck) -> RegionsRecord:
    """The boxes of a metadata file; their order is what object indices refer to, so none may be left out."""
    top = document(read_json(file), file)
    width, height = size(top)
    names, boxes = top.names("names"), top.get("boxes", list)
    if len(boxes) != len(names):
        raise top.error(f"{len(boxes)} boxes, but {len(names)} names", "boxes")
    kept = []
    for index in range(len(boxes)):
        # x1, y1, x2, y2 and the detector's score
        box = check.check(top, f"boxes[{index}]", top.numbers("boxes", 4, index), width, height)
        assert box is not None  # no blemish is tolerated here
        kept.append(box)
    return RegionsRecord(key, width, height, kept, names)
