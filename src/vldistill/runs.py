"""Run folders found by content: reuse and resume are one mechanism.

The folder of a run is `SCRATCH/STAGE/KEY`, KEY being a hash of everything the result depends on (parameters read,
inputs, code version). A finished run is reused whoever asks, an unfinished one is resumed, and a changed parameter
leads to another folder, so that it can never resume an old checkpoint.

One process works in a folder at a time. Its lock holds host, process and job; a thread renews the lock's time stamp
(the heartbeat). A second process waits and then adopts the result, or takes over if the owner is dead.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import sys
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from filelock import FileLock

from vldistill import layout
from vldistill.errors import VldistillError
from vldistill.files import read_json, sha256_json, write_json, writer_of

RESULT = "result.json"
KEY = "key.json"
LOCK = "lock.json"


@dataclass(frozen=True)
class Patience:
    """Times in seconds: how often the owner shows that it lives, and when others take it for dead."""

    heartbeat: float = 10.0
    stale: float = 90.0
    poll: float = 1.0


@dataclass
class RunFolder:
    """A run folder; `result` is None until the run is finished."""

    path: Path
    key: dict[str, Any]
    result: dict[str, Any] | None = None

    @property
    def done(self) -> bool:
        """Whether the run is finished (by whomever)."""
        return self.result is not None

    def finish(self, result: dict[str, Any]) -> None:
        """Mark the run as finished; all its other files must be complete by now."""
        write_json(self.path / RESULT, result)
        self.result = result


def folder_of(stage: str, key: dict[str, Any], root: str | Path = ".") -> Path:
    """Where the run with `key` has its folder; it need not exist."""
    return layout.scratch_root(root) / stage / sha256_json(key)[:32]


def launched() -> tuple[int, int]:
    """Rank of this process and number of those that torchrun started together with it; (0, 1) without torchrun."""
    return int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1"))


def look_up(stage: str, key: dict[str, Any], root: str | Path = ".") -> RunFolder:
    """The run folder as it is, without a lock: to see whether there is anything to do before heavy imports."""
    path = folder_of(stage, key, root)
    result = path / RESULT
    return RunFolder(path, key, read_json(result) if result.is_file() else None)


@contextmanager
def claim(
    stage: str, key: dict[str, Any], root: str | Path = ".", *, patience: Patience = Patience()
) -> Iterator[RunFolder]:
    """Own the run folder of `key` for the duration of the block, or get the finished result of another process.

    What killed owners left half-written is gone by then.

    Args:
        stage: first level below the scratch folder.
        key: everything the result depends on, as JSON; kept in `key.json` for people.
        root: project root, possibly a temporary DVC workspace.
        patience: heartbeat and waiting times.

    Raises:
        VldistillError: the scratch folder cannot be written, or this process is one of several ranks and not the first.
    """
    if launched()[0]:
        # it would wait for the first rank, which waits for it
        raise VldistillError(
            "a run folder belongs to one process. Under torchrun only training works: vldistill distill vlkd --batch N"
        )
    found = look_up(stage, key, root)
    if found.done:
        yield found
        return
    try:
        found.path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise VldistillError(
            f"cannot make the run folder {found.path}: {error.strerror}. Free space, check permissions, "
            "or point VLDISTILL_SCRATCH elsewhere"
        ) from error
    lock = _Lock(found.path, patience)
    if not lock.acquire():
        yield look_up(stage, key, root)
        return
    try:
        _clear(found.path)
        write_json(found.path / KEY, key)
        # the owner before us may have finished between our look and our lock
        yield look_up(stage, key, root)
    finally:
        lock.release()


def _clear(folder: Path) -> None:
    # whether their writers live need not be asked: only the lock's owner writes here, and we have not begun. An owner
    # that slept past its lock finds its half gone, as it would find its lock gone at the next beat
    for path in [path for path in folder.rglob(".*") if writer_of(path) is not None]:
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            # as above: what cannot be removed does no harm
            with suppress(OSError):
                path.unlink()


@dataclass
class _Lock:
    folder: Path
    patience: Patience
    token: str = field(default_factory=lambda: uuid.uuid4().hex)
    _ended: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    @property
    def path(self) -> Path:
        return self.folder / LOCK

    def acquire(self) -> bool:
        """Wait for the lock; False if the run was finished meanwhile."""
        watch = _Watch(self.patience.stale)
        announced = False
        while not (self.folder / RESULT).is_file():
            # the guard makes "look, then take" one step for processes that find the same stale lock
            with FileLock(str(self.folder / ".guard")):
                owner = read_owner(self.path)
                if owner is None or watch.is_dead(owner, self.path):
                    write_json(self.path, {**identity(), "token": self.token})
                    break
            if not announced:
                announced = True
                who = f"process {owner['pid']} on {owner['host']}" + (f", job {owner['job']}" if owner["job"] else "")
                print(f"waiting for {who}, which works in {self.folder}", file=sys.stderr, flush=True)
            time.sleep(self.patience.poll)
        else:
            return False
        self._thread = threading.Thread(target=self._beat, name="heartbeat", daemon=True)
        self._thread.start()
        return True

    def _owned(self) -> bool:
        owner = read_owner(self.path)
        return owner is not None and owner["token"] == self.token

    def _beat(self) -> None:
        while not self._ended.wait(self.patience.heartbeat):
            try:
                os.utime(self.path)
                if self._owned():
                    continue
            except OSError:
                # a file server that is away for a moment; if it is for long, the lock will be taken over
                continue
            # this process was frozen and another took over: stop as if preempted, before both write
            os.kill(os.getpid(), signal.SIGTERM)
            return

    def release(self) -> None:
        self._ended.set()
        if self._thread:
            self._thread.join()
        with FileLock(str(self.folder / ".guard")):
            if self._owned():
                self.path.unlink(missing_ok=True)


class _Watch:
    """Decides whether a lock's owner is dead, by this process's own clock: clocks of two hosts may differ."""

    def __init__(self, stale: float) -> None:
        self._stale = stale
        self._seen: tuple[str, int] | None = None
        self._since = time.monotonic()

    def is_dead(self, owner: dict[str, Any], path: Path) -> bool:
        here = identity()
        if owner["host"] == here["host"]:
            return owner["boot"] != here["boot"] or process_start(owner["pid"]) != owner["started"]
        beat = (owner["token"], path.stat().st_mtime_ns)
        if beat != self._seen:
            self._seen, self._since = beat, time.monotonic()
        return time.monotonic() - self._since > self._stale


def read_owner(path: Path) -> dict[str, Any] | None:
    """Who holds the lock at `path`, or None."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None


def identity() -> dict[str, Any]:
    """Host, boot, process and job of this process."""
    return {
        "host": socket.gethostname(),
        "boot": _boot(),
        "pid": os.getpid(),
        "started": process_start(os.getpid()),
        "job": os.environ.get("SLURM_JOB_ID"),
    }


def _boot() -> str | None:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return None


def process_start(pid: int) -> str | None:
    """When process `pid` of this host began (opaque), or None if it is dead; tells a reused pid from the old one."""
    try:
        # the name in parentheses may hold spaces; behind it: state is field 3, start time field 22
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return None if fields[0] in "ZX" else fields[19]
    except FileNotFoundError:
        if Path("/proc/self").exists():
            return None
    except (OSError, IndexError):
        return None
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return None
    except PermissionError:
        pass
    return "alive"
