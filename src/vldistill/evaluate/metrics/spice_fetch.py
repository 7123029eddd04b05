"""Getting SPICE's jars: from a zip or folder the user has, else from Maven Central, checksummed and resumable."""

from __future__ import annotations

import os
import shutil
import tempfile
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from vldistill.errors import InputError
from vldistill.evaluate.metrics.spice import CODE, ENGINE, MODELS, find_jars, user_cache

MAVEN = "https://repo1.maven.org/maven2/"
ZIP = "https://nlp.stanford.edu/software/stanford-corenlp-full-2015-12-09.zip"


@dataclass(frozen=True)
class Published:
    """A jar as Maven Central publishes it; ``pattern`` is what `spice.find_jars` looks for."""

    pattern: str
    path: str
    bytes: int
    sha256: str

    @property
    def name(self) -> str:
        """Its file name."""
        return self.path.rsplit("/", 1)[1]


PUBLISHED = (
    Published(
        CODE,
        "edu/stanford/nlp/stanford-corenlp/3.6.0/stanford-corenlp-3.6.0.jar",
        7_270_741,
        "d341d5863276f55782c5ef73212222d6b3b48e02ae1951ab6de7618d28b12742",
    ),
    Published(
        MODELS,
        "edu/stanford/nlp/stanford-corenlp/3.6.0/stanford-corenlp-3.6.0-models.jar",
        378_116_526,
        "d285157bd7887ee3018094b5dbae092e49088b023361ccdb550ee1daf9b2c9bd",
    ),
    Published(
        ENGINE[0],
        "org/mozilla/rhino-engine/1.7.14/rhino-engine-1.7.14.jar",
        19_597,
        "961ed9bb342419d6cbf9a2064508c359e9a25cd636182030584b1b742c3f9928",
    ),
    Published(
        ENGINE[1],
        "org/mozilla/rhino/1.7.14/rhino-1.7.14.jar",
        1_383_644,
        "c9290b0d801bf0dbbbc44338e0f769b7650a0c5d04e6bb1aeb85775c0211b003",
    ),
)


def fetch_spice(source: Path | None = None, folder: Path | None = None, *, maven: str = MAVEN) -> list[Path]:
    """Put the jars SPICE needs into one folder; what is there already stays.

    Args:
        source: the zip of CoreNLP 3.6.0 (2015-12-09) or a folder of jars; what it lacks is downloaded.
        folder: where to; by default the cache folder `find_jars` looks into.
        maven: base URL of the Maven repository.

    Returns:
        The jars.

    Raises:
        InputError: the source is neither, or holds a jar that is no zip archive.
        VldistillError: a download failed.
    """
    from vldistill.download.fetch import fetch

    folder = folder or user_cache() / "corenlp"
    folder.mkdir(parents=True, exist_ok=True)
    if source is not None:
        _take(source, folder)
    for jar in PUBLISHED:
        if not list(folder.glob(jar.pattern)):
            fetch(maven + jar.path, folder / jar.name, sha256=jar.sha256, bytes=jar.bytes)
    return list(find_jars(folder).paths)


def _take(source: Path, folder: Path) -> None:
    """Copy the wanted jars out of a zip or folder; a jar gets its name when it is whole."""
    for name, stream in _jars_of(source):
        wanted = [jar for jar in PUBLISHED if Path(name).match(jar.pattern)]
        if not wanted or list(folder.glob(wanted[0].pattern)):
            continue
        with tempfile.TemporaryDirectory(dir=folder) as place:
            copied = Path(place) / name
            with copied.open("wb") as out:
                shutil.copyfileobj(stream, out)
            if not zipfile.is_zipfile(copied):
                raise InputError("is not a jar", file=source, record=name, action=f"Fetch it again from {ZIP}")
            os.replace(copied, folder / name)


def _jars_of(source: Path) -> Iterator[tuple[str, IO[bytes]]]:
    # members are taken by their bare name, so a path inside the archive cannot lead out of the folder
    if source.is_dir():
        for path in sorted(source.rglob("*.jar")):
            with path.open("rb") as stream:
                yield path.name, stream
    elif zipfile.is_zipfile(source):
        with zipfile.ZipFile(source) as archive:
            for member in archive.namelist():
                if member.endswith(".jar"):
                    with archive.open(member) as stream:
                        yield Path(member).name, stream
    else:
        raise InputError("neither a folder nor a zip archive", file=source, action=f"Pass {ZIP} or a folder of jars")
