"""Scenes to pixels: deterministic for (world seed, name of the set, index), whatever the batch.

All variation that must not be told from the words (position, scale, angle, colour, brightness, pixel noise) comes from
one generator for each image, so that an image stays the same when a set grows.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from vldistill.params.world import World as WorldParams
from vldistill.world.concepts import VALUES, Scene
from vldistill.world.shapes import EXTENT, REACH, SIDE, distance_tables

BATCH = 256
LIKE_SIZED = 32  # objects that are drawn at once, in windows as large as the largest of them needs
COLORS = {
    "red": (215, 35, 35),
    "orange": (245, 130, 25),
    "yellow": (245, 225, 50),
    "green": (40, 165, 55),
    "cyan": (50, 215, 220),
    "blue": (45, 70, 225),
    "purple": (135, 50, 190),
    "pink": (250, 140, 195),
}
TONES = {"white": 232.0, "gray": 138.0, "black": 34.0}
CONTRAST = 26.0  # of the background's pattern, in grey levels
WALL = (120.0, 80.0, 50.0)
WALL_WIDTH = 0.085  # of the image side
# Centres of the objects by count, in units of the image side; they reach the wall but never hide it.
PLACES = {
    "one": ((0.5, 0.5),),
    "two": ((0.29, 0.29), (0.71, 0.71)),
    "three": ((0.27, 0.28), (0.73, 0.28), (0.5, 0.73)),
}
# Radii in units of the image side: size is absolute for two and three, a lone object may be larger.
RADII = {("one", "big"): 0.31, ("one", "small"): 0.17, ("big",): 0.195, ("small",): 0.14}
# A dark rim makes the step at an object's edge the same on every background.
OUTLINE = 15.0
OUTLINE_WIDTH = 0.027  # of the image side
DRAWS = 32  # uniform numbers an image may use before its pixel noise

Floats = NDArray[np.float32]
Places = NDArray[np.float64]
Box = tuple[int, int, int, int]
"""x1, y1, x2, y2 in pixels, the far corner outside."""


def render(scenes: Sequence[Scene], params: WorldParams, name: str) -> Iterator[NDArray[np.uint8]]:
    """Draw ``scenes`` as the set ``name``.

    Yields:
        RGB images [side, side, 3], one a scene, in order.
    """
    for start in range(0, len(scenes), BATCH):
        yield from _batch(scenes[start : start + BATCH], params, name, start)


def boxes(scenes: Sequence[Scene], params: WorldParams, name: str) -> Iterator[list[Box]]:
    """Where the objects of ``scenes`` stand in the set ``name``, rims included, and last the wall: boxes in pixels."""
    side = params.image_size
    for start in range(0, len(scenes), BATCH):
        part = scenes[start : start + BATCH]
        draws = draws_of(params, name, start, len(part), DRAWS)
        found: list[list[Box]] = [[] for _ in part]
        for rows, centre, radius, _ in _placed(part, side, draws[:, 6:]):
            for row, box in zip(rows, around(centre, radius, side), strict=True):
                found[int(row)].append(box)
        for row, scene in enumerate(part):
            yield [*found[row], _wall_box(scene.side, side)]


def around(centre: Floats | Places, radius: Floats, side: int) -> list[Box]:
    """Boxes around objects with centres [N, 2] and radii [N], rims included, cut at the picture's edge; in pixels."""
    half = radius[:, None] + OUTLINE_WIDTH * side
    corners = np.concatenate([np.floor(centre - half), np.ceil(centre + half)], axis=1)
    return [(int(x1), int(y1), int(x2), int(y2)) for x1, y1, x2, y2 in np.clip(corners, 0, side)]


