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

from filelock import FileLock

from vldistill.errors import VldistillError
from vldistill.evaluate.metrics.java import java_version, run_java, wheel
from vldistill.files import atomic_write, read_json, sha256_file, sha256_json, write_json

CODE = "stanford-corenlp-3.6.0.jar"
MODELS = "stanford-corenlp-3.6.0-models*.jar"
ENGINE = ("rhino-engine-*.jar", "rhino-[0-9]*.jar")
PACKAGES = ("java.lang", "java.util", "java.math", "java.net", "java.text", "java.util.concurrent")
# Measured: the serial collector saves a fifth of the work, and the quick compiler alone pays up to about a thousand
# captions, where most of the time would go into optimising.
LEAN = ("-XX:+UseSerialGC",)
LEANEST = (*LEAN, "-XX:TieredStopAtLevel=1")
FEW = 1000
COPIES = 8
CHUNK = 20_000
CACHE = "cache"
DATA = "data.mdb"
Pair = tuple[str, Sequence[str]]


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
    return Path(folder or user_cache() / "spice") / sha256_json(captions) / DATA


def spice_scores(
    sets: Sequence[Sequence[str]], references: Sequence[Sequence[str]], jars: Jars, cache: Path | None
) -> list[list[float]]:
    """SPICE F-scores of tokenised captions, as fractions; a set's SPICE is their mean.

    SPICE merges synonyms of a scene graph greedily and, where two mergers are equally good, takes the one that object
    hashes of its JVM bring first: the score of such an image changes with anything that happened in the process (one
    of fakecap's 1,000: 0.148 or 0.154). Here every image is scored `COPIES` times in a run and its lowest score
    counts, so that neither neighbours nor JVM options change the numbers.

    Args:
        sets: hypothesis sets of N captions each.
        references: N lists of one or more captions.
        jars: from `find_jars`.
        cache: file of parses from earlier runs, made or extended here; None keeps nothing.

    Returns:
        N scores for each set.

    Raises:
        JavaError: SPICE failed.
    """
    pairs = [pair for hypotheses in sets for pair in zip(hypotheses, references, strict=True)]
    with tempfile.TemporaryDirectory(prefix="vldistill-spice-") as name:
        folder = Path(name)
        if platform.machine().lower() in ("x86_64", "amd64"):
            known = _check_out(cache, folder)
            new = [caption for caption in _captions(pairs) if caption not in known]
            if new:
                _parse(folder, jars, new)
            scores = [score for part in _parts(pairs, CHUNK // COPIES) for score in _lowest(folder, jars, part)]
            if new and cache is not None:
                _check_in(folder, cache, known.union(new))
        else:
            # the cache is LMDB, built for x86-64 only: without it all is parsed every time, copies too
            scores = _run(folder, jars, pairs, LEAN, cached=False)
    size = len(references)
    return [scores[start : start + size] for start in range(0, len(scores), size)]


def _captions(pairs: Sequence[Pair]) -> list[str]:
    return list(dict.fromkeys(caption for text, targets in pairs for caption in (text, *targets)))


def _parts(pairs: Sequence[Pair], size: int) -> list[Sequence[Pair]]:
    # SPICE keeps every scene graph of a run in memory
    return [pairs[start : start + size] for start in range(0, len(pairs), size)]


def _lowest(folder: Path, jars: Jars, pairs: Sequence[Pair]) -> list[float]:
    scores = _run(folder, jars, [*pairs] * COPIES, LEANEST)
    return [min(scores[index :: len(pairs)]) for index in range(len(pairs))]


def _parse(folder: Path, jars: Jars, captions: list[str]) -> None:
    """Parse captions into the cache, each once: SPICE itself parses every repetition within a run."""
    two = [captions[index : index + 2] for index in range(0, len(captions), 2)]
    pairs = [(few[0], few[1:] or few) for few in two]
    flags = LEAN if len(captions) > FEW else LEANEST
    try:
        _run(folder, jars, pairs, flags)
    except VldistillError:
        if not (folder / CACHE / DATA).is_file():
            raise
        # a cache that an older run left damaged must not fail every later one: once more from nothing
        shutil.rmtree(folder / CACHE)
        (folder / CACHE).mkdir()
        _run(folder, jars, pairs, flags)


def _run(folder: Path, jars: Jars, pairs: Sequence[Pair], flags: Sequence[str], cached: bool = True) -> list[float]:
    """One run of SPICE over (hypothesis, references) pairs."""
    items = [{"image_id": str(index), "test": text, "refs": list(refs)} for index, (text, refs) in enumerate(pairs)]
    (folder / "in.json").write_text(json.dumps(items), encoding="utf-8")
    packages = PACKAGES if java_version() >= 16 else ()
    opens = [word for package in packages for word in ("--add-opens", f"java.base/{package}=ALL-UNNAMED")]
    home = wheel() / "spice"
    path = os.pathsep.join([str(home / "spice-1.0.jar"), str(home / "lib" / "*"), *map(str, jars.paths)])
    arguments = [*opens, *flags, "-Xmx2G", "-cp", path, "edu.anu.spice.SpiceScorer", "in.json"]
    arguments += ["-cache", CACHE] if cached else []
    run_java([*arguments, "-out", "out.json", "-silent"], what="SPICE", cwd=folder)
    scores = {item["image_id"]: item["scores"]["All"]["f"] for item in read_json(folder / "out.json")}
    return [float(scores[item["image_id"]]) for item in items]


def _check_out(cache: Path | None, folder: Path) -> set[str]:
    """Copy the kept parses to node-local disk (LMDB does not work on network file systems); what they are of."""
    (folder / CACHE).mkdir()
    if cache is None or not cache.is_file():
        return set()
    with FileLock(cache.with_suffix(".lock")):
        shutil.copyfile(cache, folder / CACHE / DATA)
        listing = cache.with_suffix(".json")
        listed = read_json(listing) if listing.is_file() else {}
    # a list that belongs to another state of the file is no use; then everything is looked up again
    return set(listed["captions"]) if listed.get("sha256") == sha256_file(folder / CACHE / DATA) else set()


def _check_in(folder: Path, cache: Path, captions: set[str]) -> None:
    """Put the parses back, whole or not at all; of two writers the one that knows more wins."""
    cache.parent.mkdir(parents=True, exist_ok=True)
    grown = folder / CACHE / DATA
    listing = cache.with_suffix(".json")
    with FileLock(cache.with_suffix(".lock")):
        if listing.is_file() and len(read_json(listing)["captions"]) > len(captions):
            return
        with atomic_write(cache, "wb") as out, grown.open("rb") as source:
            shutil.copyfileobj(source, out)
        write_json(listing, {"sha256": sha256_file(grown), "captions": sorted(captions)})
