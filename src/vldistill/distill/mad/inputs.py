"""What a student sees of items: token ids, made once and indexed by tensors afterwards, and its view of the images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from vldistill.distill.mad.items import Items
from vldistill.distill.mad.lookup import stored
from vldistill.distill.mad.visual_inputs import FiledRegions, Pixels, StoredRegions, VisualInputs
from vldistill.errors import InputError
from vldistill.features.store import Store
from vldistill.models.region_files import RegionFiles
from vldistill.models.regions import geometry, region_boxes, tag_ids
from vldistill.models.student import Student, Tokens, WordPieceTokenizer, object_tag
from vldistill.records import RegionsRecord

REGION, REGION_POOLED = "region", "region_pooled"


@dataclass(frozen=True)
class Pictures:
    """What there is of the images of one data set.

    Attributes:
        folder: the download artifact.
        features: CLIP's store of them.
        boxes: of the images, by key.
        region_files: the user's region features, for a student that reads them.
    """

    folder: Path
    features: Store
    boxes: Mapping[str, RegionsRecord]
    region_files: Path | None = None


@dataclass(frozen=True)
class TextsOfImages:
    """N items with C texts each, and the regions that a teacher chooses from; text c of item i is row i C + c.

    Attributes:
        tokens: of the N C texts.
        boxes: the teacher's regions of the M different images [M, R, 4], as shares of the image; the whole one comes
            first.
        mask: which of them there are [M, R].
        image: row among the images of each item [N].
        choices: C.
        keys: image key of each of the M images.
        left_out: number of boxes beyond R, over all images.
    """

    tokens: Tokens
    boxes: Tensor
    mask: Tensor
    image: Tensor
    choices: int
    keys: list[str]
    left_out: int


@dataclass(frozen=True)
class Inputs(TextsOfImages):
    """The same with what the student sees of the M images."""

    visual: VisualInputs

    @property
    def lengths(self) -> Tensor:
        """Tokens of the longest text of each item [N]."""
        return self.tokens.mask.sum(dim=1).view(-1, self.choices).amax(dim=1)

    def rows(self, items: Tensor) -> Tensor:
        """The texts [B C] of items [B]."""
        return (items[:, None] * self.choices + torch.arange(self.choices)).flatten()

    def batch(self, items: Tensor) -> dict[str, Tensor]:
        """A student's batch of the B C texts of items [B]."""
        rows = self.rows(items)
        return {**self.tokens.batch(rows), **self.visual.batch(self.image[rows // self.choices])}

    def align(self, batch: Mapping[str, Tensor], rows: Tensor, picked: Tensor) -> Tensor:
        """Align the teacher's regions ``picked`` [B] of the texts ``rows`` [B] with the states (`VisualInputs.align`).

        Args:
            batch: of these texts.
            rows: the texts.
            picked: numbers of the regions of their images.
        """
        return self.visual.align(batch, picked, self.boxes[self.image[rows // self.choices], picked])


def make_inputs(items: Items, student: Student, pictures: Pictures) -> Inputs:
    """Tokenise the texts, and open what the student sees of the images of ``items``.

    Args:
        items: what is asked.
        student: whose tokenizer is used, and which decides how images are seen.
        pictures: the images.

    Raises:
        InputError: an image has no features or boxes, or the student does not read regions of this kind.
    """
    known = texts_of_images(items, student, pictures)
    return Inputs(**vars(known), visual=_visual_inputs(student, pictures, known.keys, known.boxes, known.mask))


def texts_of_images(items: Items, student: Student, pictures: Pictures) -> TextsOfImages:
    """Tokenise the texts as ``student`` does, and find the teacher's regions of the images of ``items``.

    Raises:
        InputError: as `teacher_regions`, or a text is too long; names its item.
    """
    keys = list(dict.fromkeys(items.images))
    rows = {key: row for row, key in enumerate(keys)}
    boxes, mask, left_out = teacher_regions(keys, pictures)
    return TextsOfImages(
        tokens=student.tokenize(
            items.texts,
            objects=[own for own in items.objects for _ in range(items.choices)],
            record=partial(_name, items),
        ),
        boxes=boxes,
        mask=mask,
        image=torch.tensor([rows[key] for key in items.images], dtype=torch.long),
        choices=items.choices,
        keys=keys,
        left_out=left_out,
    )


def _name(items: Items, row: int) -> str:
    """What errors call a text."""
    item, choice = divmod(row, items.choices)
    return f"{items.ids[item]} of {items.task}" + (f", choice {choice}" if items.choices > 1 else "")


def teacher_regions(keys: Sequence[str], pictures: Pictures) -> tuple[Tensor, Tensor, int]:
    """Boxes [M, R, 4] of the teacher's regions of images, which of them there are [M, R], and how many are left out.

    Raises:
        InputError: an image has no boxes, or the store no regions.
    """
    kinds = pictures.features.kinds
    kind = next((kind for kind in (REGION_POOLED, REGION) if kind in kinds), None)
    if kind is None:
        raise InputError("no regions in this store", file=pictures.features.folder, field=REGION_POOLED, action=_AGAIN)
    for key in keys:
        if key not in pictures.boxes:
            raise InputError("no boxes of this image", file=pictures.features.folder, record=key, action=_AGAIN)
    boxes, mask, left_out = region_boxes([pictures.boxes[key] for key in keys], kinds[kind][0])
    return boxes, mask, int(left_out.sum())


def _visual_inputs(
    student: Student, pictures: Pictures, keys: Sequence[str], boxes: Tensor, mask: Tensor
) -> VisualInputs:
    if student.rule is not None:
        return Pixels(pictures.folder, keys, student.rule)
    wide = student.config_values().get("region_width")
    if pictures.region_files is not None and wide is not None:
        return FiledRegions(RegionFiles(pictures.region_files, pictures.folder.name), keys, wide)
    found = pictures.features.kinds.get(REGION, [0, 0])[1]
    if wide != found:
        raise InputError(
            f"the student reads regions {wide} wide, these are {found} wide",
            file=pictures.features.folder,
            field=REGION,
            action="Take a student that was pre-trained on features of this encoder, and features of the kind `region`",
        )
    return StoredRegions(
        features=stored(pictures.features, REGION, keys),
        boxes=torch.from_numpy(geometry(boxes.flatten(0, 1).numpy())).unflatten(0, mask.shape),
        mask=mask,
        tags=_tags(student.tokenizer, mask),
    )


def _tags(tokenizer: WordPieceTokenizer, mask: Tensor) -> Tensor:
    """Tags of all boxes whose tag is one token to the student; a published vocabulary has none, see `object_names`."""
    most = mask.shape[1]
    tags = [object_tag(index) for index in range(most - 1)]
    ids = {tag: token for tag in tags if (token := tokenizer.token_of(tag)) is not None}
    names = [tag if tag in ids else "" for tag in tags]
    return tag_ids([names[: int(count) - 1] for count in mask.sum(dim=1)], most, ids)


_AGAIN = "Run again: vldistill download SET, then vldistill features clip SET"
