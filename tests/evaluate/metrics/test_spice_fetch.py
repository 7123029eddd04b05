"""SPICE's jars come from a zip, a folder or a Maven repository, whole and checked."""

from __future__ import annotations

import hashlib
import io
import threading
import zipfile
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from click.testing import CliRunner

from vldistill.cli.score import command
from vldistill.errors import InputError, VldistillError
from vldistill.evaluate.metrics import spice_fetch
from vldistill.evaluate.metrics.spice import find_jars
from vldistill.evaluate.metrics.spice_fetch import PUBLISHED, fetch_spice


def jar(text: str) -> bytes:
    """A small zip archive."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("content", text)
    return stream.getvalue()


JARS = {published.name: jar(published.name) for published in PUBLISHED}


class Quiet(SimpleHTTPRequestHandler):
    """Serves a folder without a log."""

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def maven(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A Maven repository on the loopback interface with small jars, and the table of their checksums."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    small = []
    for published in PUBLISHED:
        body = JARS[published.name]
        path = tmp_path / "maven" / published.path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(body)
        digest = hashlib.sha256(body).hexdigest()
        small.append(spice_fetch.Published(published.pattern, published.path, len(body), digest))
    monkeypatch.setattr(spice_fetch, "PUBLISHED", tuple(small))
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(tmp_path / "maven")))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    server.server_close()


def test_download(java: None, maven: str, tmp_path: Path) -> None:
    folder = tmp_path / "jars"
    assert sorted(path.name for path in fetch_spice(folder=folder, maven=maven)) == sorted(JARS)
    assert {path.name: path.read_bytes() for path in folder.glob("*.jar")} == JARS
    # nothing is fetched twice: the server is not needed any more
    assert len(fetch_spice(folder=folder, maven="http://127.0.0.1:9/")) == 4


def test_a_wrong_file_on_the_server_is_refused(java: None, maven: str, tmp_path: Path) -> None:
    (tmp_path / "maven" / PUBLISHED[0].path).write_bytes(b"x" * len(JARS[PUBLISHED[0].name]))
    with pytest.raises(VldistillError, match="sha256"):
        fetch_spice(folder=tmp_path / "jars", maven=maven)
    assert list((tmp_path / "jars").glob("*.jar")) == []


def test_a_zip_with_the_rest_from_the_server(java: None, maven: str, tmp_path: Path) -> None:
    source = tmp_path / "corenlp.zip"
    models = jar("a user's own models")
    with zipfile.ZipFile(source, "w") as archive:
        archive.writestr("../../stanford-corenlp-full/stanford-corenlp-3.6.0.jar", JARS["stanford-corenlp-3.6.0.jar"])
        archive.writestr("stanford-corenlp-full/stanford-corenlp-3.6.0-models.jar", models)
        archive.writestr("stanford-corenlp-full/joda-time.jar", b"unwanted")
    folder = tmp_path / "jars"
    fetch_spice(source, folder, maven=maven)
    assert sorted(path.name for path in folder.iterdir() if path.suffix == ".jar") == sorted(JARS)
    assert (folder / "stanford-corenlp-3.6.0-models.jar").read_bytes() == models


def test_a_folder_through_the_command_line(java: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("VLDISTILL_CORENLP", raising=False)
    (tmp_path / "mine").mkdir()
    for name, body in JARS.items():
        (tmp_path / "mine" / name).write_bytes(body)
    done = CliRunner().invoke(command, ["fetch-spice", "--from", str(tmp_path / "mine")], catch_exceptions=False)
    assert done.exit_code == 0
    assert len(find_jars().paths) == 4
    assert {path.parent for path in find_jars().paths} == {tmp_path / "cache" / "vldistill" / "corenlp"}


def test_sources_that_are_no_source(tmp_path: Path) -> None:
    (tmp_path / "text.zip").write_text("no zip")
    with pytest.raises(InputError, match="neither a folder nor a zip"):
        fetch_spice(tmp_path / "text.zip", tmp_path / "jars")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "stanford-corenlp-3.6.0.jar").write_bytes(JARS["stanford-corenlp-3.6.0.jar"][:-30])
    with pytest.raises(InputError, match=r"stanford-corenlp-3\.6\.0\.jar: is not a jar"):
        fetch_spice(tmp_path / "mine", tmp_path / "jars")
    assert list((tmp_path / "jars").iterdir()) == []
