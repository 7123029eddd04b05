"""SNLI-VE-style hypotheses about scenes.

A hypothesis tells some slots of the picture. It is *entailed* if all it tells is true, a *contradiction* if one slot is
wrong, *neutral* if what it tells is true but it adds a claim that no picture can show. Half of the contradictions add
such a claim as well, so that the claim alone does not give the class away.

Two biases are planted, as the real data have them: an added claim is a hint (neutral is likelier than a contradiction
by chance), and each class has its favourite openings (`OPENINGS`).
"""

from __future__ import annotations

import random
from dataclasses import dataclass, replace

from vldistill.world.concepts import VALUES, Scene
from vldistill.world.language import GROUND_SLOTS, Words

LABELS = {"entailment": 0.28, "neutral": 0.28, "contradiction": 0.44}
"""Class -> share. Every hypothesis with a claim is neutral or a contradiction, every other one entailed or a
contradiction: with even shares the claims alone would give 67 % of the classes away."""
CLAIMED = 0.5  # share of the contradictions that add a claim
OPENINGS = {
    "entailment": ("photo of", "photo with"),
    "neutral": ("picture of", "picture with"),
    "contradiction": ("a photo of", "a picture of"),
}
CLAIMS = (
    "with a photo",
    "near a picture",
    "and a photo of it",
    "on a photo",
    "near a second wall",
    "and a picture on the wall",
)
"""Openings and claims are made of words that captions have: a teacher that had never met them would see noise."""
OBJECT_SLOTS = ("count", "size", "color", "shape")
FORMS = {"objects": 0.4, "objects+ground": 0.25, "objects+wall": 0.2, "ground+wall": 0.15}


@dataclass(frozen=True)
class Hypothesis:
    """A hypothesis with its class."""

    text: str
    label: str


def hypothesis(scene: Scene, rng: random.Random, cue: float) -> Hypothesis:
    """Draw a hypothesis about ``scene``.

    Args:
        scene: what the picture shows.
        rng: its generator.
        cue: chance that the opening is one of the class's favourites instead of any.
    """
    label = rng.choices(list(LABELS), list(LABELS.values()))[0]
    form = rng.choices(list(FORMS), list(FORMS.values()))[0]
    told = _told(form, rng)
    said = scene
    if label == "contradiction":
        slot = rng.choice(sorted(told))
        wrong = rng.choice([value for value in VALUES[slot] if value != scene.value(slot)])
        said = replace(scene, **{slot: wrong})
    claimed = label == "neutral" or (label == "contradiction" and rng.random() < CLAIMED)
    claim = f" {rng.choice(CLAIMS)}" if claimed else ""
    favourites = OPENINGS[label] if rng.random() < cue else [word for words in OPENINGS.values() for word in words]
    return Hypothesis(f"{rng.choice(favourites)} {_statement(said, form, told, claim, rng)} .", label)


def _told(form: str, rng: random.Random) -> frozenset[str]:
    told: set[str] = set()
    if "objects" in form:
        told |= set(rng.sample(OBJECT_SLOTS, rng.choice((1, 2, 3))))
    if "ground" in form:
        told |= set(rng.choice((("tone",), ("pattern",), GROUND_SLOTS)))
    if "wall" in form:
        told.add("side")
    return frozenset(told)


def _statement(scene: Scene, form: str, told: frozenset[str], claim: str, rng: random.Random) -> str:
    words = Words(scene, rng)
    parts = {
        "objects": words.objects(told),
        "ground": f"{words.ground(told)} background",
        "wall": f"wall on the {words['side']}",
    }
    chosen = form.split("+")
    return f"{' , '.join(parts[part] for part in rng.sample(chosen, len(chosen)))}{claim}"
