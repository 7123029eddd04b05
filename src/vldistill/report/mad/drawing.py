"""The regions of an example's picture as frames, with their weights as numbers on it that do not cover each other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

SIDE = 240.0
"""Longer side of a drawing; it is shown about as wide in px, so that the sizes here are those on the page."""
INSET = 1.5
"""Distance of frames from the edge of the picture: of those on it, the outer half of the line would be cut off."""
NUMBERED = 6
"""Regions besides the chosen one whose numbers are drawn, where they fit: the best ones."""


@dataclass(frozen=True)
class Box:
    """A region in pixels of the picture, and the cosine of CLIP's vectors of it and of the text."""

    x: float
    y: float
    width: float
    height: float
    name: str
    weight: float
    chosen: bool


@dataclass(frozen=True)
class Label:
    """A number's place: corner, size, and where its text is centred."""

    x: float
    y: float
    width: float
    height: float

    @property
    def middle(self) -> float:
        """Of the text."""
        return self.x + self.width / 2

    @property
    def baseline(self) -> float:
        """Of the text."""
        return self.y + 0.77 * self.height

    def meets(self, other: Label) -> bool:
        """Whether both have something of the picture in common."""
        return (
            self.x < other.x + other.width
            and other.x < self.x + self.width
            and self.y < other.y + other.height
            and other.y < self.y + self.height
        )


@dataclass(frozen=True)
class Frame:
    """A region as it is drawn; without a label its number is in its title alone."""

    x: float
    y: float
    width: float
    height: float
    title: str
    number: str
    label: Label | None


@dataclass(frozen=True)
class Drawing:
    """A picture of ``width`` x ``height`` and its frames.

    Attributes:
        whole: title of the picture itself; empty where no region was weighed.
        frames: of the regions that were not chosen, the largest first, so that a pointer reaches the small ones.
        chosen: of the one that was.
    """

    width: float
    height: float
    whole: str = ""
    frames: Sequence[Frame] = ()
    chosen: Frame | None = None


def draw(width: int, height: int, boxes: Sequence[Box]) -> Drawing:
    """Lay out the regions of a picture of ``width`` x ``height`` pixels, the whole picture being the first of them."""
    scale = SIDE / max(width, height)
    size = width * scale, height * scale
    if not boxes:
        return Drawing(*size)
    placed: list[Label] = []
    frames = []
    # the chosen one's number is placed first, then those of the best
    for box in sorted(boxes, key=lambda box: (not box.chosen, -box.weight)):
        if box is boxes[0] and not box.chosen:
            continue
        frame = _inside(box, scale, *size)
        number = figure(box.weight)
        label = None
        if box.chosen:
            label = _tag(frame, number, *size)
        elif len(placed) <= NUMBERED:
            label = next((at for at in _corners(frame, number) if not any(at.meets(other) for other in placed)), None)
        placed += [label] if label else []
        frames.append(Frame(*frame, _title(box), number, label))
    best = frames.pop(0) if any(box.chosen for box in boxes) else None
    frames.sort(key=lambda frame: -frame.width * frame.height)
    return Drawing(*size, _title(boxes[0]), frames, best)


def figure(weight: float) -> str:
    """A weight as it is printed, with a true minus sign."""
    return f"{weight:.2f}".replace("-", "\u2212")


def _title(box: Box) -> str:
    return f"{box.name}: {figure(box.weight)}"


def _inside(box: Box, scale: float, width: float, height: float) -> tuple[float, float, float, float]:
    left, right = (min(max(x * scale, INSET), width - INSET) for x in (box.x, box.x + box.width))
    top, bottom = (min(max(y * scale, INSET), height - INSET) for y in (box.y, box.y + box.height))
    return left, top, right - left, bottom - top


def _tag(frame: tuple[float, float, float, float], number: str, width: float, height: float) -> Label:
    """The chosen region's number: above its frame, else below, else inside; never beyond the picture."""
    x, y, _, tall = frame
    wide, high = 7.4 * len(number) + 8, 17.0
    edge = INSET / 2
    top = next((at for at in (y - high + edge, y + tall - edge) if 0 <= at <= height - high), y - edge)
    return Label(min(max(x - edge, 0.0), width - wide), top, wide, high)


def _corners(frame: tuple[float, float, float, float], number: str) -> Iterator[Label]:
    """Where another region's number fits inside its frame."""
    x, y, width, height = frame
    wide, high, gap = 5.9 * len(number) + 2, 12.0, 2.0
    if width >= wide + 2 * gap and height >= high + 2 * gap:
        for top in (y + gap, y + height - high - gap):
            for left in (x + gap, x + width - wide - gap):
                yield Label(left, top, wide, high)
