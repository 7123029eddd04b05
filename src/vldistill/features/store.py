"""The feature store: frozen teacher features by key, in memory-mapped fp16 shards.

A store is an artifact folder::

    manifest.json            files with sha256 and size; meta: format version, fingerprint, tables
    images-00000.json        keys and valid flags of a shard of images, and why the invalid ones are
    pooled-00000.npy         [rows, d] fp16, the same rows
    patch-00000.npy          [rows, P, w] fp16, the same rows
    region-00000.npy        [rows, R, w] fp16, the same rows; zeros where an image has fewer than R regions
    region_pooled-00000.npy [rows, R, d] fp16, likewise
    captions-00000.json, text-00000.npy

Rows are found by key, never by position. A broken image keeps its key and a row of zeros with a false flag; asking for
it is an error, so that nothing is ever silently replaced.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from vldistill import artifact
from vldistill.errors import InputError
from vldistill.files import read_json, sha256_file, sha256_json

VERSION = 1
TABLE_OF = {
    "pooled": "images",
    "patch": "images",
    "region": "images",
    "region_pooled": "images",
    "text": "captions",
}
AGAIN = "Extract the features again: vldistill features ENCODER SET"


def sentence_key(text: str) -> str:
    """Key of a text in a store of texts, where each different text has one row: 16 hex digits of its sha256."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def text_key(record_id: str, index: int) -> str:
    """Key of caption number ``index`` of the record ``record_id``."""
    return f"{record_id}#{index}"


def shard_name(kind: str, number: int, suffix: str) -> str:
    """File name of shard ``number`` of a kind (.npy) or a table (.json)."""
    return f"{kind}-{number:05d}.{suffix}"


@dataclass(frozen=True)
class Table:
    """The rows of one table: images or captions.

    Attributes:
        keys: all keys, in order of extraction.
        valid: for each key whether it has features [N].
        reasons: why the invalid ones have none.
        starts: first row of each shard, and the number of rows at the end.
        rows: row of each key.
    """

    keys: list[str]
    valid: np.ndarray
    reasons: dict[str, str]
    starts: np.ndarray
    rows: dict[str, int]


class Store:
    """A feature store opened for reading; see `open_store`."""

    def __init__(self, folder: Path, meta: Mapping[str, Any], tables: dict[str, Table]) -> None:
        self.folder = folder
        self.fingerprint: dict[str, Any] = dict(meta["fingerprint"])
        self.kinds: dict[str, list[int]] = {kind: list(shape) for kind, shape in meta["kinds"].items()}
        self._tables = tables
        self._maps: dict[tuple[str, int], np.ndarray] = {}

    @property
    def keys(self) -> list[str]:
        """Image keys, the invalid ones included."""
        return self._tables["images"].keys if "images" in self._tables else []

    @property
    def text_keys(self) -> list[str]:
        """Caption keys (`text_key`)."""
        return self._tables["captions"].keys if "captions" in self._tables else []

    @property
    def valid(self) -> np.ndarray:
        """For each image key whether it has features [N]."""
        return self._tables["images"].valid if "images" in self._tables else np.zeros(0, dtype=bool)

    @cached_property
    def valid_keys(self) -> list[str]:
        """Image keys that have features."""
        return [key for key, valid in zip(self.keys, self.valid.tolist(), strict=True) if valid]

    @property
    def invalid(self) -> dict[str, str]:
        """Image keys without features, and why."""
        return self._tables["images"].reasons if "images" in self._tables else {}

    def index(self, key: str, kind: str = "pooled") -> int:
        """Row of ``key``.

        Raises:
            InputError: the store does not hold it, or it is an image that could not be read.
        """
        table = self._table(kind)
        row = table.rows.get(key)
        if row is None:
            raise InputError("no features for this key", file=self.folder, record=key, action=AGAIN)
        if not table.valid[row]:
            raise InputError(
                f"the image was not readable: {table.reasons[key]}",
                file=self.folder,
                record=key,
                action="Leave it out (see Store.valid_keys), or mend the image and extract again",
            )
        return row

    def get(self, kind: str, keys: Sequence[str], *, dtype: Any = np.float32) -> np.ndarray:
        """Features of ``keys``, in their order: [N, d] for pooled and text, [N, P, w] for the others.

        Rows are read in the order they lie on disk, which is more than twice as fast as in the order asked for.

        Raises:
            InputError: as `index`, or the store has no such kind.
        """
        table = self._table(kind)
        rows = np.fromiter((self.index(key, kind) for key in keys), dtype=np.int64, count=len(keys))
        out = np.empty((len(rows), *self.kinds[kind]), dtype=dtype)
        order = np.argsort(rows, kind="stable")
        ordered = rows[order]
        shards = np.searchsorted(table.starts, ordered, side="right") - 1
        for shard in np.unique(shards).tolist():
            here = shards == shard
            out[order[here]] = self._map(kind, shard)[ordered[here] - table.starts[shard]]
        return out

    def _table(self, kind: str) -> Table:
        if kind not in self.kinds:
            raise InputError(
                f"no {kind!r} features in this store; it has {', '.join(self.kinds)}",
                file=self.folder,
                action="Name the kind under features.kinds and extract again",
            )
        return self._tables[TABLE_OF[kind]]

    def _map(self, kind: str, shard: int) -> np.ndarray:
        if (kind, shard) not in self._maps:
            self._maps[kind, shard] = np.load(self.folder / shard_name(kind, shard, "npy"), mmap_mode="r")
        return self._maps[kind, shard]


