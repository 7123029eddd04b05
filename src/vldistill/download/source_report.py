"""Ask every address of the registry whether its file is still there, without fetching it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import httpx

from vldistill import layout
from vldistill.download.fetch import HEADERS
from vldistill.download.registry import REGISTRY, Source, read_registry, supplied_folder

State = Literal["ok", "changed", "gone", "unreachable", "supplied", "yours to get"]
# Servers that do not answer HEAD often answer a GET of one byte.
NO_HEAD = frozenset({403, 405, 501})


@dataclass(frozen=True)
class SourceState:
    """One address and what it says; for gated files, whether the user has supplied them.

    Attributes:
        key: ``SET/FILE``.
        url: the address; empty where the registry has none.
        state: ``ok``; ``changed`` = another size than the registry's; ``gone`` = the server has no such file;
            ``unreachable`` = no answer; ``supplied`` or ``yours to get`` for gated files.
        detail: size, HTTP status, or the reason.
    """

    key: str
    url: str
    state: State
    detail: str


def report(root: str | Path = ".", names: Iterable[str] | None = None, timeout: float = 15.0) -> list[SourceState]:
    """The state of every source of the registry (or of the sets ``names``), in its order; asks eight at a time."""
    wanted = None if names is None else set(names)
    sources = [s for s in read_registry(Path(root) / REGISTRY) if wanted is None or s.set in wanted]
    with (
        httpx.Client(headers=HEADERS, follow_redirects=True, timeout=timeout) as client,
        ThreadPoolExecutor(8) as pool,
    ):
        jobs = [
            pool.submit(_supplied, source, root) if source.gated else pool.submit(_ask, client, source, url)
            for source in sources
            for url in (source.urls if not source.gated else ("",))
        ]
        return [job.result() for job in jobs]


def offline(states: list[SourceState]) -> bool:
    """Whether no address at all could be reached: then the fault is this machine's."""
    asked = [state for state in states if state.url]
    return bool(asked) and all(state.state == "unreachable" for state in asked)


def render(states: list[SourceState]) -> str:
    """The report as text, one line a source, and one line that sums it up."""
    width = max((len(state.key) for state in states), default=0)
    lines = [f"{s.key:{width}}  {s.state:12}  {s.detail}{f'  {s.url}' if s.url else ''}" for s in states]
    counts = ", ".join(f"{count} {name}" for name, count in Counter(s.state for s in states).items())
    if offline(states):
        lines.append("offline: no address could be reached, so this machine has no network or a proxy is missing")
    return "\n".join([*lines, counts])


def _supplied(source: Source, root: str | Path) -> SourceState:
    own = layout.data_root(root) / source.set
    folders = [own, *filter(None, [supplied_folder(source.set)])]
    there = [folder / name for folder in folders for name in (source.file, source.names[0])]
    found = next((path for path in there if path.exists()), None)
    if found:
        return SourceState(source.key, "", "supplied", str(found))
    return SourceState(source.key, "", "yours to get", f"terms: {source.terms}")


def _ask(client: httpx.Client, source: Source, url: str) -> SourceState:
    try:
        answer = client.head(url)
        size = answer.headers.get("Content-Length", "")
        if answer.status_code in NO_HEAD:
            with client.stream("GET", url, headers={"Range": "bytes=0-0"}) as answer:
                size = answer.headers.get("Content-Range", "").rpartition("/")[2]
    except httpx.HTTPError as error:
        return SourceState(source.key, url, "unreachable", str(error) or type(error).__name__)
    if answer.status_code not in (200, 206):
        state: State = "gone" if answer.status_code in (401, 403, 404, 410) else "unreachable"
        return SourceState(source.key, url, state, f"HTTP {answer.status_code}")
    if not size.isdigit():
        return SourceState(source.key, url, "ok", "size not told")
    if source.bytes is not None and int(size) != source.bytes:
        return SourceState(source.key, url, "changed", f"{size} bytes instead of {source.bytes}")
    return SourceState(source.key, url, "ok", f"{size} bytes")
