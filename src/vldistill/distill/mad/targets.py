"""What the teachers say of items, and the token and the region that are drawn to it; all of it before training.

With u = CLIP's vector of the whole image and t of the text, both of unit length:

    k* = argmax_k cos(CLIP_text(word_k), u)          over the content words of the text that the teacher reads
    j* = argmax_j cos(CLIP_image(region_j), t)       over the image's regions, the whole one included

The states of token and region are drawn to the teachers' vectors of that word, CLIP_text(word_k*), and of that region,
CLIP_image(region_j*); or, as a variant, to those of the whole text and image.

"Adaptively selected tokens per instance" is CLIP-TD's wording (arXiv 2201.05729); the two equations are our
reconstruction, and so are what the states are drawn to, the choice of content words (`vldistill.distill.mad.words`) and
a word's first token as its state. The controls take the argmin, or draw words and regions at random.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from vldistill.distill.mad.inputs import REGION_POOLED, TextsOfImages
from vldistill.distill.mad.items import Items
from vldistill.distill.mad.lookup import AT_ONCE, Table, changed, firsts, grouped, stored, taken, unit_rows
from vldistill.distill.mad.words import is_content
from vldistill.features.sentences import bare, segments_of
from vldistill.features.store import Store, sentence_key
from vldistill.models.student import Tokens, tagged_object

CLIP_IMAGE, CLIP_TEXT, LANGUAGE_MODEL = TEACHERS = ("clip_image", "clip_text", "language_model")
Selection = Literal["selected", "argmin", "random"]
ABSENT = -9.0  # below every cosine


@dataclass(frozen=True)
class Vectors:
    """Unit vectors of the teachers for N items with C texts each.

    Attributes:
        image: u of each of the M images [M, d], in memory.
        regions: of their regions [M, R, d]; zeros where there is none.
        text: t of each of the N C texts [N C, d].
        language_model: the language model's vector of each text [N C, e]; None where it teaches nothing.
    """

    image: Tensor
    regions: Table
    text: Table
    language_model: Table | None


@dataclass(frozen=True)
class Picks:
    """The tokens and the region of each text that are drawn to a teacher's vectors.

    Attributes:
        token: [N C, m] places among the text states h_1..n, from 0; the best is repeated where there are fewer words.
        region: [N C] place among the regions r_0..K.
        words: the words that the tokens begin, m for each text.
    """

    token: Tensor
    region: Tensor
    words: list[str]


def teacher_vectors(
    items: Items, inputs: TextsOfImages, features: Store, texts: Store, language_model: Store | None
) -> Vectors:
    """Look up what the teachers have to say of ``items``.

    Args:
        items: N items.
        inputs: of the same items.
        features: CLIP's store of the images, with the kind `region_pooled`.
        texts: CLIP's store of texts.
        language_model: the language model's store of texts.

    Raises:
        InputError: an image or a text has no vector.
    """
    regions = unit_rows(stored(features, REGION_POOLED, inputs.keys))
    return Vectors(
        image=firsts(regions),
        regions=regions,
        text=text_vectors(items.teacher_texts, texts),
        language_model=None if language_model is None else text_vectors(items.teacher_texts, language_model),
    )


def text_vectors(texts: Sequence[str], store: Store) -> Table:
    """Unit vectors [N, d] of texts."""
    different = list(dict.fromkeys(texts))
    places = {text: place for place, text in enumerate(different)}
    rows = torch.tensor([places[text] for text in texts], dtype=torch.long)
    return taken(unit_rows(stored(store, "text", [sentence_key(text) for text in different])), rows)


def pick(
    items: Items,
    inputs: TextsOfImages,
    vectors: Vectors,
    texts: Store,
    how: Selection,
    rng: np.random.Generator,
    most: int = 1,
) -> Picks:
    """Choose the tokens and the region of each text.

    Args:
        items, inputs, vectors: of the same N items.
        texts: CLIP's store of texts, for single words.
        how: `selected` (best), `argmin` (worst) or `random`.
        rng: for `random`.
        most: the number m of tokens.
    """
    images = inputs.image.repeat_interleave(inputs.choices)
    words = list(_candidates(items, inputs.tokens))
    counts = torch.tensor([len(found) for found in words])
    flat = [word for found in words for word, _ in found]
    of_words = _dots(text_vectors(flat, texts), vectors.image, images.repeat_interleave(counts))
    columns = torch.tensor([column for found in words for _, column in found], dtype=torch.long)
    best = _best_of_runs(_ranked(of_words, how, rng), counts, most)
    return Picks(
        token=columns[best],
        region=_region_scores(vectors, inputs, images, how, rng).argmax(dim=1),
        words=[flat[place] for place in best.flatten().tolist()],
    )


def content_words(text: Sequence[str], read: int = 1) -> list[tuple[int, str]]:
    """Content words of a text's last segments, each with its number among all words of the text.

    All their words where none is one; tags of objects are no words.

    Args:
        text: its segments.
        read: how many of them a teacher reads.
    """
    first = sum(len(segment.split()) for segment in text[:-read])
    judged = " ".join(text[-read:]).split()
    words = [(first + at, bare(word)) for at, word in enumerate(judged) if tagged_object(word) is None]
    words = [(number, word) for number, word in words if word]
    return [(number, word) for number, word in words if is_content(word)] or words


def _candidates(items: Items, tokens: Tokens) -> Iterator[list[tuple[str, int]]]:
    """Content words of each text with the place of their first token among the text states."""
    for text, judged, numbers in zip(items.texts, items.teacher_texts, tokens.words.tolist(), strict=True):
        first: dict[int, int] = {}
        for column, number in enumerate(numbers[1:]):
            first.setdefault(number, column)
        # a text of nothing but tags: the first token stands for it
        found = content_words(text, segments_of(judged))
        yield [(word, first[number]) for number, word in found if number in first] or [(FALLBACK, 0)]


FALLBACK = "a"
"""A word every store of texts has; where it is the only candidate, its vector decides nothing."""


def _dots(words: Table, images: Tensor, rows: Tensor) -> Tensor:
    """Dot products [n] of word vectors [n, d] with the vectors of images ``rows`` [n]."""
    parts = torch.arange(len(rows)).split(AT_ONCE)
    return torch.cat([(words[part] * images[rows[part]]).sum(dim=1) for part in parts])


def _region_scores(
    vectors: Vectors, inputs: TextsOfImages, images: Tensor, how: Selection, rng: np.random.Generator
) -> Tensor:
    parts = [
        torch.einsum("brd,bd->br", vectors.regions[images[part]], vectors.text[part])
        for part in torch.arange(len(images)).split(AT_ONCE)
    ]
    return _ranked(torch.cat(parts), how, rng).masked_fill(~inputs.mask[images], ABSENT)


def _ranked(scores: Tensor, how: Selection, rng: np.random.Generator) -> Tensor:
    """Scores by which the highest is what ``how`` asks for."""
    if how == "random":
        return torch.from_numpy(rng.random(tuple(scores.shape), dtype=np.float32))
    return -scores if how == "argmin" else scores


def _best_of_runs(scores: Tensor, counts: Tensor, most: int) -> Tensor:
    """Places [N, most] of the highest scores in each run of ``counts`` scores; the first of equals comes first.

    The highest is repeated in runs of fewer.
    """
    padded = torch.full((len(counts), max(most, int(counts.max()))), ABSENT)
    padded[torch.arange(padded.shape[1]) < counts[:, None]] = scores
    best = padded.argsort(dim=1, descending=True, stable=True)[:, :most]
    best = torch.where(torch.arange(most) < counts[:, None], best, best[:, :1])
    return best + (counts.cumsum(0) - counts)[:, None]


def of_parts(
    picks: Picks, vectors: Vectors, inputs: TextsOfImages, texts: Store, language_model: Store | None
) -> dict[str, Table]:
    """The vectors of each text's chosen words [N C, m, .] or region [N C, .] by themselves, from each teacher.

    Args:
        picks, vectors, inputs: of the same N items.
        texts: CLIP's store of texts.
        language_model: the language model's store of texts.
    """
    images = inputs.image.repeat_interleave(inputs.choices)
    most = picks.token.shape[1]
    found = {
        CLIP_IMAGE: changed(_row, vectors.regions.shape[2:], taken(vectors.regions, images), picks.region),
        CLIP_TEXT: grouped(text_vectors(picks.words, texts), most),
    }
    if language_model is not None:
        found[LANGUAGE_MODEL] = grouped(text_vectors(picks.words, language_model), most)
    return found


def _row(rows: Tensor, place: Tensor) -> Tensor:
    return rows[torch.arange(len(rows)), place]


def of_teacher(vectors: Vectors, inputs: TextsOfImages) -> dict[str, Table]:
    """The vector of each text from each teacher [N C, .]; the image's vector for all texts of an item."""
    found = {
        CLIP_IMAGE: taken(vectors.image, inputs.image.repeat_interleave(inputs.choices)),
        CLIP_TEXT: vectors.text,
    }
    return found if vectors.language_model is None else {**found, LANGUAGE_MODEL: vectors.language_model}
