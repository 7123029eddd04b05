"""The registry of data sets and weights, ``data/registry.csv``: what each file is, whence, and under which terms."""

from __future__ import annotations

import csv
import io
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from filelock import FileLock

from vldistill import layout
from vldistill.download.fetch import Expected, fetch
from vldistill.download.pins import Pins
from vldistill.download.unpack import unpack
from vldistill.errors import InputError, VldistillError
from vldistill.files import read_json, write_json

REGISTRY = Path("data") / "registry.csv"
CARDS = Path("data") / "licences"
COLUMNS = ("set", "file", "kind", "urls", "bytes", "sha256", "md5", "licence", "gated", "terms", "members")
UNPACKED = ".unpacked"
# Sets that a user may supply or leave out: nothing published fits them as it is.
TEXTS = ("corpus", "reading", "summary")


@dataclass(frozen=True)
class Source:
    """One file of a data set.

    Attributes:
        set: the data set or model, as in ``coco``.
        file: name of the file as it is fetched or supplied.
        kind: ``file`` is used as it is; of an ``archive`` the members are; a ``folder`` is made by the user with other
            tools (images behind a list of addresses).
        urls: the address and its mirrors, all of the same bytes.
        bytes: size, where known.
        sha256: hex digest, where known.
        md5: hex digest, where known.
        licence: name of the card in data/licences/.
        gated: only the user can get or make it; never fetched.
        terms: address of the terms that hold for it.
        members: what an archive must hold: path inside -> name in the set's folder.
    """

    set: str
    file: str
    kind: Literal["file", "archive", "folder"]
    urls: tuple[str, ...]
    bytes: int | None
    sha256: str | None
    md5: str | None
    licence: str
    gated: bool
    terms: str
    members: dict[str, str]

    @property
    def key(self) -> str:
        """``SET/FILE``, its name in messages and among the pins."""
        return f"{self.set}/{self.file}"

    @property
    def names(self) -> tuple[str, ...]:
        """What the set's folder holds of it once it is usable."""
        return tuple(self.members.values()) if self.kind == "archive" else (self.file,)

    @property
    def expected(self) -> Expected:
        """What the file must be."""
        return Expected(self.sha256, self.md5, self.bytes)


class GatedError(VldistillError):
    """A file that only the user can get is not there; the message says how to get it and where to put it."""


def read_registry(path: str | Path) -> list[Source]:
    """Read and check a registry.

    Raises:
        InputError: names the line and the column.
    """
    path = Path(path)
    try:
        text = path.read_bytes().decode("utf-8")
    except FileNotFoundError:
        raise InputError("no registry here", file=path, action="Run in the project's root") from None
    except UnicodeDecodeError as error:
        raise InputError(f"not UTF-8 at offset {error.start}", file=path) from None
    reader = csv.DictReader(io.StringIO(text), strict=True)
    if tuple(reader.fieldnames or ()) != COLUMNS:
        raise InputError(f"the header must be {','.join(COLUMNS)}", file=path, record="line 1")
    sources: dict[str, Source] = {}
    for row in reader:
        source = _parse(row, path, f"line {reader.line_num}")
        if source.key in sources:
            raise InputError("the file stands twice", file=path, record=f"line {reader.line_num}", field="file")
        sources[source.key] = source
    return list(sources.values())


# A path inside the archive, and the name it gets if that is another.
MEMBER = r"[\w.-]+(?:/[\w.-]+)*(?:=[\w.-]+)?"
# Column -> pattern that a non-empty value must match, and whether it may be empty.
PATTERNS: dict[str, tuple[str, bool]] = {
    "set": (r"[a-z][a-z0-9_]*", False),
    "file": (r"[\w.-]+", False),
    "kind": (r"file|archive|folder", False),
    "urls": (r"https?://\S+( https?://\S+)*", True),
    "bytes": (r"[1-9]\d*", True),
    "sha256": (r"[0-9a-f]{64}", True),
    "md5": (r"[0-9a-f]{32}", True),
    "licence": (r"[a-z0-9-]+", False),
    "gated": (r"yes|no", False),
    "terms": (r"https?://\S+", False),
    "members": (rf"{MEMBER}(;{MEMBER})*", True),
}


def _parse(row: dict[str, str], path: Path, record: str) -> Source:
    for column, (pattern, empty) in PATTERNS.items():
        value = row[column]
        if value is None or None in row:
            raise InputError(f"{len(COLUMNS)} columns are expected", file=path, record=record)
        if not (re.fullmatch(pattern, value) or (empty and not value)):
            raise InputError(f"{value!r} does not match {pattern}", file=path, record=record, field=column)
    gated, kind = row["gated"] == "yes", row["kind"]
    if not row["urls"] and not gated:
        raise InputError("an address is needed unless the file is gated", file=path, record=record, field="urls")
    if kind == "folder" and not gated:
        raise InputError("a folder cannot be fetched: it must be gated", file=path, record=record, field="kind")
    if (kind == "archive") != bool(row["members"]):
        raise InputError("an archive, and nothing else, names its members", file=path, record=record, field="members")
    return Source(
        set=row["set"],
        file=row["file"],
        kind=kind,  # type: ignore[arg-type]
        urls=tuple(row["urls"].split()),
        bytes=int(row["bytes"]) if row["bytes"] else None,
        sha256=row["sha256"] or None,
        md5=row["md5"] or None,
        licence=row["licence"],
        gated=gated,
        terms=row["terms"],
        members=dict(_member(entry) for entry in row["members"].split(";") if entry),
    )


def _member(entry: str) -> tuple[str, str]:
    path, _, name = entry.partition("=")
    return path, name or path


