"""Archives nobody vouches for: unpacked whole, or refused with nothing left behind."""

import gzip
import io
import os
import signal
import stat
import subprocess
import sys
import tarfile
import time
import zipfile

import pytest

from vldistill.download import unpack as module
from vldistill.download.unpack import Limits, unpack
from vldistill.errors import InputError

FILES = {"a.txt": b"alpha", "deep/er/b.txt": b"beta", "empty.txt": b"", "UTF-8 ä.txt": b"c"}


def make_zip(path, members, compression=zipfile.ZIP_DEFLATED):
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, data in members:
            archive.writestr(name, data)
    return path


def make_tar(path, members, mode="w"):
    with tarfile.open(path, mode) as archive:
        for member, data in members:
            info = member if isinstance(member, tarfile.TarInfo) else tarfile.TarInfo(member)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return path


def special(name, kind, target=""):
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


def content(folder):
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def refused(archive, tmp_path, match, **keywords):
    """`unpack` refuses with a message that names the archive, and leaves nothing, inside or outside."""
    outside = {*tmp_path.iterdir(), tmp_path / "out"}
    target = tmp_path / "out" / "folder"
    with pytest.raises(InputError, match=match) as caught:
        unpack(archive, target, **keywords)
    assert archive.name in str(caught.value)
    assert [p.name for p in (tmp_path / "out").iterdir() if p.name != ".folder.lock"] == []
    assert set(tmp_path.iterdir()) == outside


@pytest.mark.parametrize("name", ["x.zip", "x.tar", "x.tar.gz", "x.tar.bz2", "x.tar.xz", "no-suffix"])
def test_round_trip(tmp_path, name):
    """The kind is told by the content, not by the name."""
    path = tmp_path / name
    if name in ("x.zip", "no-suffix"):
        make_zip(path, FILES.items())
    else:
        make_tar(path, FILES.items(), "w:" + {".gz": "gz", ".bz2": "bz2", ".xz": "xz"}.get(path.suffix, ""))
    assert content(unpack(path, tmp_path / "out")) == FILES


def test_one_gzipped_file(tmp_path):
    (tmp_path / "x.jsonl.gz").write_bytes(gzip.compress(b"{}\n"))
    assert content(unpack(tmp_path / "x.jsonl.gz", tmp_path / "out")) == {"x.jsonl": b"{}\n"}


def test_an_earlier_folder_is_replaced_only_by_a_whole_one(tmp_path):
    good, bad = make_zip(tmp_path / "g.zip", [("new", b"2")]), make_zip(tmp_path / "b.zip", [("../x", b"3")])
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "old").write_bytes(b"1")
    with pytest.raises(InputError):
        unpack(bad, tmp_path / "out")
    assert content(tmp_path / "out") == {"old": b"1"}
    assert content(unpack(good, tmp_path / "out")) == {"new": b"2"}


@pytest.mark.parametrize(
    "name", ["../evil", "a/../../evil", "/evil", "C:/evil", "..\\evil", "a\\b", "..", "x" * 300, "d/" + "ä" * 130]
)
@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_paths_that_lead_out_or_are_no_plain_paths(tmp_path, name, kind):
    make = make_zip if kind == "zip" else make_tar
    refused(make(tmp_path / "x", [("fine", b"1"), (name, b"evil")]), tmp_path, "in an archive")


def test_a_null_byte_in_a_zip_name(tmp_path):
    path = make_zip(tmp_path / "x.zip", [("fine.txt_evil", b"1")], zipfile.ZIP_STORED)
    path.write_bytes(path.read_bytes().replace(b"fine.txt_evil", b"fine.txt\0evil"))
    refused(path, tmp_path, "null byte|broken")


@pytest.mark.parametrize(
    "info",
    [
        special("link", tarfile.SYMTYPE, "/etc/passwd"),
        special("link", tarfile.SYMTYPE, "fine"),
        special("link", tarfile.LNKTYPE, "fine"),
        special("device", tarfile.CHRTYPE),
        special("device", tarfile.BLKTYPE),
        special("pipe", tarfile.FIFOTYPE),
    ],
)
def test_links_and_devices_in_tar(tmp_path, info):
    refused(make_tar(tmp_path / "x.tar", [("fine", b"1"), (info, b"")]), tmp_path, "a link or a device")


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFCHR, stat.S_IFIFO])
def test_links_and_devices_in_zip(tmp_path, kind):
    info = zipfile.ZipInfo("link")
    info.external_attr = (kind | 0o777) << 16
    refused(make_zip(tmp_path / "x.zip", [("fine", b"1"), (info, b"/etc/passwd")]), tmp_path, "a link or a device")


def test_a_link_cannot_be_written_through(tmp_path):
    """The classic: a link to a folder outside, then a file below it."""
    members = [(special("dir", tarfile.SYMTYPE, str(tmp_path)), b""), ("dir/evil", b"evil")]
    refused(make_tar(tmp_path / "x.tar", members), tmp_path, "a link or a device")


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("second", ["a.txt", "./a.txt", "a.txt/b", "x//a.txt"])
@pytest.mark.parametrize("make", [make_zip, make_tar])
def test_duplicate_names(tmp_path, second, make):
    first = "x/a.txt" if second == "x//a.txt" else "a.txt"
    refused(make(tmp_path / "x", [(first, b"1"), (second, b"2")]), tmp_path, "of this name|that is a file")


