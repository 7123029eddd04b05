"""Writing a feature store shard by shard: each one is committed with its hashes, a restart skips what is committed.

Several processes may fill one folder: a shard is taken with a file lock that the system frees when its owner dies.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock, Timeout

from vldistill import artifact
from vldistill.errors import InputError
from vldistill.features.store import TABLE_OF, VERSION, shard_name
from vldistill.files import atomic_write, read_json, sha256_file, sha256_json, write_json
from vldistill.signals import Stopped, StopRequest

COMMITTED = "committed"


@dataclass(frozen=True)
class Shard:
    """A run of rows of one table.

    Attributes:
        table: ``images`` or ``captions``.
        number: place among the table's shards.
        keys: the keys of its rows.
    """

    table: str
    number: int
    keys: Sequence[str]

    @property
    def name(self) -> str:
        """The name of its commit file without suffix."""
        return f"{self.table}-{self.number:05d}"


@dataclass
class Rows:
    """The content of a shard.

    Attributes:
        features: kind -> [rows, ...] fp16; zeros where invalid.
        invalid: key -> reason, for rows without features.
    """

    features: dict[str, np.ndarray]
    invalid: dict[str, str] = field(default_factory=dict)


def cut(table: str, keys: Sequence[str], rows: int) -> list[Shard]:
    """Shards of ``rows`` keys each; the last may be shorter."""
    return [Shard(table, number, keys[start : start + rows]) for number, start in enumerate(range(0, len(keys), rows))]


def is_committed(folder: Path, shard: Shard) -> bool:
    """Whether the shard is complete and unaltered, by sha256."""
    path = folder / COMMITTED / f"{shard.name}.json"
    if not path.is_file():
        return False
    commit = read_json(path)
    if commit["keys"] != sha256_json(list(shard.keys)):
        return False
    return all(
        (folder / name).is_file() and sha256_file(folder / name) == digest for name, digest in commit["files"].items()
    )


def commit(folder: Path, shard: Shard, rows: Rows) -> None:
    """Write the shard's files, then the commit that names their hashes."""
    names = []
    for kind, values in rows.features.items():
        if len(values) != len(shard.keys) or values.dtype != np.float16 or not np.isfinite(values).all():
            raise ValueError(f"{kind} of shard {shard.name}: {values.dtype} {values.shape}, finite fp16 is needed")
        names.append(shard_name(kind, shard.number, "npy"))
        with atomic_write(folder / names[-1], "wb") as handle:
            np.save(handle, values, allow_pickle=False)
    names.append(f"{shard.name}.json")
    valid = [key not in rows.invalid for key in shard.keys]
    write_json(folder / names[-1], {"keys": list(shard.keys), "valid": valid, "invalid": rows.invalid})
    hashes = {name: sha256_file(folder / name) for name in names}
    write_json(folder / COMMITTED / f"{shard.name}.json", {"keys": sha256_json(list(shard.keys)), "files": hashes})


def fill(
    folder: Path,
    shards: Sequence[Shard],
    make: Callable[[Shard], Rows],
    done: Callable[[Shard], None],
    stop: StopRequest,
) -> None:
    """Make and commit every shard that is missing; shards that another process works on are left to it at first.

    Args:
        folder: where the shards are.
        shards: all shards of the store.
        make: computes one shard.
        done: called once for each shard that is committed, whoever made it.
        stop: asked after each shard that is made here.

    Raises:
        Stopped: as `stop` wants it; the shards that are made are committed.
    """
    (folder / COMMITTED).mkdir(parents=True, exist_ok=True)
    waiting = list(shards)
    patience, finished = 0.0, 0
    while waiting:
        left = []
        for shard in waiting:
            try:
                with FileLock(str(folder / COMMITTED / f"{shard.name}.lock"), timeout=patience):
                    missing = not is_committed(folder, shard)
                    if missing:
                        commit(folder, shard, make(shard))
            except Timeout:
                left.append(shard)
                continue
            done(shard)
            finished += 1
            if missing and finished < len(shards) and (reason := stop.reason()):
                raise Stopped(reason, finished, "shard")
        # all that is left is in other hands: wait for one of them, or take over if its owner dies
        waiting, patience = left, 1.0


def assemble(
    folder: Path, target: Path, shards: Sequence[Shard], fingerprint: Mapping[str, Any], facts: Mapping[str, Any]
) -> Path:
    """Publish the committed shards of ``folder`` as the store ``target``, hard-linked where the file system can."""
    commits = {shard.name: read_json(folder / COMMITTED / f"{shard.name}.json") for shard in shards}

    def build(fresh: Path) -> None:
        for name in (name for entry in commits.values() for name in entry["files"]):
            link(folder / name, fresh / name)

    tables = sorted({shard.table for shard in shards})
    keys = {table: [key for shard in shards if shard.table == table for key in shard.keys] for table in tables}
    return artifact.publish(
        target,
        build,
        meta={
            "store": VERSION,
            "fingerprint": dict(fingerprint),
            "kinds": dict(_shapes(folder, commits)),
            "shards": {table: sum(shard.table == table for shard in shards) for table in tables},
            "keys": {table: sha256_json(keys[table]) for table in tables},
            **facts,
        },
    )


def _shapes(folder: Path, commits: Mapping[str, Any]) -> Iterator[tuple[str, list[int]]]:
    names = {name for entry in commits.values() for name in entry["files"]}
    for kind in TABLE_OF:
        first = shard_name(kind, 0, "npy")
        if first in names:
            yield kind, list(np.load(folder / first, mmap_mode="r").shape[1:])


def link(source: Path, target: Path) -> None:
    """Hard-link, or copy across file systems."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)


def invalid_rows(folder: Path, shards: Sequence[Shard]) -> dict[str, str]:
    """Key -> reason of every invalid row of the committed shards."""
    return {
        key: reason for shard in shards for key, reason in read_json(folder / f"{shard.name}.json")["invalid"].items()
    }


def check_invalid(invalid: Mapping[str, str], total: int, limit: float, file: Path) -> None:
    """Refuse a store with too many broken images.

    Raises:
        InputError: more than the share ``limit`` of ``total`` images are invalid; names the first few.
    """
    if len(invalid) > limit * total:
        some = "; ".join(f"{key}: {reason}" for key, reason in list(invalid.items())[:3])
        raise InputError(
            f"{len(invalid)} of {total} images are missing or broken, more than the share {limit:g} that is allowed "
            f"({some})",
            file=file,
            action="Download the data set again, or raise features.max_invalid",
        )
