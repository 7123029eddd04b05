"""Images out of shards of img2dataset's webdataset format."""

import io
import json
import tarfile

import pytest

from vldistill.download.shards import collect
from vldistill.errors import InputError
from vldistill.records.cc3m import image_name


def shard(path, samples):
    path.parent.mkdir(exist_ok=True)
    with tarfile.open(path, "w") as archive:
        for name, data in samples:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))


def note(number):
    return json.dumps({"url": f"http://example.org/{number}.jpg", "status": "success"}).encode()


def test_images_are_named_after_their_address(tmp_path):
    shard(
        tmp_path / "s" / "00000.tar",
        [("0.jpg", b"zero"), ("0.json", note(0)), ("0.txt", b"caption"), ("1.json", note(1)), ("1.jpg", b"one")],
    )
    shard(tmp_path / "s" / "00001.tar", [("10000.jpg", b"two"), ("10000.json", note(2)), ("10001.json", note(3))])
    for _ in range(2):
        assert collect(tmp_path / "s", tmp_path / "images") == 3, "a sample whose image could not be had is left out"
    found = {path.name: path.read_bytes() for path in (tmp_path / "images").iterdir()}
    assert found == {
        image_name(f"http://example.org/{n}.jpg"): data for n, data in enumerate((b"zero", b"one", b"two"))
    }


def test_broken_shards_are_named(tmp_path):
    with pytest.raises(InputError, match=r"no \*\.tar"):
        collect(tmp_path, tmp_path / "images")
    shard(tmp_path / "s" / "00000.tar", [("0.jpg", b"zero"), ("0.json", b"{}")])
    with pytest.raises(InputError, match=r"00000\.tar.*0\.json.*url"):
        collect(tmp_path / "s", tmp_path / "images")
    (tmp_path / "s" / "00000.tar").write_bytes(b"not a tar archive" * 100)
    with pytest.raises(InputError, match="broken shard"):
        collect(tmp_path / "s", tmp_path / "images")
