"""Work that is sent a signal before one of its renames. For scripts: pytest's own process may have threads, and forks.

Between two renames nothing is written under a final name, so that a kill before each of them is a kill at any moment.
"""

from __future__ import annotations

import itertools
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

from vldistill.files import writer_of


def exit_code(work: Callable[[], object], rename: int | None = None, sent: signal.Signals = signal.SIGKILL) -> int:
    """Do ``work`` in a process of its own and tell how it ended: 0, -signal, or the code it exited with itself.

    Args:
        work: what to do.
        rename: before this one of its renames, counted from 1, the process is sent a signal; None sends none.
        sent: the signal.
    """
    child = os.fork()
    if not child:
        _signal_before(rename, sent)
        try:
            work()
        except SystemExit as stopped:
            os._exit(stopped.code)  # type: ignore[arg-type]
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def left_by_killed(folder: Path) -> list[str]:
    """Temporary names below a folder, without the number of the process that left them."""
    return [path.name.rsplit(".", 2)[0] for path in folder.rglob(".*") if writer_of(path) is not None]


def _signal_before(rename: int | None, sent: signal.Signals) -> None:
    replace, numbers = os.replace, itertools.count(1)

    def counted(*args: Any) -> None:
        if next(numbers) == rename:
            os.kill(os.getpid(), sent)
        replace(*args)

    os.replace = counted  # type: ignore[assignment]
