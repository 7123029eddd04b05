"""Trust on first use: what a file without a published checksum was when it was first seen on this machine."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock

from vldistill.errors import InputError
from vldistill.files import read_json, sha256_file, write_json

if TYPE_CHECKING:
    from vldistill.download.registry import Source


class Pins:
    """``pins.json`` beside the data: ``SET/FILE`` -> its sha256, and where and when the bytes were last seen.

    The entry also remembers size and modification time of the file that was hashed, so that a file of many GB is not
    read again by every call.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def _read(self) -> dict[str, Any]:
        if not self.path.is_file():
            return {}
        pins = read_json(self.path)
        if not isinstance(pins, dict):
            raise InputError("an object is expected", file=self.path, action="Remove it to trust what comes next")
        return pins

    def knows(self, source: Source, path: Path) -> bool:
        """Whether these very bytes were checked before: same place, size and time."""
        entry = self._read().get(source.key, {})
        return entry.get("seen") == _seen(path) and entry.get("registry") == asdict(source.expected)

    def check(self, source: Source, path: Path) -> None:
        """Compare ``path``, which is as the registry says, with its pin, or pin it.

        A checksum of the registry outweighs an older pin.

        Raises:
            InputError: it is not what it was when it was first seen.
        """
        if self.knows(source, path):
            return
        digest = source.sha256 or sha256_file(path)
        with FileLock(self.path.with_name(f".{self.path.name}.lock")):
            pins = self._read()
            before = pins.get(source.key, {}).get("sha256")
            if before not in (None, digest) and not source.expected.checksum:
                raise InputError(
                    f"sha256 {digest}, but {before} when it was first seen",
                    file=path,
                    action=f"If the source published a new version, remove {source.key} from {self.path} and run again",
                )
            pins[source.key] = {"sha256": digest, "registry": asdict(source.expected), "seen": _seen(path)}
            write_json(self.path, pins)


def _seen(path: Path) -> dict[str, Any]:
    state = path.stat()
    return {"path": str(path.resolve()), "bytes": state.st_size, "time": state.st_mtime_ns}
