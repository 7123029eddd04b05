"""Which files a power cut could still take away when a folder gets its final name."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


def unsynced_at_rename(monkeypatch: pytest.MonkeyPatch, name: str) -> list[set[str]]:
    """Files of each folder that takes the name `name` from now on which were not flushed to disk by then."""
    synced: set[int] = set()
    found: list[set[str]] = []
    fsync, replace = os.fsync, os.replace

    def note(handle: int) -> None:
        synced.add(os.fstat(handle).st_ino)
        fsync(handle)

    def look(source: str | Path, target: str | Path) -> None:
        if Path(target).name == name:
            found.append({path.name for path in Path(source).rglob("*") if path.stat().st_ino not in synced})
        replace(source, target)

    monkeypatch.setattr(os, "fsync", note)
    monkeypatch.setattr(os, "replace", look)
    return found
