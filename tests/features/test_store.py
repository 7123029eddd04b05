"""Damage to a store is found when it is opened or verified."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from vldistill.cli.features import command
from vldistill.errors import InputError
from vldistill.features.shards import Rows, assemble, commit, cut
from vldistill.features.store import Store, open_store, verify
from vldistill.files import sha256_file

FINGERPRINT = {"weights": "abc", "activation": "gelu", "resize": {"size": [4, 4]}, "dtype": "fp32"}


def values(key: str) -> np.ndarray:
    return np.full(3, int(key[1:]), dtype=np.float16)


def make_store(folder: Path, count: int = 20, rows: int = 6, invalid: tuple[str, ...] = ("k7",)) -> Path:
    shards = cut("images", [f"k{number}" for number in range(count)], rows)
    for shard in shards:
        bad = {key: "broken" for key in shard.keys if key in invalid}
        pooled = np.stack([values(key) * (key not in bad) for key in shard.keys])
        commit(folder / "run", shard, Rows({"pooled": pooled, "patch": np.stack([pooled, pooled], axis=1)}, bad))
    return assemble(folder / "run", folder / "store", shards, FINGERPRINT, {})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return make_store(tmp_path)


def break_link(path: Path) -> bytearray:
    """Bytes of a file of the store, cut off from the run folder it is hard-linked with."""
    data = bytearray(path.read_bytes())
    path.unlink()
    return data


def test_whole_store_passes(folder: Path) -> None:
    assert verify(folder)["tables"] == {"images": {"rows": 20, "invalid": 1}}
    open_store(folder, fingerprint=FINGERPRINT)


def test_flipped_byte_is_found_by_verify(folder: Path) -> None:
    path = folder / "pooled-00001.npy"
    data = break_link(path)
    data[-3] ^= 4
    path.write_bytes(data)
    open_store(folder)
    with pytest.raises(InputError, match=r"pooled-00001\.npy.*sha256"):
        verify(folder)


def test_short_shard_is_found_at_open(folder: Path) -> None:
    path = folder / "patch-00000.npy"
    data = break_link(path)
    path.write_bytes(data[:-1])
    with pytest.raises(InputError, match=r"patch-00000\.npy"):
        open_store(folder)


def test_missing_shard_is_found_at_open(folder: Path) -> None:
    (folder / "patch-00002.npy").unlink()
    with pytest.raises(InputError, match=r"patch-00002\.npy.*missing"):
        open_store(folder)


def test_reordered_keys_are_found_at_open(folder: Path) -> None:
    path = folder / "images-00001.json"
    text = break_link(path).decode()
    path.write_text(text.replace("k8", "kX").replace("k9", "k8").replace("kX", "k9"))
    with pytest.raises(InputError, match=r"images-00001\.json.*keys"):
        open_store(folder)


def test_swapped_shards_are_found_even_with_matching_hashes(folder: Path) -> None:
    """Two key lists exchanged, and the manifest's file hashes with them: the order of all keys still tells."""
    first, second = folder / "images-00000.json", folder / "images-00001.json"
    one, two = break_link(first), break_link(second)
    first.write_bytes(two)
    second.write_bytes(one)
    manifest = json.loads((folder / "manifest.json").read_text())
    for path in (first, second):
        manifest["files"][path.name] = {"sha256": sha256_file(path), "bytes": path.stat().st_size}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(InputError, match="order"):
        open_store(folder)


@pytest.mark.parametrize("field", ["weights", "activation", "resize", "dtype"])
def test_stale_fingerprint_is_found_at_open(folder: Path, field: str) -> None:
    with pytest.raises(InputError, match=rf"fingerprint\.{field}.*stale"):
        open_store(folder, fingerprint={**FINGERPRINT, field: "other"})


def test_other_format_version_is_refused(folder: Path) -> None:
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["meta"]["store"] = 99
    (folder / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(InputError, match="version 1"):
        open_store(folder)


def test_no_pickles_are_loaded(folder: Path) -> None:
    path = folder / "pooled-00000.npy"
    size = len(break_link(path))
    np.save(path, np.array([{"any": "object"}], dtype=object), allow_pickle=True)
    path.write_bytes(path.read_bytes()[:size].ljust(size, b"\0"))
    with pytest.raises(InputError, match=r"pooled-00000\.npy"):
        open_store(folder)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return open_store(make_store(tmp_path_factory.mktemp("store"), count=40, rows=7, invalid=()))


@settings(max_examples=60)
@given(numbers=st.lists(st.integers(0, 39), max_size=60))
def test_gather_returns_rows_in_the_order_asked_for(store: Store, numbers: list[int]) -> None:
    keys = [f"k{number}" for number in numbers]
    pooled = store.get("pooled", keys)
    assert pooled.shape == (len(keys), 3) and pooled.dtype == np.float32
    assert np.array_equal(pooled[:, 0], np.asarray(numbers, dtype=np.float32))
    assert np.array_equal(store.get("patch", keys, dtype=np.float16)[:, 1], pooled.astype(np.float16))


def test_command_line(folder: Path) -> None:
    done = CliRunner().invoke(command, ["verify", str(folder)])
    assert done.exit_code == 0 and "whole" in done.output and "1 invalid" in done.output
    (folder / "patch-00002.npy").unlink()
    assert isinstance(CliRunner().invoke(command, ["verify", str(folder)]).exception, InputError)
