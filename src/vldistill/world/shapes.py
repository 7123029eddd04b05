"""Outlines of the eight shapes as tables of signed distances.

A table is looked up at the rotated and scaled pixel centres; distance to grey level gives smooth edges at any size,
for a whole batch of images at once.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from vldistill.world.concepts import VALUES

SIDE = 224
REACH = 1.25  # no point of a shape is further from its centre, in units of its radius
EXTENT = 1.5  # a table covers [-EXTENT, EXTENT]^2; the shapes reach about 1, the rest is room for the rim

Floats = NDArray[np.float32]
Inside = NDArray[np.bool_]


def _ball(x: Floats, y: Floats) -> Inside:
    return x**2 + y**2 < 0.95**2


def _box(x: Floats, y: Floats) -> Inside:
    return np.maximum(abs(x), abs(y)) < 0.82


def _cone(x: Floats, y: Floats) -> Inside:
    return (y < 0.75) & (y > -0.95 + 1.75 * abs(x))


def _star(x: Floats, y: Floats) -> Inside:
    # a wedge of 36 degrees between a tip (radius 1) and a notch (radius 0.42); the edge is the straight line between
    angle = np.arctan2(x, -y) % (2 * np.pi / 5)
    angle = np.minimum(angle, 2 * np.pi / 5 - angle)
    radius = np.hypot(x, y)
    tip, notch = 1.05, 0.44
    across, along = radius * np.sin(angle), radius * np.cos(angle)
    notch_x, notch_y = notch * np.sin(np.pi / 5), notch * np.cos(np.pi / 5)
    return across * (notch_y - tip) - notch_x * (along - tip) > 0


def _cross(x: Floats, y: Floats) -> Inside:
    near, far = np.minimum(abs(x), abs(y)), np.maximum(abs(x), abs(y))
    return (near < 0.3) & (far < 0.98)


def _heart(x: Floats, y: Floats) -> Inside:
    u, v = 1.15 * x, -1.15 * y + 0.12
    return (u**2 + v**2 - 1) ** 3 - u**2 * v**3 < 0


def _ring(x: Floats, y: Floats) -> Inside:
    radius = np.hypot(x, y)
    return (radius < 0.98) & (radius > 0.55)


def _moon(x: Floats, y: Floats) -> Inside:
    return (x**2 + y**2 < 1) & ((x - 0.5) ** 2 + y**2 > 0.78**2)


_INSIDE = {
    "ball": _ball,
    "box": _box,
    "cone": _cone,
    "star": _star,
    "cross": _cross,
    "heart": _heart,
    "ring": _ring,
    "moon": _moon,
}


@lru_cache(maxsize=1)
def distance_tables() -> Floats:
    """Signed distances in units of the shape's radius, positive inside: [shape, SIDE, SIDE], shapes as in `VALUES`."""
    from scipy.ndimage import distance_transform_edt

    line: Floats = ((np.arange(SIDE, dtype=np.float32) + 0.5) / SIDE * 2 - 1).astype(np.float32) * np.float32(EXTENT)
    y, x = line[:, None], line[None, :]
    step = 2 * EXTENT / SIDE
    tables = []
    for shape in VALUES["shape"]:
        inside = _INSIDE[shape](x, y)
        tables.append((distance_transform_edt(inside) - distance_transform_edt(~inside)) * step)
    return np.stack(tables).astype(np.float32)
