"""VCR-style questions about groups: four answers, then four rationales for the right answer.

Figures are named by tags (their index in the picture), as VCR names persons. Every choice is a statement about the
figures that are asked for, which it calls by their tag or by a pronoun; the three wrong ones are false of them.

A bias is planted as real data have it: the right choice repeats the question's tag more often than a wrong one does.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

from vldistill.records import CHOICES
from vldistill.world.concepts import VALUES, WORDS, plural
from vldistill.world.groups import Group
from vldistill.world.language import article

Token = str | list[int]
Claim = dict[str, str]
"""Slot -> value: what a statement says of its figures."""

LOOKS = ("size", "color", "shape")
PLACE = ("row", "column")
KINDS = {"looks": 0.5, "place": 0.05, "common": 0.45}
WRONG_REPEAT = 0.4  # share of the wrong choices that repeat the question's tag; the others have a pronoun
PLACE_WORDS = {value: WORDS["side"][value] for value in ("top", "bottom", "left", "right")}


@dataclass(frozen=True)
class Item:
    """One question in VCR's tokens: words, and lists of figure indices."""

    question: list[Token]
    answers: list[list[Token]]
    answer_label: int
    rationales: list[list[Token]]
    rationale_label: int


def items(group: Group, count: int, rng: random.Random, repeat: float) -> list[Item]:
    """Draw ``count`` different questions on ``group``, or fewer where it does not hold so many.

    Args:
        group: what the picture shows.
        count: how many.
        rng: their generator.
        repeat: chance that the right choice repeats the question's tag (never less than a wrong one's chance).
    """
    drawn: dict[str, Item] = {}
    for _ in range(8 * count):
        if len(drawn) == count:
            break
        kind = rng.choices(list(KINDS), list(KINDS.values()))[0]
        item = _common(group, rng, repeat) if kind == "common" else _single(group, kind, rng, repeat)
        if item is not None:
            drawn.setdefault(repr(item.question), item)
    return list(drawn.values())


def _single(group: Group, kind: str, rng: random.Random, repeat: float) -> Item:
    """Ask what a figure looks like, or where it is; the rationale tells the other."""
    asked = rng.randrange(len(group.figures))
    looks = tuple(sorted(rng.sample(LOOKS, rng.choice((2, 2, 3))), key=LOOKS.index))
    question: list[Token] = ["what", "does", [asked], "look", "like", "?"]
    first: tuple[str, ...] = looks
    second: tuple[str, ...] = PLACE
    if kind == "place":
        question = ["where", "is", [asked], "?"]
        first, second = PLACE, looks
    answers, label = _choices([asked], _claims(group, asked, first, rng), rng, repeat)
    rationales, reason = _choices([asked], _claims(group, asked, second, rng), rng, repeat)
    return Item(question, answers, label, [["because", *tokens] for tokens in rationales], reason)


def _common(group: Group, rng: random.Random, repeat: float) -> Item | None:
    """Ask what two figures share; the rationale describes one of them. None where no two share color or shape.

    All four answers name values of the one slot: else the words alone would tell which slot is shared.
    """
    figures = group.figures
    pairs = [
        (a, b, slot)
        for a in range(len(figures))
        for b in range(a + 1, len(figures))
        for slot in ("color", "shape")
        if figures[a].value(slot) == figures[b].value(slot)
    ]
    if not pairs:
        return None
    a, b, slot = rng.choice(pairs)
    true = figures[a].value(slot)
    # values of other figures in the picture are the hard wrong ones
    shown = [value for value in dict.fromkeys(figure.value(slot) for figure in figures) if value != true]
    wrong = [*shown, *rng.sample([value for value in VALUES[slot] if value not in (true, *shown)], CHOICES - 1)]
    claims = [{slot: value} for value in (true, *wrong[: CHOICES - 1])]
    answers, label = _choices([a, b], claims, rng, repeat)
    rationales, reason = _choices([a], _claims(group, a, LOOKS, rng), rng, repeat)
    question: list[Token] = ["what", "do", [a, b], "have", "in", "common", "?"]
    return Item(question, answers, label, [["because", *tokens] for tokens in rationales], reason)


def _claims(group: Group, asked: int, slots: Sequence[str], rng: random.Random) -> list[Claim]:
    """What is true of the figure ``asked`` in ``slots``, and three things that are not.

    Two slots take two values each, the true one and another, in all four ways: the truth has no more in common with
    the others than each of them has, so that the choices alone do not tell which it is.
    """
    truth = {slot: group.figures[asked].value(slot) for slot in slots}
    one, two = rng.sample(list(slots), 2)
    false = {slot: _another(group, slot, truth[slot], rng) for slot in (one, two)}
    return [
        {**truth, one: first, two: second} for first in (truth[one], false[one]) for second in (truth[two], false[two])
    ]


def _another(group: Group, slot: str, true: str, rng: random.Random) -> str:
    """A value of ``slot`` that is not the true one: another figure's where there is one, which is the harder choice."""
    shown = [value for figure in group.figures if (value := figure.value(slot)) != true]
    values = {"row": ("top", "bottom"), "column": ("left", "right")}.get(slot) or VALUES[slot]
    return rng.choice(shown or [value for value in values if value != true])


def _choices(
    asked: list[int], claims: Sequence[Claim], rng: random.Random, repeat: float
) -> tuple[list[list[Token]], int]:
    """Statements of the claims, the first of which is true, in mixed order; and the place of the true one."""
    made = [
        _statement(_subject(asked, rng, WRONG_REPEAT if row else repeat), len(asked), claim, rng)
        for row, claim in enumerate(claims)
    ]
    order = rng.sample(range(len(made)), len(made))
    return [made[row] for row in order], order.index(0)


def _subject(asked: list[int], rng: random.Random, repeat: float) -> list[Token]:
    """The tag of the figures with chance ``repeat``, else a pronoun."""
    if rng.random() < repeat:
        return [asked]
    return [rng.choice(("he", "she") if len(asked) == 1 else ("they",))]


def _statement(subject: list[Token], number: int, claim: Claim, rng: random.Random) -> list[Token]:
    word = {slot: rng.choice((PLACE_WORDS if slot in PLACE else WORDS[slot])[value]) for slot, value in claim.items()}
    if set(claim) == set(PLACE):
        return [*subject, "is", "at", "the", word["row"], word["column"], "."]
    if number == 2:
        [(slot, said)] = word.items()
        return [*subject, "are", "both", plural(said) if slot == "shape" else said, "."]
    phrase = [*(word[slot] for slot in ("size", "color") if slot in word), word.get("shape", "figure")]
    return [*subject, "is", article(phrase[0]), *phrase, "."]
