"""The registry: the tracked one is sound, broken ones are named, and sets become usable whoever brings the files."""

import csv
import hashlib
import io
import json
import os
import threading
import zipfile
from pathlib import Path

import pytest

from tests.download_fetch.server import Served, serving
from vldistill import layout
from vldistill.download.fetch import FetchError
from vldistill.download.registry import CARDS, COLUMNS, REGISTRY, GatedError, materialise, read_registry
from vldistill.download.source_report import offline, render, report
from vldistill.errors import InputError

ROOT = Path(__file__).parents[2]
ROW = {
    "set": "toy",
    "file": "notes.txt",
    "kind": "file",
    "urls": "http://127.0.0.1:9/notes.txt",
    "licence": "yours",
    "gated": "no",
    "terms": "https://example.org/terms",
}


def write_rows(root, *rows):
    path = root / REGISTRY
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "w", encoding="utf-8", newline="") as handle:
        writer = csv.DictWriter(handle, COLUMNS, restval="", lineterminator="\n")
        writer.writeheader()
        writer.writerows({**ROW, **row} for row in rows)
    return root


def zipped(**members):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, data in members.items():
            archive.writestr(name.replace("__", "/") + ".txt", data)
    return buffer.getvalue()


@pytest.fixture(autouse=True)
def _own_data_folder(monkeypatch):
    monkeypatch.delenv("VLDISTILL_DATA", raising=False)
    monkeypatch.delenv("VLDISTILL_DATA_TOY", raising=False)


# --- the tracked registry ---


def test_tracked_registry_is_sound():
    sources = read_registry(ROOT / REGISTRY)
    for needed in ("coco", "nocaps", "vqav2", "okvqa", "cc3m", "vqa_cp", "snli_ve", "vcr", "glue", "xsum"):
        assert any(source.set == needed for source in sources), needed
    for source in sources:
        assert (ROOT / CARDS / f"{source.licence}.md").is_file(), f"{source.key} names no licence card"
    used = {source.licence for source in sources}
    assert {card.stem for card in (ROOT / CARDS).glob("*.md")} == used, "a card that nothing refers to"


def test_gated_sets_are_never_fetched():
    gated = [source for source in read_registry(ROOT / REGISTRY) if source.gated]
    assert {"vcr", "flickr30k", "cc3m"} <= {source.set for source in gated}
    assert not any(source.urls for source in gated)


def test_names_within_a_set_do_not_clash():
    names = [(source.set, name) for source in read_registry(ROOT / REGISTRY) for name in source.names]
    assert len(names) == len(set(names))


# --- broken registries ---


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("set", "Toy"),
        ("file", "a/b"),
        ("file", ""),
        ("kind", "tarball"),
        ("urls", "ftp://example.org/x"),
        ("urls", ""),
        ("bytes", "12 MB"),
        ("bytes", "0"),
        ("sha256", "abc"),
        ("md5", "A" * 32),
        ("licence", "No Such"),
        ("gated", "maybe"),
        ("terms", ""),
        ("members", "../x"),
        ("members", "x.txt"),
    ],
)
def test_a_broken_row_is_named(tmp_path, field, value):
    write_rows(tmp_path, {"file": "fine.txt"}, {field: value})
    with pytest.raises(InputError, match="line 3") as caught:
        read_registry(tmp_path / REGISTRY)
    assert field in str(caught.value)
    assert "registry.csv" in str(caught.value)


def test_an_archive_without_members_and_a_folder_that_is_not_gated(tmp_path):
    for row in ({"kind": "archive"}, {"kind": "folder"}):
        with pytest.raises(InputError, match="line 2"):
            read_registry(write_rows(tmp_path, row) / REGISTRY)


def test_a_file_that_stands_twice_a_short_row_and_other_bytes(tmp_path):
    with pytest.raises(InputError, match="stands twice"):
        read_registry(write_rows(tmp_path, {}, {}) / REGISTRY)
    path = tmp_path / REGISTRY
    path.write_text(",".join(COLUMNS) + "\ntoy,file\n")
    with pytest.raises(InputError, match="11 columns"):
        read_registry(path)
    path.write_text("set,file\n")
    with pytest.raises(InputError, match="header"):
        read_registry(path)
    path.write_bytes(b"\xff")
    with pytest.raises(InputError, match="UTF-8"):
        read_registry(path)
    with pytest.raises(InputError, match="project's root"):
        read_registry(tmp_path / "absent.csv")


def test_an_unknown_set_names_the_known_ones(tmp_path):
    with pytest.raises(InputError, match="Sets: toy"):
        materialise("tyo", write_rows(tmp_path, {}))


# --- materialise ---


