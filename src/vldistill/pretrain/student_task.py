"""Grounding: the losses that make a student look at the image before any task.

Losses (Chen et al., arXiv 1909.11740), on phrases about images:

    MLM       -mean log p(w_masked | text, regions)
    matching  mean CE(match | h_0) of phrases and negatives on the same images + mean softplus(s(negative) - s(phrase))

s = logit of a match. The second part of matching is our choice: it compares the two texts on the same image. Negatives
are hard (`vldistill.pretrain.student_negatives`); without them, or without this stage, a student looks at nothing.
Our choice too: in the first steps, and in a share of the pairs later, only the region that the phrase is about is
shown. Which word belongs to what in a feature is learnt from those; then there is something to find among regions.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from vldistill.models.regions import Regions
from vldistill.models.student import SingleStream, Tokens
from vldistill.params import student as options
from vldistill.pretrain.student_negatives import Negatives
from vldistill.training import Sampler

NO_TARGET = -100
EVALUATED, AT_ONCE = 2000, 250  # pairs that dev figures are made from


@dataclass(frozen=True)
class Corpus:
    """Phrases and images that pairs refer to by row.

    Attributes:
        tokens: of the phrases.
        regions: of the images.
        tags: `region_tags` of the images [M, R].
        negatives: of the phrases.
    """

    tokens: Tokens
    regions: Regions
    tags: Tensor
    negatives: Negatives

    def batch(self, phrases: Tensor, images: Tensor, regions: Tensor, focused: Tensor) -> dict[str, Tensor]:
        """A student's batch [B].

        Args:
            phrases, images: rows [B].
            regions: what the phrases are about [B].
            focused: [B] bool, show that region only.
        """
        batch = self.tokens.batch(phrases)
        if focused.all():
            return {**batch, **self._alone(images, regions)}
        batch |= self.regions.batch(images)
        seen = batch["region_mask"]
        alone = torch.arange(seen.shape[1]) == regions[:, None]
        return {
            **batch,
            "region_tags": self.tags[images, : seen.shape[1]],
            "region_mask": seen & (alone | ~focused[:, None]),
        }

    def _alone(self, images: Tensor, regions: Tensor) -> dict[str, Tensor]:
        """One region of each image, and no others that would be hidden: the sequences are shorter."""
        return {
            "region_features": self.regions.features[images, regions][:, None],
            "region_boxes": self.regions.boxes[images, regions][:, None],
            "region_mask": self.regions.mask[images, regions][:, None],
            "region_tags": self.tags[images, regions][:, None],
        }


class Grounding(nn.Module):
    """A student with the heads of pre-training.

    The MLM head is BERT's: transform, norm, and the word embeddings as output weights.

    Args:
        student: learns.
        met: tokens that are predicted, those of the phrases. Others would only be pushed away, all to one place far
            from where words are, and a student that meets them later could not tell them apart.
    """

    unmet: Tensor

    def __init__(self, student: SingleStream, met: Tensor) -> None:
        super().__init__()
        self.student = student
        width = student.width
        self.transform = nn.Sequential(nn.Linear(width, width), nn.GELU(), nn.LayerNorm(width))
        self.bias = nn.Parameter(torch.zeros(student.config.vocabulary))
        self.match = nn.Linear(width, 1)
        self.register_buffer("unmet", torch.ones(student.config.vocabulary, dtype=torch.bool).index_fill(0, met, False))

    def words(self, states: Tensor) -> Tensor:
        """Logits [n, vocabulary] of states [n, D]."""
        table = self.student.word_embeddings
        return functional.linear(self.transform(states), table, self.bias.masked_fill(self.unmet, float("-inf")))

    def matching(self, cls: Tensor) -> Tensor:
        """s [B] of h_0 [B, D]."""
        return self.match(self.student.pooled(cls)).squeeze(-1)


class FocusFirst(Sampler):
    """A sampler that marks the examples of the first ``steps`` steps by adding its size to their indices."""

    def __init__(self, steps: int, size: int, batch_size: int, seed: int) -> None:
        super().__init__(size, batch_size, seed)
        self._steps = steps

    def batch(self, step: int) -> np.ndarray:
        """Indices of the examples of 0-based `step`, marked or not."""
        indices = super().batch(step)
        return indices + self.size if step < self._steps else indices


class GroundingTask:
    """Terms ``mlm`` and ``matching``.

    A batch of B pairs becomes, in this order, the first n phrases with their images, n negatives with the same images,
    and all B phrases with masked tokens.

    Args:
        module: learns.
        corpus: phrases and images.
        pairs: [N, 3] phrase, image and region of each training pair.
        settings: parameters.
    """

    def __init__(self, module: Grounding, corpus: Corpus, pairs: np.ndarray, settings: options.Student) -> None:
        self.module = module
        training = settings.training
        self.sampler = FocusFirst(
            round(settings.focus_first * training.steps), len(pairs), training.batch_size, settings.seed
        )
        self.weights: Mapping[str, float] = settings.weights.model_dump()
        self._corpus, self._pairs, self._settings = corpus, pairs, settings

    def collate(self, indices: np.ndarray, rng: np.random.Generator) -> dict[str, Any]:
        """Entries of [2 n + B] sequences, ``targets`` (ids of masked tokens, else -100) and ``pairs`` = n."""
        first = indices[0] >= self.sampler.size
        pairs = self._pairs[indices % self.sampler.size]
        count = max(1, round(self._settings.matched * len(pairs)))
        rows = np.concatenate([pairs[:count], pairs[:count], pairs])
        rows[count : 2 * count, 0] = [self._negative(phrase, image, rng) for phrase, image, _ in pairs[:count]]
        focused = rng.random(len(pairs)) < (1.0 if first else self._settings.focus)
        focused = np.concatenate([focused[:count], focused[:count], focused])
        phrase, image, region = torch.from_numpy(rows).T
        batch = self._corpus.batch(phrase, image, region, torch.from_numpy(focused))
        return {**batch, **self._masked(batch, 2 * count, rng), "pairs": count}

    def _negative(self, phrase: int, image: int, rng: np.random.Generator) -> int:
        negatives = self._corpus.negatives
        found = negatives.hard(phrase, image, rng) if rng.random() < self._settings.hard else None
        return negatives.random(image, rng) if found is None else found

    def _masked(self, batch: dict[str, Any], first: int, rng: np.random.Generator) -> dict[str, Tensor]:
        """Ids with [MASK] in the rows from ``first`` on, at least one in each, and what stood there."""
        ids, targets = batch["ids"].numpy().copy(), np.full(batch["ids"].shape, NO_TARGET)
        for row, count in enumerate(batch["text_mask"][first:].sum(dim=1).tolist(), start=first):
            # neither [CLS] nor the last [SEP]
            chosen = 1 + rng.permutation(count - 2)[: max(1, round(self._settings.mask_ratio * (count - 2)))]
            targets[row, chosen] = ids[row, chosen]
            ids[row, chosen] = self.module.student.tokenizer.mask
        return {"ids": torch.from_numpy(ids), "targets": torch.from_numpy(targets)}

    def sizes(self, batch: dict[str, Any]) -> dict[str, float]:
        """Matching is a mean over pairs, MLM over masked tokens."""
        return {"matching": float(batch["pairs"]), "mlm": float((batch["targets"] != NO_TARGET).sum())}

    def loss(self, batch: dict[str, Any]) -> dict[str, Tensor]:
        """Both terms from one pass."""
        targets = batch["targets"][:, 1:]
        masked = targets != NO_TARGET
        # of each row the masked tokens, filled up with others to as many as the row with most of them has
        token = masked.int().argsort(dim=1, descending=True, stable=True)[:, : max(1, int(masked.sum(dim=1).max()))]
        states = self.module.student.states_at(batch, {"token": token})
        true, false = self.module.matching(states["cls"][: 2 * batch["pairs"]]).chunk(2)
        terms = {"matching": matching_loss(true, false)}
        if masked.any():
            read = masked.gather(1, token)
            words = self.module.words(states["token"][read])
            terms["mlm"] = functional.cross_entropy(words, targets.gather(1, token)[read])
        return terms

    def shared_parameters(self) -> Sequence[nn.Parameter]:
        """The projection of the regions."""
        return list(self.module.student.img_embeddings.img_linear.parameters())


def matching_loss(true: Tensor, false: Tensor) -> Tensor:
    """Loss of the scores [B] of phrases and of their negatives on the same images."""
    alone = 0.5 * (functional.softplus(-true) + functional.softplus(false))
    return (alone + functional.softplus(false - true)).mean()


@torch.inference_mode()
def dev_figures(module: Grounding, corpus: Corpus, pairs: np.ndarray) -> dict[str, float]:
    """Matching of pairs [N, 3] against hard negatives only, in percent.

    ``dev_matching``: both texts of a pair judged, each by itself; ``dev_matching_focused``: the same, with nothing but
    the phrase's own region shown; ``dev_ranking``: the phrase stands above its negative.
    """
    rng = np.random.default_rng(0)
    picked = pairs[rng.permutation(len(pairs))[:EVALUATED]].tolist()
    found = [(*pair, corpus.negatives.hard(pair[0], pair[1], rng)) for pair in picked]
    rows = torch.tensor([row for row in found if row[3] is not None]).view(-1, 4)
    true, false = _scores(module, corpus, rows, focused=False)
    return {
        "dev_matching": _right(true, false),
        "dev_matching_focused": _right(*_scores(module, corpus, rows, focused=True)),
        "dev_ranking": round(100 * (true > false).float().mean().item(), 3),
        "dev_pairs": len(rows),
        "hard_negatives": round(100 * corpus.negatives.share_with_hard(), 3),
    }


def _scores(module: Grounding, corpus: Corpus, rows: Tensor, *, focused: bool) -> tuple[Tensor, Tensor]:
    parts = []
    for part in rows.split(AT_ONCE):
        phrase, image, region, other = part.T
        shown = torch.full((2 * len(part),), focused)
        batch = corpus.batch(torch.cat([phrase, other]), image.repeat(2), region.repeat(2), shown)
        parts.append(module.matching(module.student.states_at(batch, {})["cls"]).view(2, -1))
    true, false = torch.cat(parts, dim=1) if parts else torch.zeros(2, 0)
    return true, false


def _right(true: Tensor, false: Tensor) -> float:
    return round(100 * torch.cat([true > 0, false <= 0]).float().mean().item(), 3)
