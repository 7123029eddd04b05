"""The VLKD task for the training loop: captions with cached teacher features in, named loss terms out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor, nn

from vldistill.distill.losses import icti, itcl, itcl_sigmoid, ttdm
from vldistill.models.language_model import LanguageModel
from vldistill.models.vlkd import VLKD
from vldistill.params.distill import VlkdOptions
from vldistill.training import Sampler
from vldistill.training.dropout import set_dropout

IGNORED = -100


class FeatureSource(Protocol):
    """Cached teacher features by key: the feature store, or anything that answers like it."""

    def get(self, kind: str, keys: Sequence[str]) -> np.ndarray:
        """Features `kind` ("pooled", "patch", "text") of `keys`, in their order."""


@dataclass(frozen=True)
class Pairs:
    """Image-caption pairs, one a row.

    Attributes:
        images: image key of each pair.
        captions: caption of each pair.
        text_keys: key of each pair's caption in the feature store's kind "text".
    """

    images: list[str]
    captions: list[str]
    text_keys: list[str]


class VlkdTask:
    """Batches and losses of one VLKD training.

    Args:
        model: learns.
        pairs: training captions.
        features: teacher features of the pairs.
        replay_texts: texts the language model was pre-trained on; may be empty if nothing is replayed.
        options: the arm's options.
        seed: order of the pairs.
    """

    def __init__(
        self,
        model: VLKD,
        pairs: Pairs,
        features: FeatureSource,
        replay_texts: Sequence[str],
        options: VlkdOptions,
        seed: int,
    ) -> None:
        self.module = model
        self.weights = options.weights.model_dump()
        self._lm: LanguageModel = model.language_model
        self._pairs, self._features, self._replay_texts, self._options = pairs, features, replay_texts, options
        self.sampler = Sampler(
            len(pairs.captions),
            options.training.batch_size,
            seed,
            # characters stand for tokens: near enough to save padding, and nothing needs to be tokenised up front
            lengths=[len(caption) for caption in pairs.captions] if options.length_buckets else None,
        )
        self._caption_numbers = _numbers(pairs.captions)
        self._image_numbers = _numbers(pairs.images)
        set_dropout(self._lm, options.dropout)

    @property
    def _aligns(self) -> bool:
        return bool(self.weights["ttdm"] or self.weights["itcl"])

    def collate(self, indices: np.ndarray, rng: np.random.Generator) -> dict[str, Tensor]:
        """Token ids, corrupted ids and teacher features of the pairs `indices`, and of a replay batch if it is due."""
        # the draws of replay come first, so that arms with and without a loss term see the same replay and masks
        replay = self._replay(rng)
        captions = [self._pairs.captions[i] for i in indices]
        ids = self._lm.ids(captions)
        batch = {"rows": torch.from_numpy(indices), **replay}
        if self.weights["icti"]:
            corruption = self._options.corruption
            corrupted = self._lm.corrupt_ids(
                ids, rng, mask_ratio=corruption.mask_ratio, span=corruption.span, whole=corruption.whole
            )
            batch |= {"corrupted": corrupted.ids, "corrupted_mask": corrupted.mask, "labels": corrupted.labels}
            images = [self._pairs.images[i] for i in indices]
            kinds = {"both": ("pooled", "patch")}.get(self._options.image_states, (self._options.image_states,))
            batch |= {kind: self._get(kind, images) for kind in kinds}
        if self._aligns:
            batch["ids"], batch["mask"] = self._lm.pad([self._lm.with_specials(row) for row in ids])
        if self.weights["ttdm"]:
            batch["z_t"] = self._get("text", [self._pairs.text_keys[i] for i in indices])
        if self.weights["itcl"]:
            pooled = batch.get("pooled")
            batch["z_v"] = self._get("pooled", [self._pairs.images[i] for i in indices]) if pooled is None else pooled
            batch["captions"] = torch.from_numpy(self._caption_numbers[indices])
            batch["images"] = torch.from_numpy(self._image_numbers[indices])
        return batch

    def sizes(self, batch: dict[str, Tensor]) -> dict[str, float]:
        """Rows for the alignment terms, target tokens for infilling and replay; 0 where the term is off."""
        return {
            "ttdm": len(batch["rows"]) * float(self.weights["ttdm"] > 0),
            "itcl": len(batch["rows"]) * float(self.weights["itcl"] > 0),
            "icti": _targets(batch.get("labels")),
            "replay": _targets(batch.get("replay_labels")),
        }

    def loss(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        """Unweighted terms TTDM, ITCL, ICTI and replay; those of weight 0 are left out."""
        clean, corrupted, replayed = self._encode(batch)
        terms: dict[str, Tensor] = {}
        if clean is not None:
            s = self.module.text_vectors(clean, batch["mask"])
            if self.weights["ttdm"]:
                terms["ttdm"] = ttdm(s, batch["z_t"], unit=self._options.unit)
            if self.weights["itcl"]:
                terms["itcl"] = self._contrast(s, batch)
        if corrupted is not None:
            states = self.module.image_states(batch.get("pooled"), batch.get("patch"))
            terms["icti"] = icti(self._lm, *states, corrupted, batch["corrupted_mask"], batch["labels"])
        if replayed is not None:
            terms["replay"] = self._lm.decode_loss(replayed, batch["replay_mask"], batch["replay_labels"])
        return terms

    def shared_parameters(self) -> list[nn.Parameter]:
        """The language model's encoder, on which all terms meet."""
        return [p for p in self._lm.model.get_encoder().parameters() if p.requires_grad]

    def _contrast(self, s: Tensor, batch: dict[str, Tensor]) -> Tensor:
        same = {"captions": batch["captions"], "images": batch["images"]}
        if self._options.itcl == "sigmoid":
            return itcl_sigmoid(s, batch["z_v"], self.module.log_scale, self.module.bias, **same)
        return itcl(s, batch["z_v"], self.module.log_scale, **same)

    def _encode(self, batch: dict[str, Tensor]) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
        """Encoder states of clean, corrupted and replayed texts, in one batch where that is asked for."""
        names = [(name, f"{prefix}mask") for name, prefix in _TEXTS if name in batch]
        if not self._options.one_pass or len(names) == 1:
            found = {name: self._lm.encode(batch[name], batch[mask]) for name, mask in names}
        else:
            found = _encode_together(self._lm, {name: (batch[name], batch[mask]) for name, mask in names})
        return found.get("ids"), found.get("corrupted"), found.get("replay")

    def _replay(self, rng: np.random.Generator) -> dict[str, Tensor]:
        options = self._options.replay
        due = rng.random() < options.share
        seed = int(rng.integers(2**63))
        if not due or not self.weights["replay"] or not self._replay_texts:
            return {}
        own = np.random.default_rng(seed)
        chosen = own.integers(len(self._replay_texts), size=options.batch_size)
        corruption = self._options.corruption
        corrupted = self._lm.corrupt(
            [self._replay_texts[i] for i in chosen],
            own,
            mask_ratio=corruption.mask_ratio,
            span=corruption.span,
            tail=options.tail,
            tail_span=options.tail_span,
        )
        return {
            "replay": corrupted.ids,
            "replay_mask": corrupted.mask,
            "replay_labels": corrupted.labels,
        }

    def _get(self, kind: str, keys: Sequence[str]) -> Tensor:
        return torch.from_numpy(np.asarray(self._features.get(kind, keys), dtype=np.float32))


