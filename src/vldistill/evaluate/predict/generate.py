"""Texts from a model: prompts filled, images looked up, outputs cut to the answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch

from vldistill.evaluate.predict.answers import MASK, Answer, before_mask, extract
from vldistill.models.language_model import Bart
from vldistill.models.vlkd import VLKD
from vldistill.params.evaluate import Answers, Decoding

CHUNK_BATCHES = 32  # batches whose features are in memory at once


class Store(Protocol):
    """What generation asks of a feature store."""

    def get(self, kind: str, keys: Sequence[str]) -> np.ndarray:
        """Features of the keys, [N, ...]."""


@dataclass(frozen=True)
class Writer:
    """How a model is asked.

    Attributes:
        model: the model.
        template: the prompt's template, from which the answer's place is known.
        decoding: beams and length.
        answers: how the answer is cut out.
        batch: prompts decoded together.
    """

    model: VLKD
    template: str
    decoding: Decoding
    answers: Answers
    batch: int

    @property
    def kinds(self) -> list[str]:
        """The image features the model attends to."""
        return list(self.model.image_projections)

    def write(
        self, prompts: Sequence[str], store: Store | None = None, images: Sequence[str | None] | None = None
    ) -> list[Answer]:
        """The answer to each prompt.

        Args:
            prompts: N filled prompts with ``<mask>``.
            store: features of the images; None works from the prompts alone.
            images: key of each prompt's image in ``store``; None stands for an image that cannot be read: nothing is
                generated for it, the answer is empty.
        """
        if store is None or images is None:
            return self._once_each(prompts)
        found: dict[int, Answer] = {}
        seen = [row for row, image in enumerate(images) if image is not None]
        size = CHUNK_BATCHES * self.batch
        for at in range(0, len(seen), size):
            rows = seen[at : at + size]
            features = self._features(store, [str(images[row]) for row in rows])
            written = self.answers_to([prompts[row] for row in rows], features)
            found.update(zip(rows, written, strict=True))
        return [found.get(row, Answer("", "no_image_file")) for row in range(len(prompts))]

    def _once_each(self, prompts: Sequence[str]) -> list[Answer]:
        """Without an image equal prompts have equal answers: each is decoded once."""
        distinct = list(dict.fromkeys(prompts))
        answers = dict(zip(distinct, self.answers_to(distinct, {}), strict=True))
        return [answers[prompt] for prompt in prompts]

    def _features(self, store: Store, images: Sequence[str]) -> dict[str, torch.Tensor]:
        distinct = sorted(set(images))
        place = {image: row for row, image in enumerate(distinct)}
        rows = torch.tensor([place[image] for image in images])
        return {
            kind: torch.from_numpy(np.asarray(store.get(kind, distinct), dtype=np.float32))[rows] for kind in self.kinds
        }

    def answers_to(self, prompts: Sequence[str], features: dict[str, torch.Tensor]) -> list[Answer]:
        """The answer to each prompt, given features [N, ...] by kind (empty: without an image)."""
        language_model = self.model.language_model
        # only a model that writes its whole input again can be made to begin with it
        forced = self.answers.force_prompt and isinstance(language_model, Bart)
        starts = [before_mask(prompt) for prompt in prompts]
        texts = self.model.generate(
            [prompt.replace(MASK, language_model.mask_token) for prompt in prompts],
            features.get("pooled"),
            features.get("patch"),
            num_beams=self.decoding.num_beams,
            max_new_tokens=self.decoding.max_new_tokens,
            batch=self.batch,
            prefix=starts if forced and any(starts) else None,
        )
        whole = [f"{start} {text}" if forced else text for start, text in zip(starts, texts, strict=True)]
        return [
            extract(text, prompt, self.template, self.answers.stops)
            for text, prompt in zip(whole, prompts, strict=True)
        ]


def rules(answers: Sequence[Answer]) -> dict[str, Any]:
    """How many answers each extraction rule gave."""
    return {rule: sum(answer.rule == rule for answer in answers) for rule in sorted({a.rule for a in answers})}
