"""Hard negatives for image-text matching, found in the phrases themselves.

A hard negative of (phrase, image) is another image's phrase that differs in one word: ``a red circle`` for ``a blue
circle``. Nothing is known of what words mean, so two mistakes must be kept out by counting:

- the phrase may be true of the image though nobody said so: those among the image's own phrases are left out;
- the two words may not exclude each other (``red`` and ``crimson``, ``circle`` and ``figure``, ``red`` and ``big``).
  Phrases that exclude each other stand with the same image never or by chance, the others far more often.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from itertools import combinations

import numpy as np

Pattern = tuple[str, ...]
Pair = tuple[str, str]
GAP = ""  # no word is empty

# Words do not exclude each other if their phrases share images so many times as often as chance has it, which is low
# for any one phrase; a single meeting may be an accident, or an annotator's mistake.
LIFT, MEETINGS = 3.0, 2
TRIES = 20


class Negatives:
    """Draws negatives for the pairs of phrases and images it was made from.

    Args:
        phrases: different phrases; everything else refers to them by their index.
        of_image: the phrases of each image.
    """

    def __init__(self, phrases: Sequence[str], of_image: Sequence[Iterable[int]]) -> None:
        self._own = [frozenset(phrases_of) for phrases_of in of_image]
        self._count = len(phrases)
        words = [phrase.split() for phrase in phrases]
        by_pattern: dict[Pattern, list[int]] = defaultdict(list)
        for phrase, parts in enumerate(words):
            for pattern in _patterns(parts):
                by_pattern[pattern].append(phrase)
        shared = {pattern: found for pattern, found in by_pattern.items() if len(found) > 1}
        together = _compatible(words, shared, self._own)
        # for each phrase, one list of variants for each of its words that has any
        self._variants: list[list[np.ndarray]] = [[] for _ in phrases]
        for pattern, found in shared.items():
            at = pattern.index(GAP)
            for phrase in found:
                kept = [
                    other
                    for other in found
                    if other != phrase and _pair(words[phrase][at], words[other][at]) not in together
                ]
                if kept:
                    self._variants[phrase].append(np.asarray(kept))

    def hard(self, phrase: int, image: int, rng: np.random.Generator) -> int | None:
        """A phrase that differs from ``phrase`` in one word and is not said of ``image``; None if there is none.

        First the word is drawn, then what stands in its place: else words with many alternatives would be all.
        """
        own = self._own[image]
        lists = self._variants[phrase]
        for at in rng.permutation(len(lists)):
            found = lists[at]
            for number in rng.permutation(len(found))[:TRIES]:
                if (other := int(found[number])) not in own:
                    return other
        return None

    def random(self, image: int, rng: np.random.Generator) -> int:
        """Any phrase that is not said of ``image``; any at all if everything is."""
        for _ in range(TRIES):
            if (other := int(rng.integers(self._count))) not in self._own[image]:
                return other
        return int(rng.integers(self._count))

    def share_with_hard(self) -> float:
        """Share of the phrases that have a hard negative."""
        return sum(bool(lists) for lists in self._variants) / max(1, self._count)


def _patterns(words: Sequence[str]) -> list[Pattern]:
    return [(*words[:at], GAP, *words[at + 1 :]) for at in range(len(words))]


def _pair(one: str, other: str) -> Pair:
    return (one, other) if one < other else (other, one)


def _compatible(
    words: Sequence[Sequence[str]], shared: dict[Pattern, list[int]], own: Sequence[frozenset[int]]
) -> set[Pair]:
    """Pairs of words that do not exclude each other, by how often their phrases share an image."""
    images_with = Counter(phrase for phrases in own for phrase in phrases)
    expected: dict[Pair, float] = defaultdict(float)
    for pattern, found in shared.items():
        at = pattern.index(GAP)
        for one, other in combinations(found, 2):
            expected[_pair(words[one][at], words[other][at])] += images_with[one] * images_with[other] / len(own)
    met: Counter[Pair] = Counter()
    for phrases in own:
        for one, other in combinations(phrases, 2):
            if pair := _one_word_apart(words[one], words[other]):
                met[pair] += 1
    return {pair for pair, count in met.items() if count >= MEETINGS and count > LIFT * expected[pair]}


def _one_word_apart(one: Sequence[str], other: Sequence[str]) -> Pair | None:
    if len(one) != len(other):
        return None
    differing = [pair for pair in zip(one, other, strict=True) if pair[0] != pair[1]]
    return _pair(*differing[0]) if len(differing) == 1 else None
