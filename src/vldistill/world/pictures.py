"""Rendered pixels to picture files, and other small files by the thousand.

Plain writes, without flushing each to the disk: the run folder of a rendered world counts only when its result file is
there, and is written anew until then.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

QUALITY = 95


def write_pictures(pictures: Iterable[NDArray[np.uint8]], paths: Sequence[Path]) -> None:
    """Write RGB images [side, side, 3] as JPEG files under ``paths``, in order."""
    for folder in {path.parent for path in paths}:
        folder.mkdir(parents=True, exist_ok=True)
    for path, pixels in zip(paths, pictures, strict=True):
        buffer = io.BytesIO()
        Image.fromarray(pixels).save(buffer, format="JPEG", quality=QUALITY, subsampling=0)
        path.write_bytes(buffer.getvalue())


def write_plain(path: Path, text: str) -> None:
    """Write a small text file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
