"""What students see of images: regions of the feature store, regions of the user's files, or pixels.

A teacher chooses among its own regions: the whole image, then its boxes. Where the student's states are of the same
regions, the choice is the number of one. Else it is a box, aligned with what the student has (our choice):

    files    the state of the region with the largest overlap (intersection over union) with the box
    pixels   the mean state of the patches that the box covers, each by its share of the covered area

The whole image is r_0 in all three. Files and pixels are read batch by batch: neither fits into memory at paper scale.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor
from torch.nn import functional

from vldistill.distill.mad.lookup import Table
from vldistill.errors import InputError
from vldistill.images import open_images
from vldistill.models.region_files import RegionFiles
from vldistill.models.regions import intersection_over_union
from vldistill.models.student.interface import PixelRule

DECODERS = 4


class VisualInputs(Protocol):
    """What a student sees of M images."""

    def batch(self, images: Tensor) -> dict[str, Tensor]:
        """The visual entries of a student's batch of the images ``images`` [B], which may repeat."""

    def align(self, batch: Mapping[str, Tensor], picked: Tensor, boxes: Tensor) -> Tensor:
        """Align the teacher's choice with the visual states r_0..K: where it lies among them.

        Args:
            batch: what `batch` gave for the same B images.
            picked: [B] number of the teacher's region, 0 being the whole image.
            boxes: [B, 4] that region, as shares of the image.

        Returns:
            The number [B] of a state, or the share [B, K + 1] of each state in a mean.
        """


@dataclass(frozen=True)
class StoredRegions:
    """The teacher's own regions.

    Attributes:
        features: [M, R, F].
        boxes: [M, R, 7], as `models.regions.geometry`.
        mask: [M, R] bool.
        tags: [M, R] token that names a region.
    """

    features: Table
    boxes: Tensor
    mask: Tensor
    tags: Tensor

    def batch(self, images: Tensor) -> dict[str, Tensor]:
        """Without the columns that are padding in all rows."""
        mask = self.mask[images]
        most = int(mask.sum(dim=1).max())
        return {
            "region_features": self.features[images][:, :most].float(),
            "region_boxes": self.boxes[images, :most],
            "region_mask": mask[:, :most],
            "region_tags": self.tags[images, :most],
        }

    def align(self, batch: Mapping[str, Tensor], picked: Tensor, boxes: Tensor) -> Tensor:
        """The choice itself."""
        return picked


class FiledRegions:
    """Regions of the user's files; they carry no tags, for their boxes are not the objects that texts name.

    Args:
        files: hold them.
        keys: of the M images.
        width: of the features that the student reads.
    """

    def __init__(self, files: RegionFiles, keys: Sequence[str], width: int) -> None:
        self._files, self._keys, self._width = files, keys, width

    def batch(self, images: Tensor) -> dict[str, Tensor]:
        """Reads the files.

        Raises:
            InputError: as `RegionFiles.read`, or the features are not as wide as the student reads them.
        """
        different, rows = images.unique(return_inverse=True)
        found = self._files.read([self._keys[image] for image in different.tolist()])
        if found.features.shape[-1] != self._width:
            raise InputError(
                f"the student reads regions {self._width} wide, these are {found.features.shape[-1]} wide",
                file=self._files.folder,
                field="features",
                action="Supply the features that the student was pre-trained on",
            )
        return found.batch(rows)

    def align(self, batch: Mapping[str, Tensor], picked: Tensor, boxes: Tensor) -> Tensor:
        """The region that overlaps most."""
        overlap = intersection_over_union(batch["region_boxes"][..., :4].numpy(), boxes[:, None].numpy())
        best = torch.from_numpy(overlap).masked_fill(~batch["region_mask"], -1.0).argmax(dim=1)
        return torch.where(picked == 0, 0, best)


class Pixels:
    """Images as they are; decoded and resized in threads.

    Args:
        folder: the download artifact with the images.
        keys: of the M images.
        rule: of the student.
    """

    def __init__(self, folder: Path, keys: Sequence[str], rule: PixelRule) -> None:
        self._images, self._keys, self._rule = open_images(folder), keys, rule
        self._pool = ThreadPoolExecutor(DECODERS)

    def batch(self, images: Tensor) -> dict[str, Tensor]:
        """Reads the images, each once.

        Raises:
            InputError: an image is not there.
            CorruptImage: it cannot be decoded.
        """
        different, rows = images.unique(return_inverse=True)
        parts = list(self._pool.map(self._prepared, different.tolist()))
        return {name: values[rows] for name, values in self._rule.joined(parts).items()}

    def align(self, batch: Mapping[str, Tensor], picked: Tensor, boxes: Tensor) -> Tensor:
        """The patches of the box, or r_0 alone."""
        shares = self._rule.covered(batch["pixel_mask"], boxes)
        alone = functional.one_hot(torch.zeros_like(picked), shares.shape[1]).to(shares.dtype)
        return torch.where((picked == 0)[:, None], alone, shares)

    def _prepared(self, image: int) -> dict[str, Tensor]:
        return self._rule.prepare([self._images.read(self._keys[image])])
