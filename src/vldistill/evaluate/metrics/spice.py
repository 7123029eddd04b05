"""SPICE (Anderson et al. 2016) as the COCO evaluation computes it, on any Java, with the parses kept.

SPICE needs CoreNLP 3.6.0, which pycocoevalcap's wheel lacks, and from Java 15 on a JavaScript engine. Parsing is
nearly all of its cost, so one cache of parses per reference set is kept and reused by every later results file.
"""

from __future__ import annotations

import json
import os
import platform
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock

from vldistill.errors import VldistillError
from vldistill.evaluate.metrics.java import java_version, run_java, wheel
from vldistill.files import fsync_folder, read_json, sha256_json

CODE = "stanford-corenlp-3.6.0.jar"
MODELS = "stanford-corenlp-3.6.0-models*.jar"
ENGINE = ("rhino-engine-*.jar", "rhino-[0-9]*.jar")
PACKAGES = ("java.lang", "java.util", "java.math", "java.net", "java.text", "java.util.concurrent")
CACHE_FILE = "data.mdb"


@dataclass(frozen=True)
class Jars:
    """What SPICE's class path needs beyond pycocoevalcap's wheel."""

    paths: tuple[Path, ...]


def user_cache() -> Path:
    """This user's cache folder for vldistill ($XDG_CACHE_HOME or ~/.cache)."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "vldistill"


def jar_folders(folder: str | Path | None = None) -> list[Path]:
    """Where jars are looked for: the given folder alone, else $VLDISTILL_CORENLP, then the cache folder."""
    if folder is not None:
        return [Path(folder)]
    variable = os.environ.get("VLDISTILL_CORENLP")
    return [*([Path(variable)] if variable else []), user_cache() / "corenlp"]


def find_jars(folder: str | Path | None = None) -> Jars:
    """The jars SPICE needs, from the first folder that holds all of them.

    Raises:
        VldistillError: no folder is complete; names the missing files, the folders and how to get them.
        JavaError: Java is missing.
    """
    wanted = [CODE, MODELS, *(ENGINE if java_version() >= 15 else ())]
    missing = []
    for place in jar_folders(folder):
        found = {pattern: sorted(place.glob(pattern)) for pattern in wanted}
        if all(found.values()):
            return Jars(tuple(dict.fromkeys(path for paths in found.values() for path in paths)))
        missing.append(f"{place} lacks {', '.join(pattern for pattern, paths in found.items() if not paths)}")
    raise VldistillError(
        f"SPICE needs CoreNLP 3.6.0 and, from Java 15 on, the JavaScript engine Rhino: {'; '.join(missing)}. "
        "Fetch them with `vldistill score fetch-spice` (Maven Central, 387 MB) or set VLDISTILL_CORENLP to their folder"
    )


def cache_path(references: Sequence[Sequence[str]], folder: str | Path | None = None) -> Path:
    """Where the parses of a reference set are kept: its name is the hash of the set's distinct captions."""
    captions = sorted({caption for targets in references for caption in targets})
    return Path(folder or user_cache() / "spice") / sha256_json(captions) / CACHE_FILE


def spice_scores(
    hypotheses: Sequence[str], references: Sequence[Sequence[str]], jars: Jars, cache: Path | None
) -> list[float]:
    """SPICE F-scores of tokenised captions, as fractions; the set's SPICE is their mean.

    Args:
        hypotheses: N captions.
        references: N lists of one or more captions.
        jars: from `find_jars`.
        cache: file of parses from earlier runs, made or extended here; None keeps nothing.

    Raises:
        JavaError: SPICE failed.
    """
    with tempfile.TemporaryDirectory(prefix="vldistill-spice-") as name:
        folder = Path(name)
        items = [
            {"image_id": str(index), "test": hypothesis, "refs": list(targets)}
            for index, (hypothesis, targets) in enumerate(zip(hypotheses, references, strict=True))
        ]
        (folder / "in.json").write_text(json.dumps(items), encoding="utf-8")
        # the cache is LMDB, built for x86-64 only; elsewhere SPICE runs without and parses all of it every time
        keep = cache if platform.machine().lower() in ("x86_64", "amd64") else None
        before = _check_out(keep, folder / "cache") if keep else 0
        try:
            answers = _run(folder, jars, keep is not None)
        except VldistillError:
            if not before:
                raise
            # a cache that an older run left damaged must not fail every later one: once more without it
            shutil.rmtree(folder / "cache")
            (folder / "cache").mkdir()
            answers = _run(folder, jars, True)
        if keep is not None:
            _check_in(folder / "cache" / CACHE_FILE, keep)
    scores = {item["image_id"]: item["scores"]["All"]["f"] for item in answers}
    return [float(scores[item["image_id"]]) for item in items]


def _run(folder: Path, jars: Jars, cached: bool) -> list[dict[str, Any]]:
    opens = [
        word
        for package in PACKAGES
        for word in ("--add-opens", f"java.base/{package}=ALL-UNNAMED")
        if java_version() >= 16
    ]
    home = wheel() / "spice"
    path = os.pathsep.join([str(home / "spice-1.0.jar"), str(home / "lib" / "*"), *map(str, jars.paths)])
    arguments = [*opens, "-Xmx2G", "-cp", path, "edu.anu.spice.SpiceScorer", "in.json"]
    arguments += ["-cache", "cache"] if cached else []
    run_java([*arguments, "-out", "out.json", "-subset", "-silent"], what="SPICE", cwd=folder)
    answers: list[dict[str, Any]] = read_json(folder / "out.json")
    return answers


def _check_out(cache: Path, folder: Path) -> int:
    """Copy the kept parses to ``folder`` on node-local disk (LMDB does not work on network file systems)."""
    folder.mkdir()
    if not cache.is_file():
        return 0
    shutil.copyfile(cache, folder / CACHE_FILE)
    return cache.stat().st_size


def _check_in(grown: Path, cache: Path) -> None:
    """Put the parses back, whole or not at all; of two writers the one that knows more wins."""
    cache.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(cache.with_suffix(".lock")):
        if cache.is_file() and cache.stat().st_size >= grown.stat().st_size:
            return
        temporary = cache.with_name(f".{cache.name}.{os.getpid()}.tmp")
        try:
            shutil.copyfile(grown, temporary)
            os.replace(temporary, cache)
            fsync_folder(cache.parent)
        finally:
            temporary.unlink(missing_ok=True)
