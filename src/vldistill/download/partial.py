"""The part of a file that has been fetched so far, and which version of the file it belongs to."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path

from vldistill.errors import InputError
from vldistill.files import read_json, write_json


@dataclass(frozen=True)
class Version:
    """What a server says of a file; two answers with equal ``validator`` are of the same bytes.

    Attributes:
        url: the address asked.
        etag: its strong ETag, or None. A weak one (``W/...``) promises equal meaning, not equal bytes.
        modified: its Last-Modified header, or None.
        total: length of the whole file in bytes, or None where the server does not say.
    """

    url: str
    etag: str | None
    modified: str | None
    total: int | None

    @property
    def validator(self) -> str | None:
        """What an If-Range header takes."""
        return self.etag or self.modified

    def same_as(self, other: Version) -> bool:
        """Whether bytes of both may be put together."""
        return (
            self.url == other.url
            and self.validator == other.validator
            and (None in (self.total, other.total) or self.total == other.total)
        )


class Partial:
    """A hidden sibling of the target that grows, and a note of the version it is of.

    The note is written before the first byte, so that a process killed at any moment leaves bytes of a known version.
    """

    def __init__(self, target: Path) -> None:
        self.path = target.with_name(f".{target.name}.part")
        self.note = target.with_name(f".{target.name}.part.json")

    @property
    def size(self) -> int:
        """Bytes fetched so far."""
        return self.path.stat().st_size if self.path.exists() else 0

    @property
    def version(self) -> Version | None:
        """The version the bytes are of; None if there are none or nothing is known of them."""
        if not self.size:
            return None
        try:
            return Version(**read_json(self.note))
        except (InputError, TypeError):
            return None

    def start(self, version: Version) -> None:
        """Forget what is there and begin with ``version``."""
        self.discard()
        write_json(self.note, asdict(version))

    def discard(self) -> None:
        """Remove the bytes, then the note."""
        self.path.unlink(missing_ok=True)
        self.note.unlink(missing_ok=True)
