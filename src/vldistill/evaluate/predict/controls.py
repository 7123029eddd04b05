"""Controls: predictions made without what the method claims to use. Each is deterministic.

They answer what a score would be by the answers' prior alone, without the image, with a wrong image, or by looking up
the nearest caption that distillation has seen.
"""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

import numpy as np

from vldistill.errors import InputError


def order_key(seed: int, text: str) -> str:
    """Sort key of a seeded order that does not depend on the other items: sha256 of ``seed:text``."""
    return hashlib.sha256(f"{seed}:{text}".encode()).hexdigest()


def shuffled_images(images: Iterable[str], seed: int) -> dict[str, str]:
    """Another image for every image: the next one in a seeded order, so that none keeps its own.

    All questions of one image get the same other image.

    Raises:
        InputError: fewer than two different images.
    """
    order = sorted(set(images), key=lambda image: order_key(seed, image))
    if len(order) < 2:
        raise InputError(
            "shuffling needs at least two different images",
            field="evaluate.vlkd.controls",
            action="Evaluate more items or drop the control",
        )
    return dict(zip(order, order[1:] + order[:1], strict=True))


def majority_answers(
    training: Iterable[tuple[str, Sequence[str]]], question_types: Sequence[str]
) -> tuple[list[str], dict[str, str]]:
    """The most frequent training answer of each question's type.

    Args:
        training: question type and human answers of each training question.
        question_types: question type of each question to answer.

    Returns:
        An answer for each question, and the table type -> answer. A type without training questions gets the most
        frequent answer of all. Ties go to the alphabetically first answer.

    Raises:
        InputError: there are no training answers.
    """
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for kind, answers in training:
        counts[kind].update(answers)
    total: Counter[str] = Counter()
    for of_kind in counts.values():
        total.update(of_kind)
    if not total:
        raise InputError("no training answers to take a majority from", action="Check the records of split train")
    table = {kind: _most_common(of_kind) for kind, of_kind in sorted(counts.items())}
    fallback = _most_common(total)
    return [table.get(kind, fallback) for kind in question_types], table


def _most_common(counts: Counter[str]) -> str:
    return min(counts, key=lambda answer: (-counts[answer], answer))


def most_common_caption(captions: Iterable[str]) -> str:
    """The caption that occurs most often in distillation; ties go to the alphabetically first."""
    return _most_common(Counter(captions))


def random_captions(captions: Iterable[str], ids: Sequence[str], seed: int) -> list[str]:
    """For each id a caption of distillation, drawn by the hash of seed and id."""
    pool = sorted(set(captions))
    return [pool[int(order_key(seed, item), 16) % len(pool)] for item in ids]


def nearest_captions(images: np.ndarray, texts: np.ndarray, captions: Sequence[str], *, chunk: int = 1024) -> list[str]:
    """For each image the caption whose CLIP text feature has the largest cosine with the image feature.

    Args:
        images: pooled image features [N, d], any length.
        texts: text features [M, d] of the captions, any length.
        captions: M captions.
        chunk: images compared at once, which bounds memory at chunk x M numbers.
    """
    if len(texts) != len(captions):
        raise ValueError(f"{len(texts)} text features for {len(captions)} captions")
    unit_texts = unit(texts).T
    best = [np.argmax(unit(images[at : at + chunk]) @ unit_texts, axis=1) for at in range(0, len(images), chunk)]
    return [captions[int(row)] for row in np.concatenate(best)] if best else []


def unit(vectors: np.ndarray) -> np.ndarray:
    """``vectors`` [N, d] at length 1, fp32; zero vectors stay zero."""
    vectors = np.asarray(vectors, dtype=np.float32)
    lengths = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return vectors / np.where(lengths == 0, 1, lengths)
