"""Progress of long work on standard error: how far, how fast, how much longer."""

from __future__ import annotations

import sys
import time
from typing import Any, TextIO


def duration(seconds: float) -> str:
    """A duration for people: ``45s``, ``3m10s``, ``2h05m``."""
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m{whole % 60:02d}s"
    return f"{whole // 3600}h{whole % 3600 // 60:02d}m"


class Progress:
    """Counts steps and prints count, rate and time left: a line that renews itself on a terminal, log lines elsewhere.

    Args:
        total: number of steps.
        what: what is being done, as in ``features clip/coco``.
        start: steps already done by an earlier process; they do not count towards the rate.
        every: seconds between two lines in a log; a terminal is renewed ten times as often.
        stream: where to print.
    """

    def __init__(
        self, total: int, what: str, *, start: int = 0, every: float = 10.0, stream: TextIO | None = None
    ) -> None:
        self.total, self.what, self.done, self.start = total, what, start, start
        self.stream = stream or sys.stderr
        self.live = self.stream.isatty()
        self.every = every / 10 if self.live else every
        self.began = self.printed = time.monotonic()

    def step(self, count: int = 1, **info: Any) -> None:
        """Count ``count`` more steps; ``info`` is shown behind the figures."""
        self.done += count
        now = time.monotonic()
        if self.done >= self.total or now - self.printed >= self.every:
            self.printed = now
            self._print(now, info)

    def _print(self, now: float, info: dict[str, Any]) -> None:
        elapsed = max(now - self.began, 1e-9)
        rate = (self.done - self.start) / elapsed
        left = duration((self.total - self.done) / rate) if rate > 0 else "?"
        facts = "".join(
            f" {key}={value:.4g}" if isinstance(value, float) else f" {key}={value}" for key, value in info.items()
        )
        share = 100 * self.done / self.total if self.total else 100
        text = f"{self.what}: {self.done}/{self.total} ({share:.0f}%) {rate:.3g}/s, {left} left{facts}"
        end = "\n" if not self.live or self.done >= self.total else ""
        self.stream.write(f"\r\x1b[K{text}{end}" if self.live else f"{text}{end}")
        self.stream.flush()
