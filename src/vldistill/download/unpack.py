"""Unpack archives that nobody vouches for: whole or not at all, and never outside their folder.

Refused: absolute paths, ``..``, links, devices, duplicate names, encrypted members, and archives that unpack to more
than the limits allow (bombs). Limits are applied to the bytes that come out, not to what headers promise.
"""

from __future__ import annotations

import bz2
import gzip
import lzma
import os
import re
import shutil
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, cast

from filelock import FileLock

from vldistill.errors import InputError, VldistillError
from vldistill.files import CHUNK, sync_to_disk

# Below this size no ratio is suspicious: an archive of empty label files unpacks to many times its size.
RATIO_FROM_BYTES = 64 * CHUNK
MOST_PADDING = 64 * CHUNK
AGAIN = "Remove it and fetch it again"
BROKEN = (
    zipfile.BadZipFile,
    tarfile.TarError,
    gzip.BadGzipFile,
    zlib.error,
    lzma.LZMAError,
    EOFError,
    # zipfile: a compression method that this Python has no code for
    RuntimeError,
)


def _plain(path: Path) -> IO[bytes]:
    return open(path, "rb")


def _gzip(path: Path) -> IO[bytes]:
    return cast(IO[bytes], gzip.open(path))


def _bzip2(path: Path) -> IO[bytes]:
    return cast(IO[bytes], bz2.open(path))


def _xz(path: Path) -> IO[bytes]:
    return cast(IO[bytes], lzma.open(path))


# First bytes of a compressed file, and what opens it.
OPENERS = {b"\x1f\x8b": _gzip, b"BZh": _bzip2, b"\xfd7zXZ": _xz}


@dataclass(frozen=True)
class Limits:
    """The largest archive that is unpacked.

    Attributes:
        bytes: sum of the members' sizes. The largest data set of the registry has 45 GB.
        members: number of files and folders.
        ratio: unpacked to packed size, once 64 MiB have come out. JSON reaches 30; deflate's bound is 1,032.
    """

    bytes: int = 200 * 10**9
    members: int = 2_000_000
    ratio: float = 200.0


@dataclass(frozen=True)
class _Member:
    name: str
    folder: bool
    open: IO[bytes] | None


def unpack(archive: str | Path, folder: str | Path, *, limits: Limits | None = None) -> Path:
    """Unpack a zip, tar (plain, gz, bz2, xz) or gz archive into ``folder``; the kind is told by its first bytes.

    Members go to a temporary sibling that is renamed at the end; an earlier ``folder`` is replaced then. A single
    gzipped file gets the archive's name without ``.gz``. Permissions, owners and times are not taken over.

    Raises:
        InputError: the archive is broken, of another kind, refused or too large; names the member.
        VldistillError: the disk is full.
    """
    archive, folder, limits = Path(archive), Path(folder), limits or Limits()
    if not archive.is_file():
        raise InputError("no such archive", file=archive)
    folder.parent.mkdir(parents=True, exist_ok=True)
    fresh = folder.with_name(f".{folder.name}.unpack")
    old = folder.with_name(f".{folder.name}.old")
    with FileLock(folder.with_name(f".{folder.name}.lock")):
        for leftover in (fresh, old):  # of a process that was killed
            shutil.rmtree(leftover, ignore_errors=True)
        try:
            fresh.mkdir()
            _extract(archive, fresh, limits)
            if folder.exists():
                os.replace(folder, old)
            os.replace(fresh, folder)
            sync_to_disk(folder.parent)
        except BROKEN as error:
            raise InputError(
                f"broken archive: {str(error) or type(error).__name__}", file=archive, action=AGAIN
            ) from error
        except OSError as error:
            if error.errno is None:  # bz2's way to say that the data are broken
                raise InputError(f"broken archive: {error}", file=archive, action=AGAIN) from error
            raise VldistillError(
                f"cannot unpack {archive} to {folder}: {error.strerror or error}. Free space or check permissions"
            ) from error
        finally:
            shutil.rmtree(fresh, ignore_errors=True)
            shutil.rmtree(old, ignore_errors=True)
    return folder


