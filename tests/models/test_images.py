"""Images as users have them: rotated, CMYK, 16-bit, animated, broken."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from vldistill.errors import InputError
from vldistill.models.images import open_image


def encoded(image: Image.Image, kind: str, **options) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def half_red(mode: str = "RGB") -> Image.Image:
    image = Image.new("RGB", (40, 20), "white")
    image.paste((255, 0, 0), (0, 0, 20, 20))
    return image.convert(mode)


def test_plain_image_is_unchanged() -> None:
    assert np.array_equal(np.asarray(open_image(encoded(half_red(), "PNG"))), np.asarray(half_red()))


def test_exif_rotation_is_applied() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    turned = open_image(encoded(half_red(), "JPEG", exif=exif, quality=95))
    assert turned.size == (20, 40)
    assert np.asarray(turned)[5, 10, 1] < 60 < 200 < np.asarray(turned)[35, 10, 1]


@pytest.mark.parametrize(("mode", "kind"), [("CMYK", "JPEG"), ("P", "GIF"), ("L", "PNG"), ("1", "PNG")])
def test_modes_become_rgb(mode: str, kind: str) -> None:
    image = open_image(encoded(half_red(mode), kind))
    assert image.mode == "RGB"
    pixels = np.asarray(image).astype(int)
    assert pixels[10, 30].min() > 240
    if mode in ("CMYK", "P"):
        assert pixels[10, 5, 0] > 200 > 80 > pixels[10, 5, 1]


def test_sixteen_bits_are_scaled_not_clipped() -> None:
    ramp = np.linspace(0, 65535, 64).astype(np.uint16).reshape(8, 8)
    pixels = np.asarray(open_image(encoded(Image.fromarray(ramp), "PNG")))[..., 0].reshape(-1).astype(int)
    assert np.abs(pixels - np.linspace(0, 255, 64)).max() <= 1.5


def test_transparency_lies_on_white() -> None:
    layer = Image.new("RGBA", (4, 4), (0, 0, 0, 0))
    assert np.asarray(open_image(encoded(layer, "PNG"))).min() == 255


def test_what_is_said_of_a_broken_image_is_the_same_each_time() -> None:
    said = []
    for _ in range(2):
        with pytest.raises(InputError, match=r"a\.png: not a readable image: its format is unknown") as caught:
            open_image(b"<html>404</html>", name="a.png")
        said.append(str(caught.value))
    assert said[0] == said[1]


def test_first_frame_of_an_animation() -> None:
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("blue", "red")]
    data = encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])
    assert tuple(np.asarray(open_image(data))[0, 0]) == (0, 0, 255)


@pytest.mark.parametrize("data", [b"", b"no image at all", encoded(half_red(), "PNG")[:60], b"\x89PNG\r\n\x1a\n" * 3])
def test_broken_images_are_named(data: bytes) -> None:
    with pytest.raises(InputError, match=r"cat\.png"):
        open_image(data, name="cat.png")


def test_truncated_jpeg_is_refused() -> None:
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8))
    data = encoded(noise, "JPEG")
    with pytest.raises(InputError, match="not a readable image"):
        open_image(data[: len(data) // 2], name="cut.jpg")


def test_missing_file(tmp_path) -> None:
    with pytest.raises(InputError, match="no such image"):
        open_image(tmp_path / "gone.png")
