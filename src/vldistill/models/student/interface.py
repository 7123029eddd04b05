"""Students: cross-modal encoders that see a text and an image together, behind one interface.

A batch is a dict of tensors; B sequences, L + 1 tokens, K + 1 visual positions:

    ids              [B, L + 1] token ids, [CLS] first                        all students
    text_mask        [B, L + 1] bool, False on padding
    types            [B, L + 1] token types
    region_features  [B, K + 1, F] region 0 is the whole image                students with ``visual = "regions"``
    region_boxes     [B, K + 1, 7] x1, y1, x2, y2, w, h, area as shares of the image
    region_mask      [B, K + 1] bool
    region_tags      [B, K + 1] id of the token that names the region, 0 = none; may be left out
    pixels           [B, 3, H, W]                                             students with ``visual = "pixels"``
    pixel_mask       [B, H, W] 1 = image, 0 = padding

`Tokens.batch`, `vldistill.models.regions.Regions.batch` and a student's `PixelRule` make these entries.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, NamedTuple, Protocol, Self

import torch
from PIL import Image
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from vldistill.errors import InputError
from vldistill.files import read_json, write_json
from vldistill.models.student.tokens import Tokens, WordPieceTokenizer

FORMAT = 1
CONFIG = "config.json"
WEIGHTS = "model.safetensors"
CHANGED_PRIORS = "vqa"
"""The task whose lists all have changed answer priors."""

Batch = Mapping[str, Tensor]


class StudentStates(NamedTuple):
    """Last-layer states.

    Attributes:
        cls: h_0 [B, D].
        text: h_1..n [B, L, D], padding included.
        text_mask: [B, L] bool.
        regions: r_0..K [B, K + 1, D]; r_0 is the whole image, the others its boxes or, of pixels, its patches.
        region_mask: [B, K + 1] bool.
    """

    cls: Tensor
    text: Tensor
    text_mask: Tensor
    regions: Tensor
    region_mask: Tensor


class PixelRule(Protocol):
    """How a student that sees pixels wants its images, and which of its patches lie where. Holds no weights."""

    def prepare(self, images: Sequence[Image.Image]) -> dict[str, Tensor]:
        """The entries `pixels` and `pixel_mask` of a batch, from RGB images."""

    def joined(self, parts: Sequence[Mapping[str, Tensor]]) -> dict[str, Tensor]:
        """What `prepare` gives for all images at once, from what it gave for some of them each."""

    def covered(self, pixel_mask: Tensor, boxes: Tensor) -> Tensor:
        """Share [B, K + 1] that each visual state has in a box; each row sums to 1, and r_0 has no share.

        Args:
            pixel_mask: [B, H, W].
            boxes: [B, 4] x1, y1, x2, y2 as shares of the image.
        """


class Student(nn.Module, ABC):
    """A cross-modal encoder with its tokenizer.

    Attributes:
        kind: name in `config.json`.
        visual: what it sees of an image: ``regions`` or ``pixels``.
        rule: how it wants its pixels; None where it sees regions.
        tokenizer: its tokenizer.
        facts: origin, as JSON values; `seen` lists tasks whose training set it was pre-trained on, `new_tokens` the
            ids of the tokens that its pre-training never met.
    """

    kind: ClassVar[str]
    visual: ClassVar[str]
    rule: PixelRule | None = None

    def __init__(self, tokenizer: WordPieceTokenizer, facts: Mapping[str, Any] | None = None) -> None:
        super().__init__()
        self.tokenizer = tokenizer
        self.facts = dict(facts or {})

    @property
    @abstractmethod
    def width(self) -> int:
        """Width D of the states."""

    @property
    @abstractmethod
    def positions(self) -> int:
        """Longest text in tokens."""

    @property
    @abstractmethod
    def word_embeddings(self) -> Tensor:
        """The embeddings [V, D] of its tokens."""

    @property
    @abstractmethod
    def segment_types(self) -> tuple[int, ...]:
        """Token types of a text's first, second and third segment."""

    @abstractmethod
    def forward(self, batch: Batch) -> StudentStates:
        """States of a batch."""

    def states_at(self, batch: Batch, picks: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Last-layer states at chosen places: ``cls`` h_0 [B, D] in any case, and those that are picked.

        Most of what is trained or predicted reads a few states of a sequence: a student may leave out the others.

        Args:
            batch: B sequences.
            picks: ``token`` -> k [B, m] for h_k [B, m, D], counted from 0 behind [CLS]; ``region`` -> j [B] for
                r_j [B, D]. A region that is no state of its own is the mean of some: then the share [B, K + 1] of each.
        """
        states = self(batch)
        return {"cls": states.cls, **{place: _picked(states, place, picks[place]) for place in picks}}

    @abstractmethod
    def pooled(self, cls: Tensor) -> Tensor:
        """What task heads stand on: [B, D] of h_0 [B, D]."""

    @abstractmethod
    def config_values(self) -> dict[str, Any]:
        """The shape, as JSON values from which `from_config` builds the same again."""

    @classmethod
    @abstractmethod
    def from_config(cls, values: dict[str, Any], tokenizer: WordPieceTokenizer, facts: Mapping[str, Any]) -> Self:
        """A student with fresh weights.

        Raises:
            TypeError, ValueError: the values are no shape of this student.
        """

    def tokenize(
        self,
        texts: Sequence[Sequence[str]],
        *,
        longest: int | None = None,
        objects: Sequence[tuple[str, ...]] | None = None,
        record: Callable[[int], str | int] = int,
    ) -> Tokens:
        """Tokens of texts, each a list of segments: ``[question]``, ``[question, answer]``, ...

        Args:
            texts: the texts.
            longest: most tokens of a text, special ones included; at most `positions`, which is the default.
            objects, record: as `WordPieceTokenizer.encode`.

        Raises:
            InputError: as `WordPieceTokenizer.encode`.
        """
        longest = min(longest or self.positions, self.positions)
        return self.tokenizer.encode(
            texts, longest=longest, segment_types=self.segment_types, objects=objects, record=record
        )

    def save(self, folder: str | Path) -> None:
        """Write config.json, model.safetensors and tokenizer.json; read them with `load_student`."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        write_json(
            folder / CONFIG,
            {"format": FORMAT, "kind": self.kind, "config": self.config_values(), "facts": self.facts},
        )
        save_file({name: value.contiguous() for name, value in self.state_dict().items()}, folder / WEIGHTS)
        self.tokenizer.save(folder)

    @classmethod
    def load(cls, folder: str | Path) -> Self:
        """Read what `save` wrote, in evaluation mode.

        Raises:
            InputError: the files are missing, of another kind or format, or do not fit each other.
        """
        folder = Path(folder)
        again = "Pre-train or import the student again"
        config = read_json(folder / CONFIG)
        if not isinstance(config, dict) or config.get("format") != FORMAT:
            raise InputError(f"not a student of format {FORMAT}", file=folder / CONFIG, field="format", action=again)
        if config.get("kind") != cls.kind:
            raise InputError(
                f"a student of kind {config.get('kind')!r}, not {cls.kind!r}", file=folder / CONFIG, field="kind"
            )
        try:
            student = cls.from_config(config["config"], WordPieceTokenizer.load(folder), config["facts"])
            student.load_state_dict(load_file(folder / WEIGHTS))
        except (OSError, RuntimeError, SafetensorError, KeyError, TypeError, ValueError) as error:
            if isinstance(error, InputError):
                raise
            raise InputError(f"the student does not load: {error}", file=folder, action=again) from None
        return student.eval()


