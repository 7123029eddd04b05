"""Groups: pictures of two to four different figures, as the VCR-style task and the region descriptions need them.

A figure has a size, a color and a shape and stands in one quarter of the picture. Groups belong to the pools `train`,
`dev` and `test` by a hash of their figures, as scenes do, and never show a (color, shape) pair that is never seen.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vldistill.params.world import World as WorldParams
from vldistill.world.concepts import VALUES
from vldistill.world.render import BATCH, COLORS, Box, Floats, around, background, blend, draws_of, finished
from vldistill.world.scenes import World

SCALE = 2  # a group's picture is so many times as wide as a scene's: a quarter of it is as large as a scene
CELLS = (("top", "left"), ("top", "right"), ("bottom", "left"), ("bottom", "right"))
RADII = {"big": 0.17, "small": 0.105}  # in units of the picture's side
MOST = len(CELLS)
GROUND_DRAWS, FIGURE_DRAWS = 6, 8
DRAWS = GROUND_DRAWS + MOST * FIGURE_DRAWS


@dataclass(frozen=True, order=True)
class Figure:
    """One figure: its looks, and the quarter (index into `CELLS`) it stands in."""

    size: str
    color: str
    shape: str
    cell: int

    def value(self, slot: str) -> str:
        """The value of size, color, shape, or of where it stands: ``row`` (top, bottom) or ``column`` (left, right)."""
        if slot in ("row", "column"):
            return CELLS[self.cell][slot == "column"]
        value: str = getattr(self, slot)
        return value

    @property
    def looks(self) -> tuple[str, str, str]:
        """(size, color, shape)."""
        return self.size, self.color, self.shape


@dataclass(frozen=True)
class Group:
    """Two to four figures with different looks, in the order of their boxes, before a background."""

    figures: tuple[Figure, ...]
    tone: str
    pattern: str


def draw_groups(world: World, pool: str, count: int, name: str) -> list[Group]:
    """Draw ``count`` different groups of ``pool``; ``name`` names the draw.

    The order of the figures says nothing of where they stand. Half of the groups hold two figures that share a slot.
    """
    rng = world.rng("groups", name)
    pairs = [pair for pair, kind in world.pair_class.items() if kind == "seen"]
    drawn: dict[tuple[Figure, ...], Group] = {}
    while len(drawn) < count:
        number = rng.choices((2, 3, 4), (0.3, 0.4, 0.3))[0]
        figures: list[Figure] = []
        for cell in rng.sample(range(MOST), number):
            size = rng.choice(VALUES["size"])
            color, shape = rng.choice(pairs)
            figures.append(Figure(size, color, shape, cell))
        if len({figure.looks for figure in figures}) < number:
            continue
        found = tuple(figures)
        if _pool_of(world, found) == pool:
            drawn[found] = Group(found, rng.choice(VALUES["tone"]), rng.choice(VALUES["pattern"]))
    return list(drawn.values())


def _pool_of(world: World, figures: Sequence[Figure]) -> str:
    # by the looks alone: the same figures in other places are the same combination
    text = "|".join(",".join(looks) for looks in sorted(figure.looks for figure in figures))
    digest = hashlib.sha256(f"{world.seed}:group:{text}".encode()).digest()
    position = int.from_bytes(digest[:8], "big") / 2**64
    train, dev = world.params.train_pool, world.params.dev_pool
    return "train" if position < train else "dev" if position < train + dev else "test"


def render_groups(groups: Sequence[Group], params: WorldParams, name: str) -> Iterator[NDArray[np.uint8]]:
    """Draw ``groups`` as the set ``name``.

    Yields:
        RGB images [SCALE * side, SCALE * side, 3], one a group, in order.
    """
    side = SCALE * params.image_size
    for start in range(0, len(groups), BATCH):
        part = groups[start : start + BATCH]
        noise = np.empty((len(part), side, side, 3), np.float32)
        draws = draws_of(params, name, start, len(part), DRAWS, noise)
        picture = background([(group.tone, group.pattern) for group in part], side, draws[:, :GROUND_DRAWS])
        for rows, figures, centre, radius, own in _placed(part, side, draws):
            colors = np.array([COLORS[figure.color] for figure in figures], np.float32)
            colors = (colors + 18 * own[:, 3:6]) * (1 + 0.1 * own[:, 6:7])
            shapes = np.array([VALUES["shape"].index(figure.shape) for figure in figures])
            blend(picture, rows, shapes, colors, centre, radius, 0.12 * own[:, 7])
        yield from finished(picture, params, noise)


def group_boxes(groups: Sequence[Group], params: WorldParams, name: str) -> Iterator[list[Box]]:
    """The boxes of each group's figures in the set ``name``, in their order, in pixels."""
    side = SCALE * params.image_size
    for start in range(0, len(groups), BATCH):
        part = groups[start : start + BATCH]
        found: list[list[Box]] = [[] for _ in part]
        for rows, _, centre, radius, _ in _placed(part, side, draws_of(params, name, start, len(part), DRAWS)):
            for row, box in zip(rows, around(centre, radius, side), strict=True):
                found[int(row)].append(box)
        yield from found


def _placed(
    groups: Sequence[Group], side: int, draws: Floats
) -> Iterator[tuple[NDArray[np.intp], list[Figure], Floats, Floats, Floats]]:
    """Images, figures, centres [N, 2] and radii [N] in pixels and draws of each group's first, second, ... figure."""
    for number in range(max(len(group.figures) for group in groups)):
        rows = np.flatnonzero([len(group.figures) > number for group in groups])
        figures = [groups[int(row)].figures[number] for row in rows]
        begin = GROUND_DRAWS + number * FIGURE_DRAWS
        own = draws[rows, begin : begin + FIGURE_DRAWS]
        radius = side * np.array([RADII[figure.size] for figure in figures], np.float32) * (1 + 0.05 * own[:, 2])
        middle = [
            (0.27 if f.value("column") == "left" else 0.73, 0.27 if f.value("row") == "top" else 0.73) for f in figures
        ]
        yield rows, figures, side * (np.array(middle, np.float32) + 0.02 * own[:, :2]), radius, own