def open_store(folder: str | Path, *, fingerprint: Mapping[str, Any] | None = None) -> Store:
    """Open a store; sizes of all files and the content of the key lists are checked, `verify` checks the rest.

    Args:
        folder: a published store.
        fingerprint: the teacher's, where the caller knows it.

    Raises:
        InputError: a file is missing, short or of another shape, the key lists are altered, or the features are of
            another teacher than ``fingerprint`` tells.
    """
    folder = Path(folder)
    manifest = artifact.verify(folder, content=False)
    meta = manifest["meta"]
    if meta.get("store") != VERSION:
        raise InputError(
            f"not a feature store of version {VERSION}", file=folder / artifact.MANIFEST, field="store", action=AGAIN
        )
    if fingerprint is not None:
        check_fingerprint(folder, meta["fingerprint"], fingerprint)
    tables = {name: _read_table(folder, name, count, manifest) for name, count in meta["shards"].items()}
    for kind, shape in meta["kinds"].items():
        _check_shapes(folder, kind, shape, tables[TABLE_OF[kind]])
    return Store(folder, meta, tables)


def check_fingerprint(folder: Path, found: Mapping[str, Any], expected: Mapping[str, Any]) -> None:
    """Refuse features of another teacher.

    Raises:
        InputError: names the first thing that differs.
    """
    for field in sorted({*found, *expected}):
        if found.get(field) != expected.get(field):
            raise InputError(
                f"stale features: the store has {found.get(field)!r}, the teacher {expected.get(field)!r}",
                file=folder,
                field=f"fingerprint.{field}",
                action=AGAIN,
            )


def verify(folder: str | Path) -> dict[str, Any]:
    """Check every byte of a store, that all valid features are finite, and that invalid rows are zero.

    Returns:
        Counts for people: rows and invalid rows of each table, kinds with their shapes, bytes.

    Raises:
        InputError: what is wrong, and with which file.
    """
    folder = Path(folder)
    store = open_store(folder)
    manifest = artifact.verify(folder)
    for kind in store.kinds:
        table = store._table(kind)
        for shard in range(len(table.starts) - 1):
            values = store._map(kind, shard)
            valid = table.valid[table.starts[shard] : table.starts[shard + 1]]
            if not np.isfinite(values).all() or np.any(values[~valid]):
                raise InputError(
                    "values that are not finite, or features of an invalid row",
                    file=folder / shard_name(kind, shard, "npy"),
                    action=AGAIN,
                )
    return {
        "tables": {
            name: {"rows": len(table.keys), "invalid": len(table.reasons)} for name, table in store._tables.items()
        },
        "kinds": store.kinds,
        "bytes": sum(entry["bytes"] for entry in manifest["files"].values()),
    }


def _read_table(folder: Path, name: str, count: int, manifest: Mapping[str, Any]) -> Table:
    keys: list[str] = []
    flags: list[bool] = []
    reasons: dict[str, str] = {}
    starts = [0]
    for number in range(count):
        file = folder / shard_name(name, number, "json")
        entry = manifest["files"].get(file.name)
        # key lists are small and decide which row is whose: their content is always checked
        if entry is None or sha256_file(file) != entry["sha256"]:
            raise InputError("the list of keys differs from the manifest's sha256", file=file, action=AGAIN)
        shard = read_json(file)
        keys += shard["keys"]
        flags += shard["valid"]
        reasons |= shard["invalid"]
        starts.append(len(keys))
    rows = {key: row for row, key in enumerate(keys)}
    if len(rows) != len(keys):
        raise InputError(f"a key stands twice among the {name}", file=folder, action=AGAIN)
    if sha256_json(keys) != manifest["meta"]["keys"][name]:
        raise InputError(f"the {name} are not in the order of the manifest", file=folder, action=AGAIN)
    return Table(keys, np.asarray(flags, dtype=bool), reasons, np.asarray(starts), rows)


def _check_shapes(folder: Path, kind: str, shape: Sequence[int], table: Table) -> None:
    for number, (start, stop) in enumerate(zip(table.starts[:-1], table.starts[1:], strict=True)):
        file = folder / shard_name(kind, number, "npy")
        try:
            found = np.load(file, mmap_mode="r", allow_pickle=False)
        except (OSError, ValueError) as error:
            raise InputError(f"not an array: {error}", file=file, action=AGAIN) from None
        if found.shape != (stop - start, *shape) or found.dtype != np.float16:
            raise InputError(
                f"{found.dtype} {found.shape} instead of float16 {(int(stop - start), *shape)}", file=file, action=AGAIN
            )