def _batch(scenes: Sequence[Scene], params: WorldParams, name: str, start: int) -> NDArray[np.uint8]:
    side = params.image_size
    noise = np.empty((len(scenes), side, side, 3), np.float32)
    draws = draws_of(params, name, start, len(scenes), DRAWS, noise)
    picture = background([(scene.tone, scene.pattern) for scene in scenes], side, draws[:, :6])
    _draw_wall(picture, scenes, side, draws[:, :6])
    _draw_objects(picture, scenes, side, draws[:, 6:])
    return finished(picture, params, noise)


def draws_of(params: WorldParams, name: str, start: int, count: int, width: int, noise: Floats | None = None) -> Floats:
    """What varies in each of ``count`` images, uniform in [-jitter, jitter]: [count, width]; fills ``noise``, too."""
    prefix = int.from_bytes(hashlib.sha256(f"{params.seed}:{name}".encode()).digest()[:8], "big")
    draws = np.empty((count, width), np.float32)
    for row in range(count):
        generator = np.random.default_rng([prefix, start + row])
        draws[row] = generator.random(width, dtype=np.float32) * 2 - 1
        if noise is not None:
            generator.standard_normal(out=noise[row], dtype=np.float32)
    draws *= params.jitter
    return draws


def finished(picture: Floats, params: WorldParams, noise: Floats) -> NDArray[np.uint8]:
    """The pictures with their pixel noise, as bytes."""
    picture += params.noise * noise
    return np.clip(picture, 0, 255).round().astype(np.uint8)


def background(grounds: Sequence[tuple[str, str]], side: int, draws: Floats) -> Floats:
    """(Tone, pattern) of each image as pixels [image, side, side, 3]; phase, angle, tint vary by draws [image, 6]."""
    line = np.arange(side, dtype=np.float32) / side * 48  # the patterns are sized for 48 pixels
    y, x = np.meshgrid(line, line, indexing="ij")
    phase = draws[:, :2, None, None] * 4
    px, py = x[None] + phase[:, 0], y[None] + phase[:, 1]
    period = 2 * np.pi / 8
    waves: dict[str, Callable[[Floats, Floats], Floats]] = {
        "plain": lambda x, y: np.zeros_like(x),
        "striped": lambda x, y: np.sign(np.sin(period * (x + y) / 1.3)),
        "dotted": lambda x, y: np.where(np.cos(period * x) + np.cos(period * y) > 0.9, 1.0, -0.4),
        "checkered": lambda x, y: np.sign(np.sin(period * x / 1.5) * np.sin(period * y / 1.5)),
        "wavy": lambda x, y: np.sign(np.sin(period * (y + 2.5 * np.sin(x / 3.2)))),
    }
    level = np.array([TONES[tone] for tone, _ in grounds], np.float32) + 10 * draws[:, 2]
    grey = level[:, None, None] + np.stack(
        [waves[pattern](own_x, own_y) * CONTRAST for own_x, own_y, (_, pattern) in zip(px, py, grounds, strict=True)]
    ).astype(np.float32)
    tint = 6 * draws[:, 3:6]
    return grey[..., None] + tint[:, None, None, :]


def _draw_wall(picture: Floats, scenes: Sequence[Scene], side: int, draws: Floats) -> None:
    for row, scene in enumerate(scenes):
        x1, y1, x2, y2 = _wall_box(scene.side, side)
        picture[row, y1:y2, x1:x2] = np.array(WALL, np.float32) + 14 * draws[row, 3:6]


def _wall_box(where: str, side: int) -> Box:
    width = max(2, round(WALL_WIDTH * side))
    return {
        "left": (0, 0, width, side),
        "right": (side - width, 0, side, side),
        "top": (0, 0, side, width),
        "bottom": (0, side - width, side, side),
    }[where]


def _draw_objects(picture: Floats, scenes: Sequence[Scene], side: int, draws: Floats) -> None:
    """Blend each scene's objects into ``picture`` [image, side, side, 3]."""
    shapes = np.array([VALUES["shape"].index(scene.shape) for scene in scenes])
    colors = np.array([COLORS[scene.color] for scene in scenes], np.float32)
    colors = (colors + 18 * draws[:, 0:3]) * (1 + 0.1 * draws[:, 3:4])
    for rows, centre, radius, own in _placed(scenes, side, draws):
        blend(picture, rows, shapes[rows], colors[rows], centre, radius, 0.12 * own[:, 3])