def sources_of(name: str, root: str | Path = ".") -> list[Source]:
    """The files of one set of the project's registry."""
    every = read_registry(Path(root) / REGISTRY)
    found = [source for source in every if source.set == name]
    if not found:
        names = ", ".join(dict.fromkeys(source.set for source in every))
        raise InputError(f"no set {name}", file=Path(root) / REGISTRY, action=f"Sets: {names}")
    return found


def materialise(name: str, root: str | Path = ".") -> Path:
    """Make every file of a set usable below ``layout.data_root(root)/NAME`` and return that folder.

    What is there already is kept; what a user supplies (in that folder, or in the one that ``$VLDISTILL_DATA_NAME``
    names, packed or unpacked) is used before anything is fetched. Archives are unpacked below ``.unpacked`` and their
    members linked into the folder, so that it looks as the official description of the set says, whoever packed it.
    Files without a known checksum are pinned to what came first (``pins.json``).

    Raises:
        GatedError: a file that only the user can get is not there.
        FetchError: no source gives a file.
        InputError: a file or archive is not what it should be.
    """
    sources = sources_of(name, root)
    folder = layout.data_root(root) / name
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / ".lock"):
        for source in sources:
            _make_usable(source, folder, Pins(layout.data_root(root) / "pins.json"))
    return folder


def supplied(name: str, root: str | Path = ".") -> bool:
    """Whether any file of a set is, packed or not, in its folder or in the one that ``$VLDISTILL_DATA_NAME`` names.

    Of a set that the registry does not know there is none: a registry of one's own may leave sets out.
    """
    folders = [folder for folder in (layout.data_root(root) / name, supplied_folder(name)) if folder]
    rows = [row for row in read_registry(Path(root) / REGISTRY) if row.set == name]
    names = {each for row in rows for each in (row.file, *row.names)}
    return any((folder / each).exists() for folder in folders for each in names)


def supplied_folder(name: str) -> Path | None:
    """The folder that ``$VLDISTILL_DATA_NAME`` names for a set, or None.

    Raises:
        InputError: it is not there.
    """
    variable = f"VLDISTILL_DATA_{name.upper()}"
    given = os.environ.get(variable)
    if given and not Path(given).is_dir():
        raise InputError("no such folder", file=given, field=variable, action="Correct the variable or unset it")
    return Path(given).resolve() if given else None


def _make_usable(source: Source, folder: Path, pins: Pins) -> None:
    if source.kind != "file" and _usable(source, folder):
        return
    supplied = supplied_folder(source.set)
    if supplied and source.kind != "file" and all((supplied / name).exists() for name in source.names):
        for name in source.names:  # unpacked by the user: used where it is
            _link(folder / name, supplied / name)
        return
    if source.kind == "folder":
        raise _gated(source, folder)
    path = _obtain(source, folder, supplied, pins)
    if source.kind == "file":
        if path.parent != folder:
            _link(folder / source.file, path)
        return
    unpacked = unpack(path, folder / UNPACKED / source.file)
    _refuse_missing(source, unpacked, path)
    for inside, name in source.members.items():
        _link(folder / name, unpacked / inside)
    write_json(_note(source, folder), _identity(source))


def _usable(source: Source, folder: Path) -> bool:
    """Whether an archive is unpacked or a folder supplied; nothing is hashed again."""
    if not all((folder / name).exists() for name in source.names):
        return False
    # Without a note the user has put it there; with another one the registry has changed since it was unpacked.
    note = _note(source, folder)
    return not note.is_file() or read_json(note) == _identity(source)


def _note(source: Source, folder: Path) -> Path:
    return folder / UNPACKED / f"{source.file}.json"


def _link(name: Path, target: Path) -> None:
    """Let ``name`` lead to ``target``; a file or folder of the user's under that name is not touched."""
    if name.exists() and not name.is_symlink():
        return
    name.parent.mkdir(parents=True, exist_ok=True)
    fresh = name.with_name(f".{name.name}.link")
    fresh.unlink(missing_ok=True)
    fresh.symlink_to(target if not target.is_relative_to(name.parent) else target.relative_to(name.parent))
    os.replace(fresh, name)


def _identity(source: Source) -> dict[str, Any]:
    return {
        "file": source.file,
        "bytes": source.bytes,
        "sha256": source.sha256,
        "md5": source.md5,
        "members": source.members,
    }


def _obtain(source: Source, folder: Path, supplied: Path | None, pins: Pins) -> Path:
    """The file itself: supplied, there already, or fetched; checked against the registry and the pins."""
    places = [supplied / source.file] if supplied else []
    path = next((place for place in (*places, folder / source.file) if place.is_file()), None)
    if path is None:
        if source.gated:
            raise _gated(source, folder)
        path = folder / source.file
        fetch(source.urls, path, sha256=source.sha256, md5=source.md5, bytes=source.bytes)
    elif not pins.knows(source, path) and (fault := source.expected.fault(path)):
        raise InputError(
            fault, file=path, action=f"Remove or replace it; {source.key} in {REGISTRY} says what it must be"
        )
    pins.check(source, path)
    return path


def _refuse_missing(source: Source, unpacked: Path, archive: Path) -> None:
    absent = [path for path in source.members if not (unpacked / path).exists()]
    if absent:
        raise InputError(
            f"the archive lacks {', '.join(absent)}", file=archive, action=f"Correct {source.key} in {REGISTRY}"
        )


def _gated(source: Source, folder: Path) -> GatedError:
    variable = f"VLDISTILL_DATA_{source.set.upper()}"
    packed = f"{source.file} or " if source.kind == "archive" else ""
    return GatedError(
        f"{source.key} is for you to supply: its terms are at {source.terms} (see {CARDS / source.licence}.md), and "
        f"docs/data.md says how to get it. Put it into {folder}, or set {variable} to a folder that holds "
        f"{packed}{', '.join(source.names)}"
    )