_TEXTS = (("ids", ""), ("corrupted", "corrupted_"), ("replay", "replay_"))


def _encode_together(language_model: LanguageModel, texts: dict[str, tuple[Tensor, Tensor]]) -> dict[str, Tensor]:
    """One encoder pass over several padded batches; each gets back states of its own length."""
    length = max(ids.shape[1] for ids, _ in texts.values())
    pad = int(language_model.tokenizer.pad_token_id)  # type: ignore[arg-type]
    ids = torch.cat([nn.functional.pad(ids, (0, length - ids.shape[1]), value=pad) for ids, _ in texts.values()])
    mask = torch.cat([nn.functional.pad(mask, (0, length - mask.shape[1])) for _, mask in texts.values()])
    states = language_model.encode(ids, mask).split([len(ids) for ids, _ in texts.values()])
    return {name: part[:, : ids.shape[1]] for (name, (ids, _)), part in zip(texts.items(), states, strict=True)}


def _targets(labels: Tensor | None) -> float:
    """Target tokens among `labels` [B, T]."""
    return 0.0 if labels is None else float((labels != IGNORED).sum())


def _numbers(values: Sequence[str]) -> np.ndarray:
    """Equal strings get equal numbers."""
    first: dict[str, int] = {}
    return np.array([first.setdefault(value, len(first)) for value in values], dtype=np.int64)
