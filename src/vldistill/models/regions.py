"""Image regions as students see them: features of boxes, from a frozen teacher or from files.

Region 0 is the whole image, then come its boxes. From a teacher, each is a crop that goes through CLIP's image tower:
the pooled vector lies in the joint space with texts, the mean over the patch tokens is what the student is fed with.
Crops are squares, or the teacher's own resize rule would cut the ends off long ones: a box is extended by what is
around it, and by the teacher's mean colour where the image ends. Padding can be left out (`encode_regions`, ``pad``).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from vldistill.errors import InputError
from vldistill.records import RegionsRecord

if TYPE_CHECKING:
    # open_clip takes seconds to import, and those who train students need none of it
    from vldistill.models.teacher import ImageTower

WHOLE = (0.0, 0.0, 1.0, 1.0)
SLACK = 0.01  # of a pixel: a box on a pixel's edge must not take in the next pixel by rounding


@dataclass(frozen=True)
class Regions:
    """Regions of N images, padded to R each.

    Attributes:
        features: [N, R, F] fp32, the student's input.
        boxes: [N, R, 7] x1, y1, x2, y2, w, h, area, as shares of the image.
        mask: [N, R] bool.
        pooled: [N, R, d] fp32 in the teacher's joint space, not unit length; None for features from files.
        left_out: [N] number of an image's boxes beyond R.
    """

    features: Tensor
    boxes: Tensor
    mask: Tensor
    pooled: Tensor | None
    left_out: Tensor

    def __len__(self) -> int:
        return len(self.features)

    def batch(self, rows: Tensor) -> dict[str, Tensor]:
        """The region entries of a batch [B], without the columns that are padding in all of its rows."""
        mask = self.mask[rows]
        most = int(mask.sum(dim=1).max())
        return {
            "region_features": self.features[rows, :most],
            "region_boxes": self.boxes[rows, :most],
            "region_mask": mask[:, :most],
        }


def encode_regions(
    tower: ImageTower,
    images: Iterable[tuple[Image.Image, np.ndarray]],
    *,
    most: int,
    margin: float = 0.25,
    pad: bool = True,
    batch: int = 256,
) -> Regions:
    """Regions of images and their boxes through a frozen image tower.

    Args:
        tower: the teacher's image tower.
        images: pairs of an RGB image and its boxes [n, 4] x1, y1, x2, y2 as shares of the image (`shares`); read one
            after the other, so that they need not fit into memory together.
        most: largest number R of regions of an image, the whole one included; further boxes are left out.
        margin: how far a crop reaches over its box on each side, as a share of the box's longer side.
        pad: whether what is no square where the image ends is padded to one, or left to the tower's own resize rule.
        batch: crops that pass through the tower at once.

    Raises:
        InputError: a box is no box; names the image by its number.
    """
    boxes: list[np.ndarray] = []
    left_out: list[int] = []
    pooled, features = [], []
    crops = _crops(tower, images, most, margin, pad, boxes, left_out)
    while part := list(islice(crops, batch)):
        joint, patch = tower.encode_images(part)
        pooled.append(joint)
        features.append(patch.mean(dim=1))
    if not boxes:
        raise InputError("no images to encode", action="Give at least one")
    counts = [len(of_image) for of_image in boxes]
    return Regions(
        features=_padded(torch.cat(features), counts, most),
        boxes=_padded(torch.from_numpy(geometry(np.concatenate(boxes))), counts, most),
        mask=torch.arange(most) < torch.tensor(counts)[:, None],
        pooled=_padded(torch.cat(pooled), counts, most),
        left_out=torch.tensor(left_out),
    )


def region_boxes(images: Sequence[RegionsRecord], most: int) -> tuple[Tensor, Tensor, Tensor]:
    """The regions that `encode_regions` takes of N images.

    Args:
        images: their boxes.
        most: R.

    Returns:
        Boxes [N, R, 4] as shares of the image, which of them there are [N, R], and the number [N] of boxes beyond R.
    """
    boxes, counts = torch.zeros(len(images), most, 4), torch.zeros(len(images), dtype=torch.long)
    for row, image in enumerate(images):
        own = np.concatenate([np.asarray([WHOLE], np.float32), shares(image.boxes, image.width, image.height)])
        boxes[row, : len(own)] = torch.from_numpy(own[:most])
        counts[row] = len(own)
    return boxes, torch.arange(most) < counts[:, None], (counts - most).clamp(min=0)


def shares(boxes: Sequence[Sequence[float]], width: float, height: float) -> np.ndarray:
    """Boxes [n, 4] x1, y1, x2, y2 in pixels of an image of this size, as shares of it."""
    return np.asarray(boxes, dtype=np.float32).reshape(-1, 4) / np.asarray([width, height, width, height], np.float32)


def geometry(boxes: np.ndarray) -> np.ndarray:
    """UNITER's seven numbers [n, 7] of boxes [n, 4] in shares: x1, y1, x2, y2, w, h, w h."""
    size = boxes[:, 2:] - boxes[:, :2]
    return np.concatenate([boxes, size, size[:, :1] * size[:, 1:]], axis=1).astype(np.float32)


