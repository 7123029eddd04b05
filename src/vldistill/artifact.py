"""Artifact folders: a stage's result as a folder with a manifest, published whole or not at all.

``manifest.json`` lists every file with its sha256 and size. It is the one output Snakemake declares for the folder
(folders have no checksum there), and DVC tracks the folder itself, so both tools agree on the content. Nothing that
varies between two equal runs (times, hosts) goes into an artifact; that belongs into the run record beside it.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from vldistill.errors import InputError
from vldistill.files import read_json, sha256_file, sha256_json, sync_to_disk, sync_tree, write_json

MANIFEST = "manifest.json"
FORMAT = 1


def publish(folder: str | Path, build: Callable[[Path], None], meta: dict[str, Any] | None = None) -> Path:
    """Fill a temporary sibling with ``build``, add the manifest, and swap it in under the name ``folder``.

    Args:
        folder: where the artifact shall stand; an older one is replaced.
        build: writes the files into the folder it is given.
        meta: what the manifest says besides the files; must be deterministic.
    """
    folder = Path(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    fresh = folder.parent / f".{folder.name}.{os.getpid()}.new"
    old = folder.parent / f".{folder.name}.old"
    _restore(folder, old)
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir()
    try:
        build(fresh)
        write_json(fresh / MANIFEST, {"format": FORMAT, "files": _listing(fresh), "meta": meta or {}})
        sync_tree(fresh)
        if folder.exists():
            os.replace(folder, old)
        os.replace(fresh, folder)
        sync_to_disk(folder.parent)
    finally:
        _restore(folder, old)
        shutil.rmtree(fresh, ignore_errors=True)
    return folder


def _restore(folder: Path, old: Path) -> None:
    """Bring back the artifact of a publication that was killed between its two renames; else drop the old one."""
    if old.exists() and not folder.exists():
        os.replace(old, folder)
    shutil.rmtree(old, ignore_errors=True)


def _listing(folder: Path) -> dict[str, dict[str, Any]]:
    paths = sorted(path for path in folder.rglob("*") if path.is_file() and path != folder / MANIFEST)
    return {
        path.relative_to(folder).as_posix(): {"sha256": sha256_file(path), "bytes": path.stat().st_size}
        for path in paths
    }


def read_manifest(folder: str | Path) -> dict[str, Any]:
    """The manifest of a published artifact.

    Raises:
        InputError: there is no finished artifact at ``folder``, or it is of another format version.
    """
    path = Path(folder) / MANIFEST
    if not path.is_file():
        raise InputError("no finished artifact here", file=folder, action="Run the stage that makes it")
    manifest = read_json(path)
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        raise InputError(f"not an artifact of format {FORMAT}", file=path, field="format", action="Run its stage again")
    return manifest


def verify(folder: str | Path, *, content: bool = True) -> dict[str, Any]:
    """Check an artifact against its manifest and return the manifest.

    Args:
        folder: the artifact.
        content: compare sha256 sums as well as sizes.

    Raises:
        InputError: a file is missing, short or altered; names it.
    """
    folder = Path(folder)
    manifest = read_manifest(folder)
    again = "Run the stage that makes it, or restore it with dvc checkout"
    for name, entry in manifest["files"].items():
        path = folder / name
        if not path.is_file():
            raise InputError("file named in the manifest is missing", file=path, action=again)
        if path.stat().st_size != entry["bytes"]:
            raise InputError(f"{path.stat().st_size} bytes instead of {entry['bytes']}", file=path, action=again)
        if content and sha256_file(path) != entry["sha256"]:
            raise InputError("content differs from the manifest's sha256", file=path, action=again)
    return manifest


def publish_absent(folder: str | Path, reason: str) -> Path:
    """Publish an artifact without data, for what does not exist in this experiment: the graph stays the same for all.

    Args:
        folder: where the artifact would stand.
        reason: why there is none, and how to get it where that can be done; without paths of this machine.
    """
    return publish(folder, lambda _: None, {"absent": reason})


def absence(folder: str | Path) -> str | None:
    """Why the artifact holds no data; None for one that does.

    Raises:
        InputError: as `read_manifest`.
    """
    reason = read_manifest(folder)["meta"].get("absent")
    return None if reason is None else str(reason)


def refuse_absent(folder: str | Path, action: str) -> None:
    """Stop where an artifact that is needed holds no data.

    Raises:
        InputError: it is absent; gives the reason, and ``action`` as the way out.
    """
    if reason := absence(folder):
        raise InputError(f"absent: {reason}", file=folder, action=action)


def fingerprint(folder: str | Path) -> str:
    """Hex sha256 that identifies an artifact's content."""
    return sha256_json(read_manifest(folder))
