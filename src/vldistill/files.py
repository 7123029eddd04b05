"""Files that are whole or absent: atomic writes, checked reads, hashes.

Everything is written to a temporary sibling, flushed to disk and renamed, so that a process killed at any moment
leaves the old state or the new one, never something between.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from vldistill.errors import InputError, VldistillError

CHUNK = 1 << 20
# other errors may come from what the caller reads while it writes, and keep their own words
UNWRITABLE = {
    errno.ENOSPC,
    errno.EDQUOT,
    errno.EFBIG,
    errno.EROFS,
    errno.EACCES,
    errno.EPERM,
    errno.ENOTDIR,
    errno.EEXIST,
    errno.EIO,
}
_VALUE = json.JSONDecoder().raw_decode
TEMPORARY = re.compile(r"\..+\.(\d+)\.(tmp|new|old|old\.tmp)")


def writer_of(path: Path) -> int | None:
    """Number of the process that fills the file or folder of this temporary name; None for a name that is final."""
    found = TEMPORARY.fullmatch(path.name)
    return int(found[1]) if found else None


def sync_to_disk(path: Path) -> None:
    """Have a file's content, or the renames inside a folder, survive a power cut."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def sync_tree(folder: Path) -> None:
    """Have all files below ``folder`` survive a power cut; libraries that write them do not see to it."""
    for path in (*folder.rglob("*"), folder):
        sync_to_disk(path)


@contextmanager
def atomic_write(path: str | Path, mode: str = "w") -> Iterator[IO[Any]]:
    """Open a temporary sibling of ``path`` for writing; on a clean exit it takes the name ``path``.

    Raises:
        VldistillError: the disk is full or the folder cannot be written to; the message names the path and an earlier
            file of that name is untouched.
    """
    path = Path(path)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        text: dict[str, Any] = {} if "b" in mode else {"encoding": "utf-8", "newline": "\n"}
        with open(temporary, mode, **text) as handle:
            yield handle
            handle.flush()
            os.fsync(handle.fileno())
        os.replace(temporary, path)
        sync_to_disk(path.parent)
    except OSError as error:
        if error.errno not in UNWRITABLE:
            raise
        raise VldistillError(f"cannot write {path}: {error.strerror}. Free space or check permissions") from error
    finally:
        with suppress(OSError):
            temporary.unlink()


def write_text(path: str | Path, text: str) -> None:
    """Write ``text`` as UTF-8, atomically."""
    with atomic_write(path) as handle:
        handle.write(text)


def write_bytes(path: str | Path, data: bytes) -> None:
    """Write ``data``, atomically."""
    with atomic_write(path, "wb") as handle:
        handle.write(data)


def write_json(path: str | Path, value: Any, *, compact: bool = False) -> None:
    """Write ``value`` as JSON, atomically. Keys keep their order; NaN is refused.

    Args:
        path: the file.
        value: what it holds.
        compact: on one line, which takes a fifth of the time; indented otherwise.
    """
    write_text(path, json.dumps(value, indent=None if compact else 2, ensure_ascii=False, allow_nan=False) + "\n")


def write_jsonl(path: str | Path, records: Iterable[Any]) -> int:
    """Write one JSON value a line, atomically; returns how many."""
    count = 0
    with atomic_write(path) as handle:
        for record in records:
            handle.write(json.dumps(record, ensure_ascii=False, allow_nan=False) + "\n")
            count += 1
    return count


def _read_utf8(path: Path, what: str) -> str:
    try:
        return path.read_bytes().decode("utf-8")
    except FileNotFoundError:
        raise InputError(
            f"no such {what}", file=path, action="Check the path, or run the stage that makes it"
        ) from None
    except IsADirectoryError:
        raise InputError(f"a folder where a {what} is expected", file=path) from None
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise InputError(
            f"not UTF-8: byte 0x{error.object[error.start]:02x} at offset {error.start}",
            file=path,
            record=f"line {line}",
            action="Convert the file to UTF-8 or fetch it again",
        ) from None


def read_json(path: str | Path) -> Any:
    """Read one JSON document.

    Raises:
        InputError: the file is missing, not UTF-8, cut short or not JSON; names the line.
    """
    path = Path(path)
    text = _read_utf8(path, "JSON file")
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        cut = " (the file ends too early)" if error.pos >= len(text.rstrip()) else ""
        raise InputError(
            f"not valid JSON{cut}: {error.msg} at column {error.colno}",
            file=path,
            record=f"line {error.lineno}",
            action="Fetch or make the file again",
        ) from None


def read_jsonl(path: str | Path) -> list[Any]:
    """Read a file of one JSON value a line; blank lines are skipped.

    Raises:
        InputError: as `read_json`, naming the line.
    """
    path = Path(path)
    values = []
    # split on "\n" only: str.splitlines would cut records at U+2028 and the like, which JSON strings may hold
    for number, line in enumerate(_read_utf8(path, "JSON lines file").split("\n"), start=1):
        try:
            # half the time of json.loads, which takes care of spaces around a value
            value, end = _VALUE(line)
            if end == len(line):
                values.append(value)
                continue
        except json.JSONDecodeError:
            pass
        if not line.strip():
            continue
        try:
            values.append(json.loads(line))
        except json.JSONDecodeError as error:
            raise InputError(
                f"not valid JSON: {error.msg} at column {error.colno}",
                file=path,
                record=f"line {number}",
                action="Fetch or make the file again",
            ) from None
    return values


def sha256_file(path: str | Path) -> str:
    """Hex sha256 of a file's bytes."""
    digest = hashlib.sha256()
    with open(path, "rb") as handle:
        while chunk := handle.read(CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def sha256_json(value: Any) -> str:
    """Hex sha256 of the canonical JSON form of ``value`` (sorted keys, no spaces)."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return hashlib.sha256(text.encode("utf-8")).hexdigest()