def _extract(archive: Path, into: Path, limits: Limits) -> None:
    packed = max(archive.stat().st_size, 1)
    seen: dict[str, bool] = {}
    out = 0
    for member in _members(archive):
        name = _safe_name(member.name, archive)
        if name in ("", "."):
            continue
        _refuse_clash(seen, name, member.folder, archive)
        if len(seen) > limits.members:
            raise InputError(f"more than {limits.members} members", file=archive, action="This looks like a bomb")
        target = into / name
        if member.open is None:
            target.mkdir(parents=True, exist_ok=True)
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        with member.open as source, open(target, "xb") as handle:
            while piece := source.read(CHUNK):
                out += len(piece)
                _refuse_bomb(out, packed, limits, archive, member.name)
                handle.write(piece)
    if not seen:  # a file of zeros is a valid tar archive
        raise InputError("an archive that holds nothing", file=archive, action=AGAIN)


def _refuse_bomb(out: int, packed: int, limits: Limits, archive: Path, name: str) -> None:
    problem = None
    if out > limits.bytes:
        problem = f"unpacks to more than {limits.bytes} bytes"
    elif out > RATIO_FROM_BYTES and out > limits.ratio * packed:
        problem = f"unpacks to more than {limits.ratio:g} times its size"
    if problem:
        raise InputError(problem, file=archive, record=name, action="This looks like a bomb; unpack it by hand if not")


def _refuse_clash(seen: dict[str, bool], name: str, folder: bool, archive: Path) -> None:
    """``seen`` maps the names so far to whether they are folders; adds ``name`` and the folders above it."""
    parts = name.split("/")
    above = ["/".join(parts[:count]) for count in range(1, len(parts))]
    if name in seen and not (folder and seen[name]):
        raise InputError("two members of this name", file=archive, record=name)
    if any(seen.get(parent, True) is False for parent in above):
        raise InputError("a member below another that is a file", file=archive, record=name)
    seen.update(dict.fromkeys(above, True), **{name: folder})


def _safe_name(name: str, archive: Path) -> str:
    """``name`` without ``.`` parts.

    Raises:
        InputError: it leads out of the folder or is no plain path on some system.
    """
    problem = None
    if name.startswith("/") or re.match(r"[A-Za-z]:", name):
        problem = "an absolute path"
    elif "\\" in name or "\0" in name:
        problem = "a backslash or a null byte in the path"
    elif ".." in name.split("/"):
        problem = "a path that leads out of the folder"
    elif any(len(part.encode("utf-8", "surrogateescape")) > 255 for part in name.split("/")):
        problem = "a name longer than 255 bytes"
    if problem:
        raise InputError(f"{problem} in an archive", file=archive, record=repr(name), action="Do not trust this file")
    return "/".join(part for part in name.split("/") if part not in ("", "."))


def _members(archive: Path) -> Iterator[_Member]:
    with open(archive, "rb") as handle:
        start = handle.read(6)
    if start[:4] in (b"PK\x03\x04", b"PK\x05\x06"):
        return _zip_members(archive)
    opener = next((opener for magic, opener in OPENERS.items() if start.startswith(magic)), _plain)
    if tarfile.is_tarfile(archive):
        return _tar_members(archive, opener)
    if opener is _gzip:
        return iter([_Member(archive.stem, False, _gzip(archive))])
    raise InputError("neither a zip nor a tar nor a gz archive", file=archive, action=AGAIN)


def _zip_members(archive: Path) -> Iterator[_Member]:
    with zipfile.ZipFile(archive) as opened:
        for info in opened.infolist():
            kind = stat.S_IFMT(info.external_attr >> 16)
            if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
                raise _special(archive, info.filename)
            if info.flag_bits & 0x1:
                raise InputError("an encrypted member", file=archive, record=info.filename)
            # orig_filename: zipfile itself cuts a name at a null byte
            yield _Member(info.orig_filename, info.is_dir(), None if info.is_dir() else opened.open(info))


def _tar_members(archive: Path, opener: Callable[[Path], IO[bytes]]) -> Iterator[_Member]:
    # tarfile decompresses by itself, too, but then never compares a checksum
    with opener(archive) as stream, tarfile.open(fileobj=stream, mode="r|") as opened:
        for info in opened:
            if info.isdir():
                yield _Member(info.name, True, None)
            elif info.isreg():
                yield _Member(info.name, False, opened.extractfile(info))
            else:
                raise _special(archive, info.name)
        _read_to_the_end(stream, archive)


def _read_to_the_end(stream: IO[bytes], archive: Path) -> None:
    """The checksum of a compressed stream stands at its end, behind the padding of the tar archive."""
    padding = 0
    while piece := stream.read(CHUNK):
        padding += len(piece)
        if padding > MOST_PADDING:
            raise InputError("data behind the end of the archive", file=archive, action="Do not trust this file")


def _special(archive: Path, name: str) -> InputError:
    return InputError("a link or a device in an archive", file=archive, record=name, action="Do not trust this file")
