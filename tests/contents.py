"""What two run folders differ in, in few words: of unequal dicts of bytes, pytest prints all the bytes."""

from __future__ import annotations

from pathlib import Path

OF_THE_PROCESS = ("result.json", ".guard", "lock.json", "checkpoints")
"""What it cost, and what a process that is killed behind its result leaves: lock and checkpoints."""


def contents(run: Path) -> dict[str, bytes]:
    """Name -> bytes of all that a finished run hands on, and of whatever else should not be there."""
    names = {path.relative_to(run): path for path in sorted(run.rglob("*")) if path.is_file()}
    return {str(name): path.read_bytes() for name, path in names.items() if name.parts[0] not in OF_THE_PROCESS}


def differences(found: dict[str, bytes], expected: dict[str, bytes]) -> list[str]:
    """A line for each file that is not the same."""
    lines = [f"{name}: not expected" for name in found if name not in expected]
    lines += [f"{name}: missing" for name in expected if name not in found]
    return lines + [
        f"{name}: {_place(found[name], value)}" for name, value in expected.items() if found.get(name, value) != value
    ]


def _place(found: bytes, expected: bytes) -> str:
    shorter = min(len(found), len(expected))
    at = next((at for at in range(shorter) if found[at] != expected[at]), shorter)
    near = slice(max(0, at - 40), at + 40)
    sizes = f"{len(found)} bytes, {len(expected)} expected"
    return f"differs from byte {at} ({sizes}): {found[near]!r} instead of {expected[near]!r}"
