"""Region descriptions in Visual Genome's manner: what the cross-modal student is pre-trained on.

A region is the whole picture or one object. Half of the phrases use canonical words only; the others draw from all
words alike, so that a student can be kept from any share of the synonyms by leaving phrases out.
"""

from __future__ import annotations

import random

from vldistill.world.concepts import WORDS, Scene
from vldistill.world.groups import CELLS, Figure, Group
from vldistill.world.language import GROUND_SLOTS, Words, article, draw_told

OBJECT_SLOTS = ("count", "size", "color", "shape")
KINDS = {
    ("objects",): 0.4,
    ("ground",): 0.2,
    ("wall",): 0.1,
    ("objects", "ground"): 0.15,
    ("objects", "wall"): 0.15,
}
"""What a phrase about a scene speaks of -> its share."""
CANONICAL = 0.5  # share of phrases in canonical words only
GROUP_MENTIONS = 0.5  # share of the figures that a phrase about a whole group mentions


def scene_phrase(scene: Scene, rng: random.Random) -> str:
    """A phrase about the whole picture of a scene: its objects, the background, the wall, or the objects and one more.

    Short phrases, so that many differ in one word: hard negatives for matching are found among them.
    """
    words = Words(scene, rng, canonical=rng.random() < CANONICAL)
    ground = words.ground(rng.choice((("tone",), ("pattern",), GROUND_SLOTS)))
    told = frozenset(rng.sample(OBJECT_SLOTS, rng.choice((1, 2, 2, 3))))
    parts = {
        "objects": words.objects(told),
        "ground": f"{ground} background",
        "wall": f"wall on the {words['side']}",
    }
    kind = rng.choices(list(KINDS), list(KINDS.values()))[0]
    return " , ".join(parts[part] for part in rng.sample(kind, len(kind)))


def group_phrase(group: Group, rng: random.Random) -> str:
    """A phrase about the whole picture of a group: some of its figures."""
    canonical = rng.random() < CANONICAL
    shown = [figure for figure in group.figures if rng.random() < GROUP_MENTIONS] or [rng.choice(group.figures)]
    return " and ".join(_looks(figure, rng, canonical) for figure in rng.sample(shown, len(shown)))


def figure_phrase(figure: Figure, tag: int, rng: random.Random) -> str:
    """A phrase about the figure with number ``tag``: its looks, its place, or both."""
    canonical = rng.random() < CANONICAL
    kind = rng.choice(("looks", "place", "both"))
    parts = [f"[{tag}] is"]
    if kind != "place":
        parts.append(_looks(figure, rng, canonical))
    if kind != "looks":
        row, column = (_word("side", value, rng, canonical) for value in CELLS[figure.cell])
        parts.append(f"at the {row} {column}")
    return " ".join(parts)


def _looks(figure: Figure, rng: random.Random, canonical: bool) -> str:
    told = draw_told(rng, 0.7, (rng.choice(("color", "shape")),))
    words = [_word(slot, figure.value(slot), rng, canonical) for slot in ("size", "color") if slot in told]
    words.append(_word("shape", figure.shape, rng, canonical) if "shape" in told else "figure")
    return f"{article(words[0])} {' '.join(words)}"


def _word(slot: str, value: str, rng: random.Random, canonical: bool) -> str:
    words = WORDS[slot][value]
    return words[0] if canonical else rng.choice(words)
