"""Questions about scenes, their answers, and annotators who sometimes disagree.

Every wording has answers that are evenly spread, so that a question alone tells nothing: values of a slot are uniform
over scenes, each wording asks for one slot only, and a yes/no question asks for the true value in half of the cases
(in question files exactly, see `Balance`) and else for any other one. The official question type of a wording (its
longest prefix in VQAv2's list) belongs to one slot or holds yes/no questions only; otherwise a type's majority would
lie below what its wordings give away.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from vldistill.world.concepts import FACTS, VALUES, WORDS, Scene

DIGITS = {"one": "1", "two": "2", "three": "3"}


@dataclass(frozen=True)
class Wording:
    """How a slot is asked for, with VQAv2's question type (or OK-VQA's category)."""

    text: str
    kind: str


OPEN: dict[str, tuple[Wording, ...]] = {
    "count": (
        Wording("how many objects are there?", "how many"),
        Wording("how many objects are in the picture?", "how many"),
    ),
    "color": (
        Wording("what color is the object?", "what color is the"),
        Wording("what color are the objects?", "what color are the"),
    ),
    "shape": (
        Wording("what kind of object is it?", "what kind of"),
        Wording("what type of object is this?", "what type of"),
    ),
    "tone": (Wording("what is the color of the background?", "what is the color of the"),),
    "pattern": (Wording("what is on the background?", "what is on the"),),
    "side": (Wording("where is the wall?", "where is the"),),
}
YES_NO: dict[str, Wording] = {
    "size": Wording("is the object {value}?", "is the"),
    "color": Wording("is it {value}?", "is it"),
    "shape": Wording("is this a {value}?", "is this a"),
    "count": Wording("are there {value} objects?", "are there"),
    "tone": Wording("is the background {value}?", "is the"),
    "side": Wording("is the wall on the {value}?", "is the"),
}
KNOWLEDGE: dict[str, Wording] = {
    "taste": Wording("what does it taste like?", "five"),
    "use": Wording("what is it used for?", "three"),
}
ANSWER_TYPES = {"yes/no": 0.34, "number": 0.14, "other": 0.52}
OTHER_SLOTS = ("color", "color", "shape", "shape", "tone", "pattern", "side")


@dataclass(frozen=True)
class Question:
    """A question with its true answer.

    Attributes:
        text: the wording.
        answer: the true answer, a canonical word.
        answer_type: `yes/no`, `number` or `other`, as in VQAv2.
        question_type: VQAv2's prefix, or OK-VQA's category.
        slot: the slot (or fact) it asks for.
        value: the value a yes/no question names.
    """

    text: str
    answer: str
    answer_type: str
    question_type: str
    slot: str
    value: str | None = None


def open_question(scene: Scene, slot: str, rng: random.Random) -> Question:
    """Ask for the value of ``slot``."""
    wording = rng.choice(OPEN[slot])
    answer_type = "number" if slot == "count" else "other"
    return Question(wording.text, scene.value(slot), answer_type, wording.kind, slot)


class Balance:
    """Keeps yes and no level for every wording of a set, as VQAv2's collectors did.

    Chance alone leaves a wording some points off one half, which a classifier without images learns where two sets
    happen to lean the same way.
    """

    SLACK = 2

    def __init__(self) -> None:
        self._excess: Counter[tuple[str, str]] = Counter()  # (slot, value) -> answers yes minus answers no

    def draw(self, slot: str, truth: str, rng: random.Random) -> str:
        """The value to ask for: the true one or the other that most lacks a no, whichever levels more."""
        others = [value for value in VALUES[slot] if value != truth]
        most = max(self._excess[slot, value] for value in others)
        lean = self._excess[slot, truth] + most
        if lean < 0 or (lean == 0 and rng.random() < 0.5):
            return truth
        return rng.choice([value for value in others if self._excess[slot, value] == most])

    def admit(self, slot: str, value: str, yes: bool) -> bool:
        """Count a question, unless it would bring its wording further off level than `SLACK`."""
        excess = self._excess[slot, value] + (1 if yes else -1)
        if abs(excess) > self.SLACK:
            return False
        self._excess[slot, value] = excess
        return True


def yes_no_question(scene: Scene, slot: str, rng: random.Random, balance: Balance | None = None) -> Question:
    """Ask whether ``slot`` has a value: the true one in half of the cases, else any other."""
    truth = scene.value(slot)
    value = (balance or Balance()).draw(slot, truth, rng)
    wording = YES_NO[slot]
    answer = "yes" if value == truth else "no"
    return Question(wording.text.format(value=value), answer, "yes/no", wording.kind, slot, value)


def knowledge_question(scene: Scene, fact: str, facts: Mapping[str, Mapping[str, str]]) -> Question:
    """Ask what the objects taste like or are used for; the answer follows from the shape by a fact."""
    wording = KNOWLEDGE[fact]
    return Question(wording.text, facts[fact][scene.shape], "other", wording.kind, fact)


def vqa_question(scene: Scene, rng: random.Random, balance: Balance | None = None) -> Question:
    """Draw one question of the VQAv2 kind."""
    answer_type = rng.choices(list(ANSWER_TYPES), list(ANSWER_TYPES.values()))[0]
    if answer_type == "yes/no":
        return yes_no_question(scene, rng.choice(list(YES_NO)), rng, balance)
    return open_question(scene, "count" if answer_type == "number" else rng.choice(OTHER_SLOTS), rng)


def vqa_questions(scene: Scene, count: int, rng: random.Random, balance: Balance) -> list[Question]:
    """Draw ``count`` different questions on one scene, one of a set whose answers ``balance`` keeps level."""
    drawn: dict[str, Question] = {}
    while len(drawn) < count:
        question = vqa_question(scene, rng, balance)
        if question.text in drawn:
            continue
        if question.value is None or balance.admit(question.slot, question.value, question.answer == "yes"):
            drawn[question.text] = question
    return list(drawn.values())


def _written(question: Question, value: str) -> str:
    return DIGITS[value] if question.slot == "count" and value in DIGITS else value


def _wrong(question: Question, rng: random.Random) -> str:
    if question.answer_type == "yes/no":
        return "no" if question.answer == "yes" else "yes"
    values = FACTS[question.slot] if question.slot in FACTS else VALUES[question.slot]
    return rng.choice([value for value in values if value != question.answer])


def annotate(question: Question, annotators: int, disagreement: float, rng: random.Random) -> list[str]:
    """The answers of simulated annotators.

    Each gives a wrong answer with probability ``disagreement``, a synonym (where the value has one) as often, else the
    true canonical word. Numbers are written as digits, as in VQAv2.
    """
    answers = []
    for _ in range(annotators):
        draw = rng.random()
        if draw < disagreement:
            answers.append(_written(question, _wrong(question, rng)))
        elif draw < 2 * disagreement and question.answer_type == "other" and question.slot in WORDS:
            answers.append(rng.choice(WORDS[question.slot][question.answer][1:]))
        else:
            answers.append(_written(question, question.answer))
    return answers
