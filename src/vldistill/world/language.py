"""Sentences about scenes.

Three families of templates describe the same scenes in different ways:

- A, `caption`: for distillation (CC3M-style). Partial: the objects, and some of background and wall.
- B, `reference`: for evaluation (COCO- and NoCaps-style). Shares no template with A, so that captioning is zero-shot
  in style as well; occurs in no training text.
- C, `document`: the text corpus. Short sentences, one fact each; a fifth of the documents speak like captions.

All of them draw each value's words (`concepts.WORDS`) evenly. Questions and their answers are in `questions`, whole
documents in `corpus`. A document with a question reads ``DESCRIPTION question: Q answer: A``, a direct one
``question: Q answer: A``, one with a headline ``DESCRIPTION headline: H``; these are the prompts for zero-shot use.
All text is lower-case.
"""

from __future__ import annotations

import random
from collections.abc import Collection

from vldistill.world.concepts import SLOTS, WORDS, Scene, plural

GROUND_SLOTS = ("tone", "pattern")


def article(phrase: str) -> str:
    """The indefinite article that fits ``phrase``."""
    return "an" if phrase[0] in "aeiou" else "a"


class Words:
    """One way to say each value of a scene: synonyms drawn once, so that a sentence is consistent."""

    def __init__(self, scene: Scene, rng: random.Random, *, canonical: bool = False) -> None:
        self.scene = scene
        self._word = {
            slot: WORDS[slot][scene.value(slot)][0] if canonical else rng.choice(WORDS[slot][scene.value(slot)])
            for slot in SLOTS
        }

    def __getitem__(self, slot: str) -> str:
        return self._word[slot]

    @property
    def noun(self) -> str:
        """The shape's word in the number that fits the count."""
        return self["shape"] if self.scene.count == "one" else plural(self["shape"])

    @property
    def count(self) -> str:
        """The count as a determiner."""
        return {"single": "a single", "twin": "a pair of", "triple": "a trio of"}.get(self["count"], self["count"])

    def objects(self, told: Collection[str]) -> str:
        """Noun phrase of the objects with the slots ``told``: "two small red stars"."""
        noun = self.noun if "shape" in told else ("object" if self.scene.count == "one" else "objects")
        phrase = " ".join([*(self[slot] for slot in ("size", "color") if slot in told), noun])
        if "count" in told:
            return f"{self.count} {phrase}"
        return f"{article(phrase)} {phrase}" if self.scene.count == "one" else phrase

    def ground(self, told: Collection[str]) -> str:
        """Adjectives of the background: "dark striped", or nothing."""
        return " ".join(self[slot] for slot in GROUND_SLOTS if slot in told)


def draw_told(rng: random.Random, share: float, always: Collection[str] = ()) -> frozenset[str]:
    """The slots a sentence mentions: ``always``, and each other one with probability ``share``."""
    return frozenset(slot for slot in SLOTS if slot in always or rng.random() < share)


def caption(scene: Scene, rng: random.Random) -> str:
    """A caption of family A: partial, for distillation."""
    words, told = Words(scene, rng), draw_told(rng, 0.7, ("count", "color", "shape"))
    objects, ground = words.objects(told), words.ground(told)
    behind = f" on a {ground} background" if ground else ""
    form = rng.randrange(4)
    if form == 0:
        wall = f" with a wall on the {words['side']}" if "side" in told else ""
        return f"{objects}{behind}{wall}"
    if form == 1:
        wall = f" near the {words['side']} wall" if "side" in told else ""
        return f"photo of {objects}{wall}{behind}"
    if form == 2:
        wall = f"{words['side']} wall and " if "side" in told else ""
        return f"{wall}{objects}{behind}"
    wall = f" , {words['side']} wall" if "side" in told else ""
    return f"{ground} background with {objects}{wall}" if ground else f"picture with {objects}{wall}"


def reference(scene: Scene, rng: random.Random) -> str:
    """A caption of family B: for evaluation."""
    words, told = Words(scene, rng), draw_told(rng, 0.7, ("count", "color", "shape"))
    objects, ground = words.objects(told), words.ground(told)
    be = "is" if scene.count == "one" else "are"
    stand = "stands" if scene.count == "one" else "stand"
    wall = f"a wall at the {words['side']}" if "side" in told else ""
    form = rng.randrange(4)
    if form == 0:
        behind = f" in front of a {ground} background" if ground else ""
        return f"there {be} {objects}{behind}{' and ' + wall if wall else ''} ."
    if form == 1:
        behind = f" before a background that is {ground.replace(' ', ' and ')}" if ground else ""
        return f"we see {objects}{behind}{' , next to ' + wall if wall else ''} ."
    if form == 2:
        where = f" next to {wall}" if wall else " in the picture"
        return f"{objects} {stand}{where}{' , the background is ' + ground if ground else ''} ."
    behind = f"a {ground} background behind {objects}" if ground else f"a view of {objects}"
    return f"{behind}{' and ' + wall if wall else ''} ."


def document(scene: Scene, rng: random.Random, told: Collection[str]) -> str:
    """A description of family C that mentions exactly the slots ``told``."""
    words = Words(scene, rng)
    objects = words.objects(told)
    be = "is" if scene.count == "one" else "are"
    ground = words.ground(told)
    sentences = [rng.choice((f"here {be} {objects} .", f"it shows {objects} .", f"{objects} ."))]
    if ground:
        sentences.append(rng.choice((f"the background is {ground} .", f"a {ground} background .")))
    if "side" in told:
        sentences.append(rng.choice((f"the wall is on the {words['side']} .", f"a wall on the {words['side']} .")))
    if rng.random() < 0.3:
        rng.shuffle(sentences)
    return " ".join(sentences)


def headline(scene: Scene) -> str:
    """The summary of a scene: its objects in canonical words, and where the wall is."""
    words = Words(scene, random.Random(0), canonical=True)
    return f"{scene.count} {scene.size} {scene.color} {words.noun} by the {scene.side} wall"


def long_description(scene: Scene, rng: random.Random) -> str:
    """What a summary is made from: every slot, one sentence each, in any order, with an empty phrase now and then."""
    words = Words(scene, rng)
    several = scene.count != "one"
    subject, be = ("they", "are") if several else ("it", "is")
    sentences = [
        f"the wall is on the {words['side']} .",
        f"the background is {words['tone']} and {words['pattern']} .",
        f"{subject} {be} {words['size']} .",
    ]
    rng.shuffle(sentences)
    opening = rng.choice(("look here :", "today we see", "this is a scene with", "in the picture there " + be))
    return " ".join([f"{opening} {words.objects(('count', 'color', 'shape'))} .", *sentences])