def _picked(states: StudentStates, place: str, picked: Tensor) -> Tensor:
    of = {"token": states.text, "region": states.regions}[place]
    if picked.is_floating_point():
        return torch.einsum("bk,bkd->bd", picked.to(of.dtype), of)
    rows = torch.arange(len(picked), device=of.device)
    return of[rows.view(-1, *[1] * (picked.dim() - 1)), picked]


def refuse_seen(facts: Mapping[str, Any], task: str, percent: int, *, source: str | Path | None = None) -> None:
    """Refuse a student that has already seen a task's whole training set, where that would make a result untrue.

    Args:
        facts: of the student.
        task: that it is to learn.
        percent: of the training units. At full data it may have seen them, but not those of VQA: under changed answer
            priors the rest of train (and, in VQA-CP, val) is what the test is about.
        source: what errors name.

    Raises:
        InputError: `facts["seen"]` names the task.
    """
    if task not in facts.get("seen", ()) or (percent == 100 and task != CHANGED_PRIORS):
        return
    why, instead = "a low-shot result would not be one", f"run {task} at full data only"
    if task == CHANGED_PRIORS:
        why, instead = "they know the priors and questions of its tests", f"take {task} out of distill.mad"
    raise InputError(
        f"these weights were trained on all of {task}'s training set: {why}",
        file=source,
        field="seen",
        action=f"Use weights that have not seen {task}, or {instead}",
    )
