"""What cells of all methods do with their run folders: save a model whole, tell what it cost."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from vldistill.files import sync_tree
from vldistill.provenance import cpu_seconds, peak_memory_bytes

MODEL = "model"


def save_whole(save: Callable[[Path], None], folder: Path) -> None:
    """Let ``save`` write beside ``folder`` and rename it, so that a kill leaves no half of it."""
    temporary = folder.with_name(f".{folder.name}.{os.getpid()}.tmp")
    for leftover in (folder, temporary):
        shutil.rmtree(leftover, ignore_errors=True)
    save(temporary)
    sync_tree(temporary)
    os.replace(temporary, folder)


class Meter:
    """Measures what a cell costs, from its making on."""

    def __init__(self) -> None:
        self._started, self._cpu = time.monotonic(), cpu_seconds()

    def cost(self) -> dict[str, Any]:
        """Wall and CPU seconds so far, and the process's peak memory in bytes."""
        return {
            "wall_seconds": round(time.monotonic() - self._started, 3),
            "cpu_seconds": round(cpu_seconds() - self._cpu, 3),
            "peak_memory_bytes": peak_memory_bytes(),
        }
