"""The images of a data set, by key: ``images.zip`` of a download artifact."""

from __future__ import annotations

import threading
import zipfile
from pathlib import Path

from PIL import Image

from vldistill.errors import InputError
from vldistill.models.images import open_image

ARCHIVE = "images.zip"


class CorruptImage(InputError):
    """An image that cannot be decoded: empty, truncated or of no known format."""


def decode(data: bytes, name: str) -> Image.Image:
    """Decode an image file to upright 8-bit RGB, the first frame of an animation.

    Raises:
        CorruptImage: it cannot be decoded; names it.
    """
    try:
        return open_image(data, name=name)
    except InputError as error:
        raise CorruptImage(error.problem, file=error.file, action=error.action) from None


class ImageSet:
    """The images of one data set.

    Attributes:
        keys: all keys, sorted.
    """

    def __init__(self, archive: Path) -> None:
        try:
            self._zip = zipfile.ZipFile(archive)
        except FileNotFoundError:
            raise InputError("no such image archive", file=archive, action="Run vldistill download") from None
        except zipfile.BadZipFile as error:
            raise InputError(f"broken image archive: {error}", file=archive, action="Run vldistill download") from None
        self.archive = archive
        self.keys = sorted(self._zip.namelist())
        self._lock = threading.Lock()

    def read_bytes(self, key: str) -> bytes:
        """The bytes of one image file.

        Raises:
            InputError: there is no such key.
            CorruptImage: the archive is damaged there.
        """
        try:
            with self._lock:
                return self._zip.read(key)
        except KeyError:
            raise InputError(f"no image {key!r}", file=self.archive, record=key) from None
        except (zipfile.BadZipFile, EOFError, OSError) as error:
            raise CorruptImage(f"damaged in the archive: {error}", file=self.archive, record=key) from None

    def read(self, key: str) -> Image.Image:
        """One image as 8-bit RGB, upright.

        Raises:
            InputError: there is no such key.
            CorruptImage: it cannot be decoded.
        """
        return decode(self.read_bytes(key), f"{self.archive}:{key}")

    def close(self) -> None:
        """Close the archive."""
        self._zip.close()

    def __enter__(self) -> ImageSet:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __len__(self) -> int:
        return len(self.keys)


def open_images(folder: str | Path) -> ImageSet:
    """Open the images of the download artifact ``folder``.

    Raises:
        InputError: there is no archive, or it is broken.
    """
    return ImageSet(Path(folder) / ARCHIVE)
