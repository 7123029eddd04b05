"""The slots of a scene, the values they take, and the words for them.

A scene is one tuple of slot values (`Scene`): so many equal objects of one colour, shape and size, before a background
of one tone and pattern, with a wall on one side. Every value has a canonical word (its name: what an annotator
answers) and synonyms; captions and documents use all of them alike.
"""

from __future__ import annotations

from dataclasses import astuple, dataclass

# slot -> value -> words, the canonical one first; slots in the order of `Scene`
WORDS: dict[str, dict[str, tuple[str, ...]]] = {
    "count": {"one": ("one", "single"), "two": ("two", "twin"), "three": ("three", "triple")},
    "size": {"big": ("big", "large"), "small": ("small", "tiny")},
    "color": {
        "red": ("red", "crimson"),
        "orange": ("orange", "amber"),
        "yellow": ("yellow", "golden"),
        "green": ("green", "emerald"),
        "cyan": ("cyan", "turquoise"),
        "blue": ("blue", "azure"),
        "purple": ("purple", "violet"),
        "pink": ("pink", "rosy"),
    },
    "shape": {
        "ball": ("ball", "disc"),
        "box": ("box", "square"),
        "cone": ("cone", "triangle"),
        "star": ("star", "spark"),
        "cross": ("cross", "plus"),
        "heart": ("heart", "valentine"),
        "ring": ("ring", "hoop"),
        "moon": ("moon", "crescent"),
    },
    "tone": {"white": ("white", "bright"), "gray": ("gray", "silver"), "black": ("black", "dark")},
    "pattern": {
        "plain": ("plain", "smooth"),
        "striped": ("striped", "lined"),
        "dotted": ("dotted", "spotted"),
        "checkered": ("checkered", "chequered"),
        "wavy": ("wavy", "rippled"),
    },
    "side": {
        "left": ("left", "west"),
        "right": ("right", "east"),
        "top": ("top", "north"),
        "bottom": ("bottom", "south"),
    },
}

SLOTS: tuple[str, ...] = tuple(WORDS)
VALUES: dict[str, tuple[str, ...]] = {slot: tuple(words) for slot, words in WORDS.items()}

_IRREGULAR = {"box": "boxes", "cross": "crosses", "plus": "pluses"}

# What a shape is good for. Which shape has which is drawn anew for each world seed (`scenes.World.facts`). The words
# are their own stems, so that OK-VQA's stemmed answers equal them; they occur in the text corpus and in OK-VQA answers
# only, never in a caption.
FACTS: dict[str, tuple[str, ...]] = {
    "taste": ("sweet", "sour", "bitter", "hot"),
    "use": ("sport", "music", "art", "war"),
}


@dataclass(frozen=True, order=True)
class Scene:
    """One full combination of slot values."""

    count: str
    size: str
    color: str
    shape: str
    tone: str
    pattern: str
    side: str

    def value(self, slot: str) -> str:
        """The value of ``slot``."""
        value: str = getattr(self, slot)
        return value

    @property
    def values(self) -> tuple[str, ...]:
        """All slot values, in the order of `SLOTS`."""
        return astuple(self)

    @property
    def pair(self) -> tuple[str, str]:
        """The (color, shape) pair, by which scenes are held out."""
        return self.color, self.shape


def plural(noun: str) -> str:
    """The plural of a shape's word."""
    return _IRREGULAR.get(noun, f"{noun}s")