def test_a_folder_may_stand_twice_but_not_take_a_files_name(tmp_path):
    folder = special("d", tarfile.DIRTYPE)
    again = special("d/", tarfile.DIRTYPE)
    assert content(unpack(make_tar(tmp_path / "1", [(folder, b""), (again, b""), ("d/x", b"1")]), tmp_path / "o"))
    refused(make_tar(tmp_path / "2", [("d", b"1"), (special("d", tarfile.DIRTYPE), b"")]), tmp_path, "of this name")
    refused(make_tar(tmp_path / "3", [("d/x", b"1"), ("d", b"1")]), tmp_path, "of this name")


def test_a_bomb_by_ratio(tmp_path):
    path = make_zip(tmp_path / "x.zip", [("zeros", bytes(80 * 2**20))])
    assert path.stat().st_size < 100_000
    refused(path, tmp_path, "more than 200 times")


def test_a_bomb_by_size_whatever_its_header_says(tmp_path):
    path = make_zip(tmp_path / "x.zip", [("zeros", bytes(10**6))])
    refused(path, tmp_path, "more than 1000 bytes", limits=Limits(bytes=1000))
    blob = path.read_bytes().replace((10**6).to_bytes(4, "little"), (10).to_bytes(4, "little"))
    path.write_bytes(blob)
    refused(path, tmp_path, "more than|broken", limits=Limits(bytes=1000))
    gz = tmp_path / "x.gz"
    gz.write_bytes(gzip.compress(b"x" * 10**6))
    refused(gz, tmp_path, "more than", limits=Limits(bytes=1000))


def test_a_bomb_by_number(tmp_path):
    path = make_tar(tmp_path / "x.tar", [(f"f{index}", b"") for index in range(20)])
    refused(path, tmp_path, "more than 10 members", limits=Limits(members=10))
    assert len(content(unpack(path, tmp_path / "fine", limits=Limits(members=20)))) == 20


@pytest.mark.parametrize("name", ["x.zip", "x.tar.gz", "x.tar.bz2", "x.tar.xz", "x.gz"])
def test_truncated_and_garbled(tmp_path, name):
    data = os.urandom(50_000)
    path = tmp_path / name
    if name == "x.zip":
        make_zip(path, [("a", data)])
    elif name.startswith("x.tar"):
        make_tar(path, [("a", data)], f"w:{path.suffix[1:]}")
    else:
        path.write_bytes(gzip.compress(data))
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    refused(path, tmp_path, "broken|neither")
    path.write_bytes(whole[:30_000] + b"garbage" + whole[30_007:])
    refused(path, tmp_path, "broken|neither")  # bzip2: one block, so not even a tar archive is seen


def test_not_an_archive(tmp_path):
    (tmp_path / "x.zip").write_text("<html>404</html>")
    refused(tmp_path / "x.zip", tmp_path, "neither a zip")
    (tmp_path / "empty.tar.gz").write_bytes(b"")
    refused(tmp_path / "empty.tar.gz", tmp_path, "neither a zip")
    (tmp_path / "zeros.tar").write_bytes(bytes(20480))
    refused(tmp_path / "zeros.tar", tmp_path, "holds nothing")
    with pytest.raises(InputError, match="no such archive"):
        unpack(tmp_path / "absent", tmp_path / "out2")


def test_an_encrypted_member(tmp_path):
    path = make_zip(tmp_path / "x.zip", [("secret", b"1234")], zipfile.ZIP_STORED)
    blob = bytearray(path.read_bytes())
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        blob[blob.index(signature) + offset] |= 1
    path.write_bytes(blob)
    refused(path, tmp_path, "encrypted")


def test_permissions_are_not_taken_over(tmp_path):
    info = tarfile.TarInfo("program")
    info.mode = 0o6777
    folder = unpack(make_tar(tmp_path / "x.tar", [(info, b"#!/bin/sh")]), tmp_path / "out")
    assert (folder / "program").stat().st_mode & 0o6111 == 0


def test_kill_9_leaves_the_old_folder(tmp_path):
    path = make_zip(tmp_path / "x.zip", [(f"{index}", os.urandom(2**18)) for index in range(200)], zipfile.ZIP_STORED)
    target = tmp_path / "out" / "folder"
    script = f"from vldistill.download.unpack import unpack; unpack({str(path)!r}, {str(target)!r})"
    fresh = tmp_path / "out" / ".folder.unpack"
    child = subprocess.Popen([sys.executable, "-c", script])
    deadline = time.monotonic() + 30
    while len(list(fresh.glob("*")) if fresh.exists() else []) < 3:
        assert child.poll() is None, "too fast to be killed: make the archive larger"
        assert time.monotonic() < deadline
        time.sleep(0.0005)
    os.kill(child.pid, signal.SIGKILL)
    child.wait()
    assert not target.exists()
    assert fresh.exists()
    assert len(content(unpack(path, target))) == 200
    assert not fresh.exists()


def test_nothing_is_larger_than_the_default_limits():
    """The registry's largest set, read from its sizes, fits."""
    assert module.Limits().bytes > 4 * 19_336_861_798
