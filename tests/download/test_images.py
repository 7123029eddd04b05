"""Image archives, and images of every odd kind."""

import io
import zipfile

import numpy as np
import pytest
from PIL import Image

from vldistill.download.convert import shrink
from vldistill.errors import InputError
from vldistill.images import CorruptImage, open_images


def encoded(image, kind, **options):
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def gradient(width=40, height=20):
    values = np.zeros((height, width, 3), np.uint8)
    values[..., 0] = np.linspace(0, 255, width)
    values[..., 1] = 128
    return Image.fromarray(values)


@pytest.fixture
def archive(tmp_path):
    red, blue = Image.new("RGB", (8, 8), "red"), Image.new("RGB", (8, 8), "blue")
    upright = Image.Exif()
    upright[0x0112] = 6  # turn by 90 degrees
    grey16 = Image.fromarray((np.linspace(0, 65535, 64 * 64).reshape(64, 64)).astype(np.uint16))
    files = {
        "plain.jpg": encoded(gradient(), "JPEG"),
        "cmyk.jpg": encoded(gradient().convert("CMYK"), "JPEG"),
        "rotated.jpg": encoded(gradient(), "JPEG", exif=upright),
        "grey16.png": encoded(grey16, "PNG"),
        "moving.gif": encoded(red, "GIF", save_all=True, append_images=[blue]),
        "palette.png": encoded(gradient().convert("P"), "PNG"),
        "empty.jpg": b"",
        "truncated.jpg": encoded(gradient(400, 300), "JPEG")[:1500],
        "text.jpg": b"<html>not found</html>",
    }
    with zipfile.ZipFile(tmp_path / "images.zip", "w") as target:
        for name, data in files.items():
            target.writestr(name, data)
    return tmp_path


def test_every_readable_kind_is_upright_8_bit_rgb(archive):
    with open_images(archive) as images:
        assert len(images) == 9
        for key in ("plain.jpg", "cmyk.jpg", "palette.png"):
            image = images.read(key)
            assert image.mode == "RGB" and image.size == (40, 20)
            assert abs(np.asarray(image)[10, -3, 0].astype(int) - 248) < 16
        assert images.read("rotated.jpg").size == (20, 40)
        values = np.asarray(images.read("grey16.png"))
        assert values.shape == (64, 64, 3) and values.min() == 0 and values.max() == 255 and 120 < values.mean() < 135
        assert (
            images.read("moving.gif").getpixel((4, 4)) == (254, 0, 0)
            or images.read("moving.gif").getpixel((4, 4))[0] > 250
        )


@pytest.mark.parametrize("key", ["empty.jpg", "truncated.jpg", "text.jpg"])
def test_an_unreadable_image_is_named(archive, key):
    with open_images(archive) as images, pytest.raises(CorruptImage, match=key):
        images.read(key)


def test_an_unknown_key_is_another_error(archive):
    with open_images(archive) as images, pytest.raises(InputError, match=r"no image 'x\.jpg'") as caught:
        images.read("x.jpg")
    assert not isinstance(caught.value, CorruptImage)


def test_a_flipped_byte_in_the_archive_is_found(archive):
    path = archive / "images.zip"
    data = bytearray(path.read_bytes())
    data[200] ^= 255
    path.write_bytes(data)
    with open_images(archive) as images, pytest.raises(CorruptImage, match="damaged"):
        images.read("plain.jpg")


def test_no_archive_and_no_zip(tmp_path):
    with pytest.raises(InputError, match="no such image archive"):
        open_images(tmp_path)
    (tmp_path / "images.zip").write_bytes(b"PK no")
    with pytest.raises(InputError, match="broken image archive"):
        open_images(tmp_path)


def test_shrink_keeps_proportions_and_small_images():
    data = encoded(gradient(400, 300), "JPEG")
    assert Image.open(io.BytesIO(shrink(data, "x", 150))).size == (200, 150)
    assert shrink(data, "x", 300) is data
    assert shrink(b"broken", "x", 10) == b"broken"
