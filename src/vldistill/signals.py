"""Stop requests: a signal or a deadline sets a flag, the work stops between two steps, shards or jobs.

Saving inside a signal handler can hang or tear a file; the handler therefore only takes a note.
"""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

EXIT_STOPPED = 75
STOP_SIGNALS = (signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2)


class Stopped(SystemExit):
    """The work is saved and stopped before its end; the process exits with code 75 ("try again")."""

    def __init__(self, reason: str, step: int, unit: str = "step") -> None:
        super().__init__(EXIT_STOPPED)
        self.reason, self.step, self.unit = reason, step, unit

    def __reduce__(self) -> tuple[Any, ...]:
        # writer processes hand it to their parent
        return Stopped, (self.reason, self.step, self.unit)

    def __str__(self) -> str:
        return f"stopped after {self.unit} {self.step} ({self.reason}); run the same command to go on"


class StopRequest:
    """Why to stop, or None. `deadline` is a `time.monotonic()` moment by which the state must be saved."""

    def __init__(self, deadline: float | None = None) -> None:
        self._deadline = deadline
        self._signal: str | None = None
        self._slowest = 0.0
        self._last = time.monotonic()

    def receive(self, number: int, frame: FrameType | None = None) -> None:
        """Signal handler."""
        self._signal = signal.Signals(number).name

    def reason(self) -> str | None:
        """To be asked once after each step: the name of the signal, "deadline", or None.

        The deadline counts as reached when another step of the slowest duration so far, and a save of the same
        length, might not fit any more.
        """
        now = time.monotonic()
        self._slowest, self._last = max(self._slowest, now - self._last), now
        if self._signal:
            return self._signal
        if self._deadline is not None and now + 2 * self._slowest >= self._deadline:
            return "deadline"
        return None


@contextmanager
def stop_requests(deadline: float | None = None) -> Iterator[StopRequest]:
    """Install the handlers (main thread only: elsewhere just the deadline counts) and restore the old ones."""
    request = StopRequest(deadline)
    if threading.current_thread() is not threading.main_thread():
        yield request
        return
    previous = {number: signal.signal(number, request.receive) for number in STOP_SIGNALS}
    try:
        yield request
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
