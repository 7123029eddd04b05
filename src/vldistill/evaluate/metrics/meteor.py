"""METEOR 1.5 (Denkowski and Lavie 2014) as one process that is kept: loading its paraphrase table takes seconds."""

from __future__ import annotations

import subprocess
import tempfile
import threading
from collections.abc import Sequence
from types import TracebackType

from vldistill.evaluate.metrics.java import OPTIONS, JavaError, environment, failure, java, wheel

JAR = "meteor/meteor-1.5.jar"
ARGUMENTS = ("-", "-", "-stdio", "-l", "en", "-norm")


class Meteor:
    """A running METEOR; starts at once and loads in the background, so start it before other work.

    Use it as a context manager or call `close`. Threads may share it; their calls queue.

    Raises:
        JavaError: Java is missing.
    """

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="vldistill-meteor-")
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - closed by close()
        self._lock = threading.Lock()
        self._known: dict[str, str] = {}
        self._process = subprocess.Popen(
            [java(), *OPTIONS, "-Xmx2G", "-jar", str(wheel() / JAR), *ARGUMENTS],
            cwd=self._folder.name,
            env=environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
        )

    def score(self, hypotheses: Sequence[str], references: Sequence[Sequence[str]]) -> tuple[float, list[float]]:
        """Score tokenised captions.

        Args:
            hypotheses: N captions.
            references: N lists of one or more captions.

        Returns:
            METEOR of the whole set (from its summed statistics, not a mean) and of each caption, as fractions.

        Raises:
            JavaError: the process died or answered something else than numbers.
        """
        lines = []
        for hypothesis, targets in zip(hypotheses, references, strict=True):
            # the separator inside a hypothesis would make it a reference; the COCO evaluation removes it there only
            clean = hypothesis.replace("|||", "").replace("  ", " ")
            lines.append(" ||| ".join(("SCORE", " ||| ".join(targets), clean)))
        with self._lock:
            # the statistics of a line depend on nothing else: domains repeat those of the whole set, and models agree
            new = [line for line in dict.fromkeys(lines) if line not in self._known]
            self._known.update(zip(new, self._ask(new, len(new)), strict=True))
            statistics = [self._known[line] for line in lines]
            answers = self._ask([" ||| ".join(["EVAL", *statistics])], len(lines) + 1)
        try:
            *each, overall = map(float, answers)
        except ValueError:
            raise JavaError(f"METEOR answered {answers[:3]} instead of numbers") from None
        return overall, each

    def _ask(self, lines: Sequence[str], answers: int) -> list[str]:
        # written from a second thread: both pipes are finite, and METEOR answers while it is still being asked
        writer = threading.Thread(target=self._write, args=(lines,), daemon=True)
        writer.start()
        assert self._process.stdout is not None
        received = []
        for _ in range(answers):
            line = self._process.stdout.readline()
            if not line.endswith(b"\n"):
                raise JavaError(self._failure())
            received.append(line.decode("utf-8").strip())
        writer.join()
        return received

    def _write(self, lines: Sequence[str]) -> None:
        assert self._process.stdin is not None
        try:
            for line in lines:
                self._process.stdin.write(line.encode("utf-8") + b"\n")
            self._process.stdin.flush()
        except (BrokenPipeError, ValueError):
            return  # the process ended; the reader finds the end of its output and reports why

    def _failure(self) -> str:
        status = self._process.wait()
        self._errors.seek(0)
        return failure("METEOR", status, self._errors.read())

    def close(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                try:
                    pipe.close()
                except BrokenPipeError:
                    continue
        self._errors.close()
        self._folder.cleanup()

    def __enter__(self) -> Meteor:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self.close()
