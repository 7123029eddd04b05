"""``regions.jsonl``: the boxes of every image of a set, which a region-based student sees."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from vldistill.errors import InputError
from vldistill.files import read_jsonl, write_jsonl
from vldistill.records.fields import Row, Unique

REGIONS = "regions.jsonl"
ROUNDING = 1.0
"""Pixels that a box may reach over its picture: tools round and count from 0 or from 1."""


@dataclass(frozen=True, slots=True)
class RegionsRecord:
    """The boxes of one image (coco, flickr30k, vcr, vg).

    Attributes:
        image: key of the image in the set's ``images.zip``.
        width: of the image as annotated, in pixels. The stored image may be smaller (`download.resize`): divide by it.
        height: as width.
        boxes: [x1, y1, x2, y2] in pixels of width and height, in the order that object indices refer to.
        names: the class of each box; empty where the set does not tell.
    """

    image: str
    width: int
    height: int
    boxes: list[list[float]]
    names: list[str]


class BoxCheck:
    """Checks the boxes of one set, and mends the blemishes that official annotations are known to have.

    A box that reaches over the picture is cut off there, one without any area inside it is left out; both count as
    blemishes (but for `ROUNDING`).

    Args:
        tolerated: the largest share of blemished boxes; with 0 the first one is an error at once.
    """

    def __init__(self, tolerated: float = 0.0) -> None:
        self.tolerated = tolerated
        self.boxes = self.clipped = self.dropped = 0
        self._first: InputError | None = None

    def check(self, row: Row, field: str, box: Sequence[float], width: int, height: int) -> list[float] | None:
        """The part of ``box`` = x1, y1, x2, y2 inside the picture; None where there is none.

        Raises:
            InputError: a blemish, and none is tolerated; names the record and the field.
        """
        self.boxes += 1
        x1, y1, x2, y2 = box
        inside = [max(x1, 0.0), max(y1, 0.0), min(x2, float(width)), min(y2, float(height))]
        kept = inside if inside[0] < inside[2] and inside[1] < inside[3] else None
        over = max(abs(part - whole) for part, whole in zip(inside, box, strict=True))
        if kept is None or over > ROUNDING:
            fault = "partly outside the picture" if kept else "outside the picture, or without area"
            self._blemish(row.error(f"the box {_shown(box)} is {fault} of {width} x {height} pixels", field))
            self.clipped += kept is not None
            self.dropped += kept is None
        return kept

    def _blemish(self, error: InputError) -> None:
        if not self.tolerated:
            raise error
        self._first = self._first or error

    def finish(self) -> dict[str, int]:
        """Counts for the manifest: {boxes, boxes_clipped, boxes_dropped}.

        Raises:
            InputError: more blemishes than are tolerated; names the first.
        """
        if self._first and self.clipped + self.dropped > self.tolerated * self.boxes:
            raise self._first
        return {"boxes": self.boxes, "boxes_clipped": self.clipped, "boxes_dropped": self.dropped}


def _shown(box: Sequence[float]) -> str:
    return f"[{', '.join(f'{value:g}' for value in box)}]"


def write_regions(folder: Path, regions: Iterable[RegionsRecord]) -> int:
    """Write ``regions.jsonl`` into ``folder``; returns how many images it is about."""
    return write_jsonl(folder / REGIONS, (dataclasses.asdict(record) for record in regions))


def read_regions(folder: str | Path) -> dict[str, RegionsRecord]:
    """The boxes of the images of the artifact ``folder``, by image key.

    Raises:
        InputError: the file is missing or broken; names the line and the field.
    """
    file = Path(folder) / REGIONS
    keys = Unique()
    found: dict[str, RegionsRecord] = {}
    known = [field.name for field in dataclasses.fields(RegionsRecord)]
    for number, value in enumerate(read_jsonl(file), start=1):
        row = Row(value, file, f"line {number}")
        for field in row.value:
            if field not in known:
                raise row.error(f"unknown; a RegionsRecord has {', '.join(known)}", field)
        record = _record(row)
        keys.add(row, "image", record.image)
        found[record.image] = record
    return found


def _record(row: Row) -> RegionsRecord:
    width, height = size(row)
    names = row.names("names")
    boxes = row.get("boxes", list)
    if len(boxes) != len(names):
        raise row.error(f"{len(boxes)} boxes, but {len(names)} names", "boxes")
    check = BoxCheck()
    for index in range(len(boxes)):
        check.check(row, f"boxes[{index}]", row.numbers("boxes", 4, index), width, height)
    return RegionsRecord(row.text("image"), width, height, boxes, names)


def size(row: Row) -> tuple[int, int]:
    """Width and height of a picture, from the fields of these names."""
    width, height = row.get("width", int), row.get("height", int)
    for field, value in (("width", width), ("height", height)):
        if value < 1:
            raise row.error(f"{value} pixels", field)
    return width, height