def _placed(
    scenes: Sequence[Scene], side: int, draws: Floats
) -> Iterator[tuple[NDArray[np.intp], Places, Floats, Floats]]:
    """Where the objects are, one place after the other: images [N], centres [N, 2] and radii [N] in pixels, draws."""
    counts = np.array([len(PLACES[scene.count]) for scene in scenes])
    radii = side * np.array([RADII.get((s.count, s.size), RADII.get((s.size,))) for s in scenes], np.float32)
    for place in range(int(counts.max())):
        rows: NDArray[np.intp] = np.flatnonzero(counts > place)
        own = draws[rows, 4 + 4 * place : 8 + 4 * place]
        radius = radii[rows] * (1 + 0.05 * own[:, 2])
        # a lone object has room to stand anywhere
        spread = np.where(counts[rows] == 1, 0.035, 0.015)[:, None] * side
        middle = side * np.array([PLACES[scenes[int(row)].count][place] for row in rows], np.float32)
        yield rows, middle + spread * own[:, :2], radius, own


def blend(
    picture: Floats,
    rows: NDArray[np.intp],
    shapes: NDArray[np.intp],
    colors: Floats,
    centre: Floats | Places,
    radius: Floats,
    angle: Floats,
) -> None:
    """Draw one object with a dark rim into each of the images ``rows`` of ``picture`` [image, side, side, 3].

    Args:
        picture: changed in place.
        rows: [N] images.
        shapes: [N] indices into ``VALUES["shape"]``.
        colors: [N, 3].
        centre: [N, 2] in pixels, x and y.
        radius: [N] in pixels.
        angle: [N] in radians.
    """
    order = np.argsort(radius)
    for start in range(0, len(order), LIKE_SIZED):
        part = order[start : start + LIKE_SIZED]
        _blend_windows(picture, rows[part], shapes[part], colors[part], centre[part], radius[part], angle[part])


def _blend_windows(
    picture: Floats,
    rows: NDArray[np.intp],
    shapes: NDArray[np.intp],
    colors: Floats,
    centre: Floats | Places,
    radius: Floats,
    angle: Floats,
) -> None:
    """As `blend`; reads and writes a square around each object and nothing else of the pictures."""
    tables, side = distance_tables(), picture.shape[1]
    # one pixel more for the smooth edge
    half = REACH * radius.max() + OUTLINE_WIDTH * side + 1
    width = min(side, math.ceil(2 * half) + 1)
    first = np.clip(np.floor(centre - half), 0, side - width).astype(np.intp)
    across, down = (first[:, axis, None] + np.arange(width) for axis in (0, 1))
    x, y = (pixels.astype(np.float32) + np.float32(0.5) for pixels in (across, down))
    dx, dy = (x - centre[:, :1])[:, None, :], (y - centre[:, 1:])[:, :, None]
    cos, sin = (f(angle)[:, None, None] / radius[:, None, None] for f in (np.cos, np.sin))
    column, level = (
        np.clip((place / EXTENT + 1) / 2 * SIDE, 0, SIDE - 1).astype(np.int32)
        for place in (cos * dx + sin * dy, cos * dy - sin * dx)
    )
    depth = (tables[shapes[:, None, None], level, column] * radius[:, None, None])[..., None]
    window = rows[:, None, None], down[:, :, None], across[:, None, :]
    pixels = picture[window]
    for color, edge in ((np.float32(OUTLINE), OUTLINE_WIDTH * side), (colors[:, None, None, :], 0.0)):
        cover = np.clip(depth + edge + 0.5, 0, 1)
        pixels = pixels * (1 - cover) + color * cover
    picture[window] = pixels
