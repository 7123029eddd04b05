"""ViLT (Kim et al., ICML 2021, arXiv 2102.03334) from transformers: raw pixels, no detector.

r_0 is the state of the image's class token, then come its patches row by row. transformers' own embedding draws the
patches in random order; here they keep their places, so that a state can be compared with a region of the image.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self, cast

import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional
from transformers import AutoTokenizer, ViltConfig, ViltImageProcessorPil, ViltModel

from vldistill.errors import InputError
from vldistill.models.student.interface import Batch, Student, StudentStates
from vldistill.models.student.published import seen_tasks
from vldistill.models.student.tokens import WordPieceTokenizer

TUNED_ON = {"ViltForQuestionAnswering": "vqa"}
"""The class of a fine-tuned model, as its config names it -> the task whose whole training set it has seen."""


class Patches:
    """ViLT's own resizing and padding, and its grid of patches; see `PixelRule`.

    Args:
        side: shorter side of a resized image in pixels; the longer one is limited by ViLT's rule.
        patch: side of a patch; both sides of a resized image are multiples of it.
    """

    def __init__(self, side: int, patch: int) -> None:
        self.patch = patch
        sizes: dict[str, Any] = {"size": {"shortest_edge": side}, "size_divisor": patch}
        self._processor = ViltImageProcessorPil(**sizes)

    def prepare(self, images: Sequence[Image.Image]) -> dict[str, Tensor]:
        """Resized, normalised and padded to the largest of them, as ViLT was trained: no augmentation."""
        found = self._processor(list(images), return_tensors="pt")
        return {"pixels": found["pixel_values"], "pixel_mask": found["pixel_mask"]}

    def joined(self, parts: Sequence[Mapping[str, Tensor]]) -> dict[str, Tensor]:
        """Parts of a batch in one, padded to the largest image: zeros at the right and below, as ViLT pads."""
        height, width = (max(part["pixel_mask"].shape[at] for part in parts) for at in (1, 2))
        return {
            name: torch.cat(
                [
                    functional.pad(part[name], (0, width - part[name].shape[-1], 0, height - part[name].shape[-2]))
                    for part in parts
                ]
            )
            for name in ("pixels", "pixel_mask")
        }

    def filled(self, pixel_mask: Tensor) -> Tensor:
        """Which patches [B, rows, columns] of padded images [B, H, W] hold image."""
        grid = (pixel_mask.shape[1] // self.patch, pixel_mask.shape[2] // self.patch)
        return functional.interpolate(pixel_mask[:, None].float(), size=grid)[:, 0] > 0

    def covered(self, pixel_mask: Tensor, boxes: Tensor) -> Tensor:
        """Share [B, 1 + P] of each patch in the area of a box [B, 4] in shares of the image; r_0 has none.

        An image fills its patches from the top left, whatever its batch is padded to.
        """
        filled = self.filled(pixel_mask)
        down = _overlap(boxes[:, 1], boxes[:, 3], filled[:, :, 0].sum(dim=1), filled.shape[1])
        across = _overlap(boxes[:, 0], boxes[:, 2], filled[:, 0].sum(dim=1), filled.shape[2])
        area = (down[:, :, None] * across[:, None]).flatten(1)
        return functional.pad(area / area.sum(dim=1, keepdim=True), (1, 0))


def _overlap(start: Tensor, end: Tensor, count: Tensor, most: int) -> Tensor:
    """Length [B, most] that each of ``count`` equal pieces of 0..1 shares with start..end, all [B]."""
    edges = torch.arange(most + 1) / count[:, None]
    inside = torch.minimum(end[:, None], edges[:, 1:]) - torch.maximum(start[:, None], edges[:, :-1])
    return inside.clamp(min=0.0) * (torch.arange(most) < count[:, None])


class Vilt(Student):
    """ViltModel behind the students' interface."""

    kind = "vilt"
    visual = "pixels"
    rule: Patches

    def __init__(self, model: ViltModel, tokenizer: WordPieceTokenizer, facts: Mapping[str, Any] | None = None) -> None:
        super().__init__(tokenizer, facts)
        self.model = model
        self._side, self._patch = int(cast(int, model.config.image_size)), int(cast(int, model.config.patch_size))
        self.rule = Patches(self._side, self._patch)

    @property
    def width(self) -> int:
        """Width D of the states."""
        return int(self.model.config.hidden_size)

    @property
    def positions(self) -> int:
        """Longest text in tokens."""
        return int(self.model.config.max_position_embeddings)

    @property
    def word_embeddings(self) -> Tensor:
        """The embeddings [V, D] of its tokens."""
        table: Tensor = self.model.embeddings.text_embeddings.word_embeddings.weight
        return table

    @property
    def segment_types(self) -> tuple[int, ...]:
        """ViLT was trained with one type for all of a text."""
        return (0,)

    def config_values(self) -> dict[str, Any]:
        """The fields of `ViltConfig`, without the version of transformers: equal students have equal files."""
        values = dict(self.model.config.to_diff_dict())
        values.pop("transformers_version", None)
        return values

    @classmethod
    def from_config(cls, values: dict[str, Any], tokenizer: WordPieceTokenizer, facts: Mapping[str, Any]) -> Self:
        """A student with fresh weights; raises TypeError or ValueError for values that are no `ViltConfig`."""
        return cls(ViltModel(ViltConfig(**values)), tokenizer, facts)

    def forward(self, batch: Batch) -> StudentStates:
        """States of a batch."""
        patches, mask = self._patches(batch["pixels"], batch["pixel_mask"])
        text_mask = batch["text_mask"]
        states = self.model(
            input_ids=batch["ids"],
            attention_mask=text_mask.long(),
            token_type_ids=batch["types"],
            image_embeds=patches,
            pixel_mask=mask.long(),
        ).last_hidden_state
        length = text_mask.shape[1]
        return StudentStates(states[:, 0], states[:, 1:length], text_mask[:, 1:], states[:, length:], mask)

    def pooled(self, cls: Tensor) -> Tensor:
        """ViLT's pooler: tanh(W h_0 + b)."""
        pooled: Tensor = cast(nn.Module, self.model.pooler)(cls[:, None])
        return pooled

    def _patches(self, pixels: Tensor, pixel_mask: Tensor) -> tuple[Tensor, Tensor]:
        """Embeddings [B, 1 + P, D] of class token and patches in their order, and their mask [B, 1 + P].

        Each image's position embeddings are stretched to the patches that it fills, which begin at the top left.
        """
        embeddings = self.model.embeddings
        found = embeddings.patch_embeddings(pixels)
        rows = len(found)
        filled = self.rule.filled(pixel_mask)
        places = torch.zeros_like(found)
        for row in range(rows):
            size = (int(filled[row, :, 0].sum()), int(filled[row, 0].sum()))
            places[row, :, : size[0], : size[1]] = self._places(size)
        patches = (found + places).flatten(2).transpose(1, 2)
        first = embeddings.cls_token + embeddings.position_embeddings[:, :1]
        whole = embeddings.dropout(torch.cat([first.expand(rows, -1, -1), patches], dim=1))
        mask = torch.cat([filled.new_ones(rows, 1), filled.flatten(1)], dim=1)
        return whole, mask

    def _places(self, size: tuple[int, int]) -> Tensor:
        """Position embeddings [D, rows, columns] of a grid of this size."""
        learnt = self.model.embeddings.position_embeddings[:, 1:]
        side = self._side // self._patch
        grid = learnt.transpose(1, 2).reshape(1, -1, side, side)
        return functional.interpolate(grid, size=size, mode="bilinear", align_corners=True)[0]


def load_published_vilt(source: str | Path) -> Vilt:
    """A published ViLT, such as ``dandelin/vilt-b32-mlm``, in evaluation mode.

    Args:
        source: a name on the Hugging Face hub, or a folder as `from_pretrained` reads it.

    Raises:
        InputError: it is neither cached nor reachable, or no ViLT.
    """
    try:
        model = ViltModel.from_pretrained(source)
        tokenizer = AutoTokenizer.from_pretrained(source)
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        raise InputError(
            f"ViLT does not load: {error}",
            file=source,
            action="Run once with network and without HF_HUB_OFFLINE, or give a folder with its files",
        ) from None
    facts = {"source": str(source), "seen": _seen(source, model)}
    return Vilt(model, WordPieceTokenizer(tokenizer.backend_tokenizer), facts).eval()


def _seen(source: str | Path, model: ViltModel) -> list[str]:
    """Tasks that its name tells, or the class it was saved as: a folder may be called anything."""
    saved_as = model.config.architectures or []
    return sorted({*seen_tasks(str(source)), *(TUNED_ON[name] for name in saved_as if name in TUNED_ON)})