def test_files_and_archives_become_one_folder(tmp_path, body):
    packed = zipped(annotations__train="1", annotations__more="2")
    with serving({"/n": Served(body), "/z": Served(packed)}) as base:
        write_rows(
            tmp_path,
            {"urls": f"{base}/n", "sha256": hashlib.sha256(body).hexdigest(), "bytes": len(body)},
            {
                "file": "x.zip",
                "kind": "archive",
                "urls": f"{base}/z",
                "members": "annotations/train.txt;annotations=all",
            },
        )
        folder = materialise("toy", tmp_path)
    assert folder == tmp_path / "data" / "raw" / "toy"
    assert (folder / "notes.txt").read_bytes() == body
    assert (folder / "annotations" / "train.txt").read_text() == "1"
    assert (folder / "all" / "more.txt").read_text() == "2", "a member under another name"
    assert materialise("toy", tmp_path) == folder, "the server is gone: nothing is fetched again"
    (folder / "x.zip").unlink()
    assert materialise("toy", tmp_path) == folder, "the archive may be removed once it is unpacked"


def test_an_archive_that_lacks_a_member(tmp_path):
    with serving({"/z": Served(zipped(a="1"))}) as base:
        write_rows(tmp_path, {"file": "x.zip", "kind": "archive", "urls": f"{base}/z", "members": "a.txt;b.txt"})
        with pytest.raises(InputError, match=r"lacks b\.txt"):
            materialise("toy", tmp_path)
        with pytest.raises(InputError, match=r"lacks b\.txt"):
            materialise("toy", tmp_path)


def test_a_changed_registry_unpacks_again(tmp_path):
    first, second = zipped(a="1"), zipped(a="2")
    with serving({"/1": Served(first), "/2": Served(second)}) as base:
        row = {"file": "x.zip", "kind": "archive", "members": "a.txt"}
        write_rows(tmp_path, {**row, "urls": f"{base}/1", "sha256": hashlib.sha256(first).hexdigest()})
        folder = materialise("toy", tmp_path)
        write_rows(tmp_path, {**row, "urls": f"{base}/2", "sha256": hashlib.sha256(second).hexdigest()})
        with pytest.raises(InputError, match="Remove or replace it"):
            materialise("toy", tmp_path)
        (folder / "x.zip").unlink()
        materialise("toy", tmp_path)
    assert (folder / "a.txt").read_text() == "2"


def test_trust_on_first_use(tmp_path):
    with serving({"/n": Served(b"one")}) as base:
        write_rows(tmp_path, {"urls": f"{base}/n"})
        path = materialise("toy", tmp_path) / "notes.txt"
    pins = layout.data_root(tmp_path) / "pins.json"
    assert json.loads(pins.read_text())["toy/notes.txt"]["sha256"] == hashlib.sha256(b"one").hexdigest()
    path.unlink()
    with serving({"/n": Served(b"two")}) as base:
        write_rows(tmp_path, {"urls": f"{base}/n"})
        with pytest.raises(InputError, match="when it was first seen") as caught:
            materialise("toy", tmp_path)
        assert str(pins) in str(caught.value)
        with pytest.raises(InputError, match="when it was first seen"):
            materialise("toy", tmp_path)
        pins.unlink()
        materialise("toy", tmp_path)
    assert path.read_bytes() == b"two"


def test_a_damaged_file_is_found_by_the_next_call(tmp_path):
    with serving({"/n": Served(b"right")}) as base:
        write_rows(tmp_path, {"urls": f"{base}/n", "sha256": hashlib.sha256(b"right").hexdigest()})
        path = materialise("toy", tmp_path) / "notes.txt"
        path.write_bytes(b"wrong")
        with pytest.raises(InputError, match="sha256"):
            materialise("toy", tmp_path)


def test_a_file_is_not_hashed_by_every_call(tmp_path, monkeypatch):
    with serving({"/n": Served(b"right")}) as base:
        write_rows(tmp_path, {"urls": f"{base}/n", "sha256": hashlib.sha256(b"right").hexdigest()})
        path = materialise("toy", tmp_path) / "notes.txt"
    opened = []
    monkeypatch.setattr(hashlib, "file_digest", lambda *a: opened.append(a))
    materialise("toy", tmp_path)
    assert not opened
    os.utime(path, ns=(1, 1))
    with pytest.raises(AttributeError):  # the spy gives no digest
        materialise("toy", tmp_path)
    assert opened, "another modification time: looked at again"


def test_gated_says_what_to_do(tmp_path):
    row = {"file": "x.zip", "kind": "archive", "urls": "", "gated": "yes", "members": "a.txt"}
    write_rows(tmp_path, row)
    with pytest.raises(GatedError) as caught:
        materialise("toy", tmp_path)
    for words in ("toy/x.zip", "https://example.org/terms", "yours.md", "docs/data.md", "VLDISTILL_DATA_TOY", "a.txt"):
        assert words in str(caught.value)


