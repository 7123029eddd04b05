"""Fetch a file over HTTP: resumed where it stopped, checked, and named only when it is whole.

What servers do wrong and what happens then: a cut or stalled connection is resumed; a server that ignores Range is
read from the start; one that changed the file meanwhile (another ETag) too; a file of the wrong length or checksum is
thrown away and the next mirror is asked. Nothing ever stands under the final name but a file that passed all checks.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import httpx
from filelock import FileLock

from vldistill.download.partial import Partial, Version
from vldistill.errors import VldistillError
from vldistill.files import CHUNK, sync_to_disk
from vldistill.progress import Progress

HEADERS = {"Accept-Encoding": "identity", "User-Agent": "vldistill"}
RETRY_STATUS = frozenset({408, 425, 429, 500, 502, 503, 504})
MARGIN_BYTES = 64 * CHUNK


@dataclass(frozen=True)
class Patience:
    """How long to put up with a bad connection.

    Attributes:
        connect: seconds until a connection must stand.
        stall: seconds within which at least ``stall_bytes`` must arrive.
        stall_bytes: see ``stall``.
        attempts: tries in a row that bring nothing new before a source is given up.
        pause: seconds before the second try; doubled for each further one, at most ``longest_pause``.
        longest_pause: see ``pause``; also bounds what a server asks for by Retry-After.
    """

    connect: float = 20.0
    stall: float = 60.0
    stall_bytes: int = 1024
    attempts: int = 5
    pause: float = 1.0
    longest_pause: float = 60.0


@dataclass(frozen=True)
class Expected:
    """What the file must be; None = not known."""

    sha256: str | None = None
    md5: str | None = None
    bytes: int | None = None

    @property
    def checksum(self) -> bool:
        """Whether a checksum is known."""
        return bool(self.sha256 or self.md5)

    def fault(self, path: Path) -> str | None:
        """Why ``path`` is not the expected file, or None."""
        size = path.stat().st_size
        if self.bytes is not None and size != self.bytes:
            return f"{size} bytes instead of {self.bytes}"
        for name, wanted in (("sha256", self.sha256), ("md5", self.md5)):
            if wanted:
                with open(path, "rb") as handle:
                    found = hashlib.file_digest(handle, name).hexdigest()
                if found != wanted.lower():
                    return f"{name} {found} instead of {wanted.lower()}"
        return None


class FetchError(VldistillError):
    """No source gave the file; the message says what each of them did."""


class _Retry(Exception):
    """This try failed; the next may not."""

    def __init__(self, reason: str, wait: float | None = None) -> None:
        self.wait = wait
        super().__init__(reason)


class _GiveUp(Exception):
    """This source will not give the file; ask the next."""


def fetch(
    urls: str | Sequence[str],
    path: str | Path,
    *,
    sha256: str | None = None,
    md5: str | None = None,
    bytes: int | None = None,
    patience: Patience | None = None,
) -> Path:
    """Fetch the first of ``urls`` that gives the expected file to ``path``.

    A file that stands there already is checked and kept if it is right. Of several processes that fetch to the same
    path, one does and the others wait for it.

    Args:
        urls: the address, or the address and its mirrors in order of preference (all of the same bytes).
        path: where the file shall stand.
        sha256: hex digest, where known.
        md5: hex digest, where known.
        bytes: size, where known.
        patience: time limits and number of tries.

    Raises:
        FetchError: no source gave the expected file.
        VldistillError: the disk is too small.
    """
    path, expected, patience = Path(path), Expected(sha256, md5, bytes), patience or Patience()
    sources = [urls] if isinstance(urls, str) else list(urls)
    path.parent.mkdir(parents=True, exist_ok=True)
    faults = []
    with FileLock(path.with_name(f".{path.name}.lock")):
        if path.exists():
            fault = expected.fault(path)
            if fault is None:
                return path
            faults.append(f"{path} stands there already but is wrong: {fault}")
        timeout = httpx.Timeout(patience.stall, connect=patience.connect)
        with httpx.Client(headers=HEADERS, follow_redirects=True, timeout=timeout) as client:
            for url in sources:
                try:
                    partial = _from_source(client, url, path, expected, patience)
                except _GiveUp as error:
                    faults.append(f"{url}: {error}")
                    continue
                _name(partial, path)
                return path
    listing = "".join(f"\n  {fault}" for fault in faults)
    raise FetchError(
        f"cannot fetch {path.name}:{listing}\nCheck the network, or fetch it by other means and put it at {path}"
    )


def _name(partial: Partial, path: Path) -> None:
    with open(partial.path, "rb+") as handle:
        os.fsync(handle.fileno())
    os.replace(partial.path, path)
    sync_to_disk(path.parent)
    partial.discard()


def _from_source(client: httpx.Client, url: str, path: Path, expected: Expected, patience: Patience) -> Partial:
    """The whole file from one address, in as many tries as bring something new."""
    partial = Partial(path)
    tries, furthest, pieced, again = 0, partial.size, False, False
    while True:
        try:
            pieced = _one_try(client, url, partial, expected, patience) or pieced
            fault = expected.fault(partial.path)
            if fault is None:
                return partial
            partial.discard()
            if again or not pieced:
                raise _GiveUp(fault)
            # Pieces of two versions may have been put together: once more from the start.
            again, pieced, furthest = True, False, 0
            raise _Retry(fault)
        except (_Retry, httpx.TransportError) as error:
            tries = 0 if partial.size > furthest else tries + 1
            furthest = max(furthest, partial.size)
            reason = str(error) or type(error).__name__
            if tries >= patience.attempts:
                raise _GiveUp(f"{reason} (given up after {tries} tries that brought nothing new)") from None
            asked = error.wait if isinstance(error, _Retry) else None
            pause = patience.pause * 2 ** max(tries - 1, 0) if asked is None else asked
            time.sleep(min(pause, patience.longest_pause))
        except httpx.HTTPError as error:
            raise _GiveUp(str(error) or type(error).__name__) from None


def _one_try(client: httpx.Client, url: str, partial: Partial, expected: Expected, patience: Patience) -> bool:
    """One request; returns whether earlier bytes were kept. The partial file is complete afterwards."""
    known, have = partial.version, partial.size
    # Without a validator only a checksum can tell pieces of two versions from one.
    resumable = known is not None and known.url == url and (known.validator is not None or expected.checksum)
    if known is not None and resumable and have == known.total:
        return True
    headers = {}
    if known is not None and resumable:
        headers["Range"] = f"bytes={have}-"
        if known.validator:
            headers["If-Range"] = known.validator
    with client.stream("GET", url, headers=headers) as response:
        _refuse(response, partial)
        offset, version = _version(response, url)
        if offset and not (known is not None and offset == have and version.same_as(known)):
            partial.discard()
            raise _Retry("the file changed on the server since it was begun", wait=0)
        if expected.bytes is not None and version.total not in (None, expected.bytes):
            partial.discard()
            raise _GiveUp(f"{version.total} bytes instead of {expected.bytes}")
        if not offset:
            partial.start(version)
        _need_space(partial.path.parent, (version.total or 0) - offset)
        _append(response, partial, version.total, patience)
    if version.total is not None and partial.size != version.total:
        raise _Retry(f"{partial.size} of {version.total} bytes arrived")
    return offset > 0


def _refuse(response: httpx.Response, partial: Partial) -> None:
    status = response.status_code
    if status == 416:  # what we have is longer than what the server has now
        partial.discard()
        raise _Retry("the file changed on the server since it was begun", wait=0)
    if status in RETRY_STATUS:
        asked = response.headers.get("Retry-After", "")
        raise _Retry(f"HTTP {status}", wait=float(asked) if asked.isdigit() else None)
    if status not in (200, 206):
        raise _GiveUp(f"HTTP {status} {response.reason_phrase}".strip())


def _version(response: httpx.Response, url: str) -> tuple[int, Version]:
    """Offset of the first byte that this answer brings, and the version it is of."""
    etag = response.headers.get("ETag")
    etag = None if etag is None or etag.startswith("W/") else etag
    modified = response.headers.get("Last-Modified")
    if response.status_code == 206:
        match = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", response.headers.get("Content-Range", ""))
        if not match:
            raise _GiveUp("HTTP 206 without a valid Content-Range")
        total = None if match[2] == "*" else int(match[2])
        return int(match[1]), Version(url, etag, modified, total)
    length = response.headers.get("Content-Length", "")
    return 0, Version(url, etag, modified, int(length) if length.isdigit() else None)


def _need_space(folder: Path, needed: int) -> None:
    free = shutil.disk_usage(folder).free
    if needed + MARGIN_BYTES > free:
        raise VldistillError(
            f"{folder}: {needed / 1e9:.2f} GB are to be fetched but only {free / 1e9:.2f} GB are free. "
            "Free space, or set VLDISTILL_DATA to a larger disk"
        )


def _append(response: httpx.Response, partial: Partial, total: int | None, patience: Patience) -> None:
    have = partial.size
    what = f"fetch {partial.path.name[1:].removesuffix('.part')} (MiB)"
    progress = Progress(-(-total // CHUNK), what, start=have // CHUNK) if total else None
    try:
        with open(partial.path, "ab") as handle:
            for piece in _flowing(response.iter_raw(), patience):
                handle.write(piece)
                handle.flush()  # a killed process loses nothing that arrived
                before, have = have, have + len(piece)
                if progress and have // CHUNK > before // CHUNK:
                    progress.step(have // CHUNK - before // CHUNK)
    except OSError as error:
        raise VldistillError(
            f"cannot write {partial.path}: {error.strerror or error}. Free space or check permissions"
        ) from error


def _flowing(pieces: Iterable[bytes], patience: Patience) -> Iterator[bytes]:
    """``pieces``, as long as they do not merely trickle: the read timeout sees silence only."""
    since, arrived = time.monotonic(), 0
    for piece in pieces:
        yield piece
        arrived += len(piece)
        now = time.monotonic()
        if now - since >= patience.stall:
            if arrived < patience.stall_bytes:
                raise _Retry(f"stalled: {arrived} bytes in {now - since:.0f} s")
            since, arrived = now, 0
