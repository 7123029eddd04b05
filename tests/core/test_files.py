"""Files and artifacts are whole or absent, also under kill -9, a full disk and corruption."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vldistill import artifact, files
from vldistill.errors import InputError, VldistillError

WRITER = """
import sys
from vldistill import artifact, files
folder, size = sys.argv[1], 2_000_000
print("ready", flush=True)
for round in range(10_000):
    letter = "ab"[round % 2]
    files.write_text(folder + "/file", letter * size)
    artifact.publish(folder + "/art", lambda f: (f / "x").write_text(letter * 1000), {"letter": letter})
"""


def test_kill_at_any_moment_leaves_old_or_new(tmp_path):
    files.write_text(tmp_path / "file", "a" * 2_000_000)
    artifact.publish(tmp_path / "art", lambda folder: (folder / "x").write_text("a" * 1000), {"letter": "a"})
    rng = random.Random(0)
    for _ in range(20):
        process = subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path)], stdout=subprocess.PIPE)
        assert process.stdout.readline()
        time.sleep(rng.uniform(0.0, 0.05))
        process.send_signal(signal.SIGKILL)
        process.wait()
        text = (tmp_path / "file").read_text()
        assert len(text) == 2_000_000 and len(set(text)) == 1
        if not (tmp_path / "art").exists():  # killed between the two renames: the next publication brings it back
            with pytest.raises(RuntimeError):
                artifact.publish(tmp_path / "art", broken)
        meta = artifact.verify(tmp_path / "art")["meta"]
        assert set((tmp_path / "art" / "x").read_text()) == {meta["letter"]}


def broken(folder):
    raise RuntimeError


def test_a_publication_killed_between_its_renames_is_undone(tmp_path):
    folder = published(tmp_path / "one")
    before = artifact.fingerprint(folder)
    os.rename(folder, tmp_path / ".one.old")
    with pytest.raises(RuntimeError):
        artifact.publish(folder, broken)
    assert artifact.fingerprint(folder) == before
    assert [path.name for path in tmp_path.iterdir()] == ["one"]


def test_failed_write_keeps_the_old_file(tmp_path):
    files.write_text(tmp_path / "file", "old")
    with pytest.raises(RuntimeError), files.atomic_write(tmp_path / "file") as handle:
        handle.write("new")
        raise RuntimeError
    assert (tmp_path / "file").read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_full_disk_names_the_path_and_keeps_the_old_file(tmp_path):
    code = (
        "import resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))\n"
        "import signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "from vldistill import files\n"
        "files.write_text(sys.argv[1], 'b' * 100_000)"
    )
    files.write_text(tmp_path / "file", "old")
    result = subprocess.run([sys.executable, "-c", code, str(tmp_path / "file")], capture_output=True, text=True)
    assert result.returncode != 0
    assert f"cannot write {tmp_path / 'file'}" in result.stderr
    assert (tmp_path / "file").read_text() == "old"
    assert len(list(tmp_path.iterdir())) == 1


def test_writing_below_a_file_is_explained(tmp_path):
    files.write_text(tmp_path / "file", "x")
    with pytest.raises(VldistillError, match="cannot write"):
        files.write_text(tmp_path / "file" / "below", "x")


@given(st.lists(st.dictionaries(st.text(), st.one_of(st.none(), st.integers(), st.text()))))
def test_jsonl_round_trip(tmp_path_factory, records):
    path = tmp_path_factory.mktemp("jsonl") / "records.jsonl"
    assert files.write_jsonl(path, records) == len(records)
    assert files.read_jsonl(path) == records


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b'{"a": 1}\n{"a": ', ["line 2", "not valid JSON"]),
        (b'{"a": 1}\n{"a": "\xff"}\n', ["line 2", "not UTF-8", "0xff"]),
    ],
)
def test_bad_jsonl_names_file_and_line(tmp_path, data, words):
    path = tmp_path / "records.jsonl"
    path.write_bytes(data)
    with pytest.raises(InputError) as caught:
        files.read_jsonl(path)
    for word in [*words, str(path)]:
        assert word in str(caught.value)


def test_truncated_json_says_so(tmp_path):
    (tmp_path / "x.json").write_text('{"a": [1, 2')
    with pytest.raises(InputError, match="ends too early"):
        files.read_json(tmp_path / "x.json")
    with pytest.raises(InputError, match="no such JSON file"):
        files.read_json(tmp_path / "y.json")


@given(st.dictionaries(st.text(), st.integers()))
def test_sha256_json_ignores_key_order(tree):
    assert files.sha256_json(tree) == files.sha256_json(dict(reversed(tree.items())))


def published(folder):
    def build(target):
        (target / "sub").mkdir()
        (target / "sub" / "data").write_bytes(b"12345")

    return artifact.publish(folder, build, {"n": 1})


def test_artifact_is_deterministic(tmp_path):
    first, second = published(tmp_path / "one"), published(tmp_path / "two")
    assert artifact.fingerprint(first) == artifact.fingerprint(second)
    assert (first / "manifest.json").read_bytes() == (second / "manifest.json").read_bytes()


@pytest.mark.parametrize(
    ("damage", "word"),
    [
        (lambda path: path.unlink(), "missing"),
        (lambda path: path.write_bytes(b"123"), "3 bytes instead of 5"),
        (lambda path: path.write_bytes(b"12346"), "sha256"),
    ],
)
def test_damaged_artifact_is_found(tmp_path, damage, word):
    folder = published(tmp_path / "one")
    artifact.verify(folder)
    damage(folder / "sub" / "data")
    with pytest.raises(InputError, match=word):
        artifact.verify(folder)


def test_failed_build_leaves_the_old_artifact(tmp_path):
    folder = published(tmp_path / "one")

    def fail(target):
        (target / "half").write_text("x")
        raise RuntimeError

    with pytest.raises(RuntimeError):
        artifact.publish(folder, fail)
    artifact.verify(folder)
    assert [path.name for path in tmp_path.iterdir()] == ["one"]


def test_unfinished_artifact_is_refused(tmp_path):
    os.mkdir(tmp_path / "one")
    with pytest.raises(InputError, match="no finished artifact"):
        artifact.read_manifest(tmp_path / "one")
