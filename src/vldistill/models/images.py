"""Opening images of any origin: what comes out is always 8-bit RGB, upright, one frame."""

from __future__ import annotations

import io
from os import PathLike
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from vldistill.errors import InputError


def open_image(source: str | PathLike[str] | bytes, *, name: str | None = None) -> Image.Image:
    """Decode one image completely.

    EXIF rotation is applied, CMYK and palette images are converted, 16-bit greys are scaled to 8 bits (PIL alone clips
    them to white), transparency is laid on white, and of an animation the first frame is taken.

    Args:
        source: a path, or the bytes of an image file.
        name: how error messages call the image; the path where there is one.

    Raises:
        InputError: the image is missing, empty, truncated or of no known format; names it.
    """
    if not isinstance(source, bytes):
        name = name or str(source)
    try:
        data = source if isinstance(source, bytes) else Path(source).read_bytes()
        if not data:
            raise InputError("the image file is empty", file=name, action="Fetch it again")
        with Image.open(io.BytesIO(data)) as image:
            image.load()
            return _to_rgb(ImageOps.exif_transpose(image))
    except FileNotFoundError:
        raise InputError("no such image", file=name, action="Check the path") from None
    except (UnidentifiedImageError, Image.DecompressionBombError, OSError, SyntaxError, ValueError, EOFError) as error:
        if isinstance(error, InputError):
            raise
        # PIL raises SyntaxError and ValueError too for broken chunks, not just OSError. Of unknown formats it gives the
        # address of an object, which would make the feature store's list of broken images differ from run to run
        reason = "its format is unknown" if isinstance(error, UnidentifiedImageError) else str(error)
        raise InputError(f"not a readable image: {reason}", file=name, action="Fetch or convert it again") from None


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode == "RGB":
        return image
    if image.mode.startswith("I") or image.mode == "F":
        values = np.asarray(image, dtype=np.float64)
        top = 65535.0 if values.max(initial=0.0) > 255 else 255.0
        image = Image.fromarray((values * (255.0 / top)).clip(0, 255).astype(np.uint8))
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        layer = image.convert("RGBA")
        white = Image.new("RGBA", layer.size, (255, 255, 255, 255))
        return Image.alpha_composite(white, layer).convert("RGB")
    return image.convert("RGB")