@pytest.mark.parametrize("where", ["own folder", "variable"])
@pytest.mark.parametrize("packed", [True, False])
def test_gated_files_that_the_user_supplies(tmp_path, monkeypatch, where, packed):
    row = {"file": "x.zip", "kind": "archive", "urls": "", "gated": "yes", "members": "d/a.txt"}
    write_rows(tmp_path, row, {"file": "images", "kind": "folder", "urls": "", "gated": "yes"})
    mine = layout.data_root(tmp_path) / "toy" if where == "own folder" else tmp_path / "mine"
    (mine / "images").mkdir(parents=True)
    (mine / "images" / "1.jpg").write_text("jpeg")
    if packed:
        (mine / "x.zip").write_bytes(zipped(d__a="1"))
    else:
        (mine / "d").mkdir()
        (mine / "d" / "a.txt").write_text("1")
    if where == "variable":
        monkeypatch.setenv("VLDISTILL_DATA_TOY", str(mine))
    before = sorted(mine.rglob("*"))
    for _ in range(2):
        folder = materialise("toy", tmp_path)
        assert (folder / "d" / "a.txt").read_text() == "1"
        assert (folder / "images" / "1.jpg").read_text() == "jpeg"
    if where == "variable":
        assert sorted(mine.rglob("*")) == before, "nothing is written into a folder of the user's"


def test_a_supplied_folder_that_is_not_there(tmp_path, monkeypatch):
    monkeypatch.setenv("VLDISTILL_DATA_TOY", str(tmp_path / "nowhere"))
    with pytest.raises(InputError, match="VLDISTILL_DATA_TOY"):
        materialise("toy", write_rows(tmp_path, {}))


def test_a_supplied_file_with_the_wrong_checksum(tmp_path, monkeypatch):
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "notes.txt").write_text("wrong")
    monkeypatch.setenv("VLDISTILL_DATA_TOY", str(mine))
    with pytest.raises(InputError, match="sha256"):
        materialise("toy", write_rows(tmp_path, {"sha256": "0" * 64}))


def test_no_source_answers(tmp_path):
    with pytest.raises(FetchError, match=r"notes\.txt"), serving({}) as base:
        materialise("toy", write_rows(tmp_path, {"urls": f"{base}/gone {base}/too"}))


def test_data_goes_to_the_named_disk_and_outlives_dvc_workspaces(tmp_path, monkeypatch):
    inside = tmp_path / ".dvc" / "tmp" / "exps" / "abc"
    assert layout.data_root(inside) == tmp_path / "data" / "raw"
    monkeypatch.setenv("VLDISTILL_DATA", str(tmp_path / "big"))
    assert layout.data_root(inside) == tmp_path / "big"


def test_two_at_once(tmp_path, body):
    served = Served(zipped(a="1"))
    with serving({"/z": served}) as base:
        write_rows(tmp_path, {"file": "x.zip", "kind": "archive", "urls": f"{base}/z", "members": "a.txt"})
        calls = [threading.Thread(target=materialise, args=("toy", tmp_path)) for _ in range(3)]
        for call in calls:
            call.start()
        for call in calls:
            call.join()
    assert len(served.requests) == 1
    assert (layout.data_root(tmp_path) / "toy" / "a.txt").read_text() == "1"


# --- the report on sources ---


def test_source_report(tmp_path, body):
    files = {"/ok": Served(body), "/changed": Served(body), "/no-head": Served(body, no_head=True)}
    with serving(files) as base:
        write_rows(
            tmp_path,
            {"file": "ok", "urls": f"{base}/ok", "bytes": len(body)},
            {"file": "changed", "urls": f"{base}/changed", "bytes": 5},
            {"file": "mirrors", "urls": f"{base}/gone {base}/no-head", "bytes": len(body)},
            {"file": "gated", "urls": "", "gated": "yes"},
            {"file": "mine", "urls": "", "gated": "yes"},
            {"file": "dead", "urls": "http://127.0.0.1:9/x"},
        )
        (layout.data_root(tmp_path) / "toy").mkdir(parents=True)
        (layout.data_root(tmp_path) / "toy" / "mine").touch()
        states = report(tmp_path, timeout=5)
    found = [(state.key.removeprefix("toy/"), state.state) for state in states]
    assert found == [
        ("ok", "ok"),
        ("changed", "changed"),
        ("mirrors", "gone"),
        ("mirrors", "ok"),
        ("gated", "yours to get"),
        ("mine", "supplied"),
        ("dead", "unreachable"),
    ]
    text = render(states)
    assert "instead of 5" in text
    assert "HTTP 404" in text
    assert "2 ok, 1 changed, 1 gone" in text
    assert not offline(states)
    assert not any(served.requests for name, served in files.items() if name != "/no-head"), "nothing was fetched"


def test_source_report_offline(tmp_path):
    write_rows(tmp_path, {}, {"file": "mine", "urls": "", "gated": "yes"})
    states = report(tmp_path, timeout=2)
    assert offline(states)
    assert "offline" in render(states)
    assert report(tmp_path, names=["other"]) == []
