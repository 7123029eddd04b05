"""The run record beside every result: how long it took, how much memory, with which code, versions and parameters."""

from __future__ import annotations

import os
import platform
import resource
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

from vldistill.files import write_json

# What bits of weights, features, pictures and predictions may depend on; part of the keys of run folders.
LIBRARIES = ("torch", "transformers", "open_clip_torch", "tokenizers", "numpy", "pillow")
PACKAGES = ("torch", "transformers", "open_clip_torch", "pycocoevalcap", "numpy", "snakemake", "dvc")


def git_state(root: str | Path = ".") -> dict[str, Any]:
    """Commit and dirtiness of the checkout at ``root``; both null outside git."""

    def git(*arguments: str) -> str:
        return subprocess.run(
            ["git", "-C", str(root), *arguments], capture_output=True, text=True, check=True, timeout=30
        ).stdout.strip()

    try:
        return {"commit": git("rev-parse", "HEAD"), "dirty": bool(git("status", "--porcelain", "--untracked-files=no"))}
    except (OSError, subprocess.SubprocessError):
        return {"commit": None, "dirty": None}


def versions() -> dict[str, str]:
    """Versions of Python and of the packages that results depend on; absent ones are left out."""
    return {"python": platform.python_version(), **_versions(PACKAGES)}


def libraries() -> dict[str, str]:
    """Versions of the libraries that compute results, for the keys of run folders: an upgrade runs anew.

    Imports none of them, so that finished runs are still recognised in no time.
    """
    return _versions(LIBRARIES)


def _versions(packages: tuple[str, ...]) -> dict[str, str]:
    return {package: version for package in packages if (version := _version(package))}


@cache
def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def peak_memory_bytes() -> int:
    """Largest resident set of this process or of any finished child, in bytes."""
    unit = 1 if platform.system() == "Darwin" else 1024
    peaks = (resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return max(peaks) * unit


def cpu_seconds() -> float:
    """User plus system time of this process and its finished children, in seconds."""
    usages = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


@contextmanager
def recorded(path: str | Path, **facts: Any) -> Iterator[dict[str, Any]]:
    """Write a run record to ``path`` when the block ends without an error.

    Yields a dict to which the block may add facts of its own (all JSON values).
    """
    started, wall, cpu = time.time(), time.monotonic(), cpu_seconds()
    extra: dict[str, Any] = dict(facts)
    yield extra
    write_json(
        path,
        {
            "started": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(started)),
            "wall_seconds": round(time.monotonic() - wall, 3),
            "cpu_seconds": round(cpu_seconds() - cpu, 3),
            "peak_memory_bytes": peak_memory_bytes(),
            "host": {"machine": platform.machine(), "system": platform.system(), "cpus": os.cpu_count()},
            "slurm_job": os.environ.get("SLURM_JOB_ID"),
            "versions": versions(),
            **git_state(),
            **extra,
        },
    )
