"""Changed answer priors: any VQA-format set split anew as VQA-CP splits VQA v2.

The idea is VQA-CP's (Agrawal et al., CVPR 2018): for one type of question some answers are frequent in training and
rare under test, so that a model that answers from the question alone is wrong. The procedure is ours: within each
question type the answers are dealt to two sides of about equal weight; training draws mostly side A, the shifted test
mostly side B, the in-domain test as training does. VQA-CP deals whole groups of question type and answer instead and
has no in-domain test. Images never stand in training and test: items are dropped instead.
"""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from vldistill.split.lists import order

Sides = Mapping[tuple[str, str], bool]
"""(question type, answer) -> whether the answer is on side A, which training prefers."""


@dataclass(frozen=True)
class TypedQuestion:
    """A question as far as its prior goes: its id, its type, and the answer most annotators gave."""

    id: str
    question_type: str
    answer: str


def majority(answers: Sequence[str]) -> str:
    """The most frequent answer, lower case; of equally frequent ones the first in the alphabet."""
    counts = Counter(answer.strip().lower() for answer in answers)
    return min(counts, key=lambda answer: (-counts[answer], answer))


def deal(items: Iterable[TypedQuestion], seed: int) -> dict[tuple[str, str], bool]:
    """Deal the answers of each question type to the two sides, frequent ones first, each to the lighter side.

    Which side a type's most frequent answer falls on, and equal weights, are settled by hash.
    """
    counts = Counter((item.question_type, item.answer) for item in items)
    weights: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    sides = {}
    for pair in sorted(counts, key=lambda pair: (pair[0], -counts[pair], pair[1])):
        other, own = weights[pair[0]]
        side = _coin(pair, seed) if other == own else own < other
        weights[pair[0]][side] += counts[pair]
        sides[pair] = side
    return sides


def draw(items: Iterable[TypedQuestion], sides: Sides, share: float, seed: int) -> list[str]:
    """Take as many items as possible such that ``share`` of each question type's are of side A.

    Args:
        items: what to draw from.
        sides: from `deal`; answers it does not know are dealt by hash.
        share: of side A, above 0 and below 1; 1 - share for the reversed prior.
        seed: of the order in which each side's items are taken.

    Returns:
        Sorted ids. A question type whose answers are all of one side has no prior to change and is left out.
    """
    pools: dict[str, tuple[list[str], list[str]]] = defaultdict(lambda: ([], []))
    for item in items:
        pair = (item.question_type, item.answer)
        pools[item.question_type][sides.get(pair, _coin(pair, seed))].append(item.id)
    taken: list[str] = []
    for of_b, of_a in pools.values():
        total = min(len(of_a) / share, len(of_b) / (1 - share))
        # rounded first: 0.15 * 20 / 0.15 must not become 19
        taken += order(of_a, seed)[: int(round(total * share, 9))]
        taken += order(of_b, seed)[: int(round(total * (1 - share), 9))]
    return sorted(taken)


def _coin(pair: tuple[str, str], seed: int) -> bool:
    return hashlib.sha256(f"{seed}:{pair[0]}:{pair[1]}".encode()).digest()[0] % 2 == 1
