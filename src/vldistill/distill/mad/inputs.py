"""What a student sees of items: token ids and region features, made once and indexed by tensors afterwards."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from vldistill.distill.mad.items import Items
from vldistill.errors import InputError
from vldistill.features.store import Store
from vldistill.models.regions import Regions, geometry, shares, tag_ids
from vldistill.models.student import Student, Tokens, WordPieceTokenizer, object_tag
from vldistill.records import RegionsRecord

REGION, REGION_POOLED = "region", "region_pooled"
WHOLE = np.asarray([[0.0, 0.0, 1.0, 1.0]], np.float32)


@dataclass(frozen=True)
class Inputs:
    """The inputs of N items with C texts each; text c of item i is row i C + c.

    Attributes:
        tokens: of the N C texts.
        regions: of the M different images, features in half precision.
        tags: `region_tags` of the images [M, R].
        image: row among the images of each item [N].
        choices: C.
        keys: image key of each of the M images.
    """

    tokens: Tokens
    regions: Regions
    tags: Tensor
    image: Tensor
    choices: int
    keys: list[str]

    def rows(self, items: Tensor) -> Tensor:
        """The texts [B C] of items [B]."""
        return (items[:, None] * self.choices + torch.arange(self.choices)).flatten()

    def batch(self, items: Tensor) -> dict[str, Tensor]:
        """A student's batch of the B C texts of items [B]."""
        rows = self.rows(items)
        images = self.image[rows // self.choices]
        seen = self.regions.batch(images)
        seen["region_features"] = seen["region_features"].float()
        return {**self.tokens.batch(rows), **seen, "region_tags": self.tags[images, : seen["region_mask"].shape[1]]}


def make_inputs(items: Items, student: Student, features: Store, boxes: Mapping[str, RegionsRecord]) -> Inputs:
    """Tokenise the texts and gather the regions of ``items``.

    Args:
        items: what is asked.
        student: whose tokenizer is used.
        features: a store with the kind `region` of the items' images.
        boxes: of the items' images.

    Raises:
        InputError: an image has no features or boxes, or the student does not read regions of this kind.
    """
    if student.visual != "regions":
        raise InputError(
            f"a student of kind {student.kind} reads {student.visual}, not regions",
            field="pretrain.student",
            action="Take a student that reads regions",
        )
    wide, found = student.config_values().get("region_width"), features.kinds.get(REGION, [0, 0])[1]
    if wide != found:
        raise InputError(
            f"the student reads regions {wide} wide, these are {found} wide",
            file=features.folder,
            field=REGION,
            action="Take a student that was pre-trained on features of this encoder, and features of the kind `region`",
        )
    keys = list(dict.fromkeys(items.images))
    places = {key: row for row, key in enumerate(keys)}
    regions = gather_regions(keys, features, boxes)
    return Inputs(
        tokens=student.tokenize(items.texts),
        regions=regions,
        tags=_tags(student.tokenizer, regions.mask),
        image=torch.tensor([places[key] for key in items.images], dtype=torch.long),
        choices=items.choices,
        keys=keys,
    )


def gather_regions(keys: Sequence[str], features: Store, boxes: Mapping[str, RegionsRecord]) -> Regions:
    """Regions of images from a store, without their pooled vectors."""
    most = features.kinds[REGION][0]
    mask = torch.zeros(len(keys), most, dtype=torch.bool)
    placed = torch.zeros(len(keys), most, 7)
    for row, key in enumerate(keys):
        if key not in boxes:
            raise InputError("no boxes of this image", file=features.folder, record=key, action=_AGAIN)
        record = boxes[key]
        own = np.concatenate([WHOLE, shares(record.boxes, record.width, record.height)])[:most]
        placed[row, : len(own)] = torch.from_numpy(geometry(own))
        mask[row, : len(own)] = True
    return Regions(
        features=torch.from_numpy(features.get(REGION, keys, dtype=np.float16)),
        boxes=placed,
        mask=mask,
        pooled=None,
        left_out=torch.tensor([max(0, 1 + len(boxes[key].boxes) - most) for key in keys]),
    )


def _tags(tokenizer: WordPieceTokenizer, mask: Tensor) -> Tensor:
    """Tags of all boxes whose tag is one token to the student; a published vocabulary has none."""
    most = mask.shape[1]
    pieces = {object_tag(index): tokenizer.pieces(object_tag(index)) for index in range(most - 1)}
    ids = {tag: found[0] for tag, found in pieces.items() if len(found) == 1}
    names = [tag if tag in ids else "" for tag in pieces]
    return tag_ids([names[: int(count) - 1] for count in mask.sum(dim=1)], most, ids)


_AGAIN = "Run again: vldistill download SET, then vldistill features clip SET"