def intersection_over_union(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Of boxes [..., 4] x1, y1, x2, y2 of one unit; 0 for a box without area."""
    size = np.minimum(one[..., 2:], other[..., 2:]) - np.maximum(one[..., :2], other[..., :2])
    both = size.clip(min=0).prod(axis=-1)
    areas = [(boxes[..., 2:] - boxes[..., :2]).prod(axis=-1) for boxes in (one, other)]
    found: np.ndarray = both / (areas[0] + areas[1] - both).clip(min=1e-9)
    return found


def tag_ids(names: Sequence[Sequence[str]], most: int, ids: Mapping[str, int]) -> Tensor:
    """Entries `region_tags` [N, R] of N images.

    Args:
        names: for each image the word that names each of its boxes; an empty one names none.
        most: R; region 0, the whole image, has no name.
        ids: token of each word.

    Raises:
        InputError: a word has no token.
    """
    tags = torch.zeros(len(names), most, dtype=torch.long)
    for row, of_image in enumerate(names):
        for column, name in enumerate(of_image[: most - 1], start=1):
            if name and name not in ids:
                raise InputError(f"no token for the tag {name!r}", record=row, action="Put it into the vocabulary")
            tags[row, column] = ids[name] if name else 0
    return tags


def _crops(
    tower: ImageTower,
    images: Iterable[tuple[Image.Image, np.ndarray]],
    most: int,
    margin: float,
    pad: bool,
    boxes: list[np.ndarray],
    left_out: list[int],
) -> Iterator[Image.Image]:
    """Crops of all images, one after the other; notes what was taken in ``boxes`` and ``left_out``."""
    fill = tuple(round(255 * value) for value in tower.config["preprocess"]["mean"])
    for number, (image, given) in enumerate(images):
        _check(given, number)
        taken = np.concatenate([np.asarray([WHOLE], np.float32), given[: most - 1].astype(np.float32)])
        boxes.append(taken)
        left_out.append(max(0, len(given) - most + 1))
        for box in taken:
            crop = _crop(image, box, margin)
            yield _squared(crop, fill) if pad else crop


def _check(boxes: np.ndarray, number: int) -> None:
    fine = boxes.ndim == 2 and boxes.shape[1] == 4 and np.isfinite(boxes).all()
    if not fine or (boxes < 0).any() or (boxes > 1).any() or (boxes[:, :2] >= boxes[:, 2:]).any():
        raise InputError(
            "boxes must be rows x1 < x2, y1 < y2 of shares between 0 and 1",
            record=number,
            field="boxes",
            action="Divide them by the size of the image as annotated",
        )


def _crop(image: Image.Image, box: np.ndarray, margin: float) -> Image.Image:
    """A square around a box: with its margin where the image has room, else moved and cut until it fits."""
    left, top = (math.floor(float(value) * side + SLACK) for value, side in zip(box[:2], image.size, strict=True))
    right, bottom = (math.ceil(float(value) * side - SLACK) for value, side in zip(box[2:], image.size, strict=True))
    side = max(1, round((1 + 2 * margin) * max(right - left, bottom - top)))
    (left, right), (top, bottom) = (
        _extended(start, end, side, room)
        for start, end, room in ((left, right, image.width), (top, bottom, image.height))
    )
    return image.crop((left, top, right, bottom))


def _extended(start: int, end: int, wanted: int, room: int) -> tuple[int, int]:
    """A stretch of the wanted length, or of all the room there is, around start..end and inside 0..room."""
    wanted = min(wanted, room)
    first = min(max((start + end - wanted) // 2, 0), room - wanted)
    return first, first + wanted


def _squared(image: Image.Image, fill: tuple[int, ...]) -> Image.Image:
    side = max(image.size)
    if image.size == (side, side):
        return image
    whole = Image.new("RGB", (side, side), fill)
    whole.paste(image, ((side - image.width) // 2, (side - image.height) // 2))
    return whole


def _padded(rows: Tensor, counts: Sequence[int], most: int) -> Tensor:
    """Rows of all images [sum of counts, ...] as [N, most, ...], with zeros where an image has fewer."""
    whole = torch.zeros(len(counts), most, *rows.shape[1:], dtype=rows.dtype)
    whole[torch.arange(most) < torch.tensor(counts)[:, None]] = rows
    return whole
