"""Does a run reproduce the tracked reference? Each headline number against its seed interval.

The reference, ``data/reference/PRESET.json``, is ``{"numbers": [{"name", "value", "low", "high", "n", "unit"}],
"preset", "commit", "date", "machine"}``; a name is the dotted path of a number in ``results/report/metrics.json``, n
the number of seeds, and [low, high] the interval of their spread: within it, two runs cannot be told apart.
"""

from __future__ import annotations

import datetime
import math
import os
import platform
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from vldistill import layout
from vldistill.errors import InputError, VldistillError
from vldistill.files import read_json, read_jsonl, write_json
from vldistill.provenance import git_state

LEVEL = 0.95
# Seeds may agree exactly where another CPU's bits give one item more or less: the narrowest half-width of an interval.
NARROWEST = {"percent": 0.5, "nats": 0.01}
BARS = {"VLKD": "bars", "MAD": "mad.bars"}
"""Where metrics.json counts the bars of each method."""
FIELDS = ("name", "value", "low", "high", "n", "unit")


@dataclass(frozen=True)
class Reference:
    """One headline number of the reference run; ``low`` to ``high`` is its seed interval."""

    name: str
    value: float
    low: float
    high: float
    n: int
    unit: str


@dataclass(frozen=True)
class Outcome:
    """A headline number of this run beside the reference's; ``value`` is None where the run has none."""

    reference: Reference
    value: float | None

    @property
    def agrees(self) -> bool:
        """Inside the interval, its ends included."""
        return self.value is not None and self.reference.low <= self.value <= self.reference.high


def reference_path(root: str | Path, preset: str = "mini") -> Path:
    """The tracked reference of a preset."""
    return Path(root) / "data" / "reference" / f"{preset}.json"


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _parse(entry: Any, path: str | Path, record: str) -> Reference:
    def wrong(problem: str, field: str | None = None) -> InputError:
        return InputError(problem, file=path, record=record, field=field, action="Restore the file from git")

    if not isinstance(entry, dict):
        raise wrong("an object is expected")
    for field in FIELDS:
        if field not in entry:
            raise wrong("the field is missing", field)
        if field in ("value", "low", "high", "n") and not _is_number(entry[field]):
            raise wrong(f"a number is expected, not {entry[field]!r}", field)
    if not entry["low"] <= entry["value"] <= entry["high"]:
        raise wrong("the value lies outside its own interval", "value")
    return Reference(**{field: entry[field] for field in FIELDS})


def read_reference(path: str | Path) -> list[Reference]:
    """Read a reference file.

    Raises:
        InputError: it is missing or malformed; names the entry and the field.
    """
    if not Path(path).is_file():
        raise InputError(
            "there is no reference",
            file=path,
            action="Restore it from git, or make the present results the reference: vldistill reproduce --write",
        )
    content = read_json(path)
    entries = content.get("numbers") if isinstance(content, dict) else None
    if not isinstance(entries, list) or not entries:
        raise InputError("a non-empty list is expected", file=path, field="numbers", action="Restore it from git")
    return [_parse(entry, path, f"numbers[{index}]") for index, entry in enumerate(entries)]


def lookup(metrics: Any, name: str) -> float | None:
    """The number at a dotted path of nested mappings, or None. Keys that hold dots themselves are found, too."""
    if not isinstance(metrics, dict):
        return None
    if _is_number(metrics.get(name)):
        return float(metrics[name])
    for at, character in enumerate(name):
        if character == "." and name[:at] in metrics:
            found = lookup(metrics[name[:at]], name[at + 1 :])
            if found is not None:
                return found
    return None


def compare(root: str | Path, preset: str = "mini") -> list[Outcome]:
    """This run's headline numbers against the reference's.

    Raises:
        InputError: there is no report yet, or the reference is missing or malformed.
    """
    metrics = read_json(layout.report(root) / "metrics.json")
    return [Outcome(number, lookup(metrics, number.name)) for number in read_reference(reference_path(root, preset))]


def bars(root: str | Path) -> dict[str, tuple[int, int]]:
    """Bars of this run by method: how many hold, and how many were measured; of a method without any there are none.

    A number can agree with the reference and yet miss its bar: an interval of few seeds can be wider than a bar.
    """
    metrics = read_json(layout.report(root) / "metrics.json")
    counts = {
        name: (int(lookup(metrics, f"{group}.held") or 0), int(lookup(metrics, f"{group}.measured") or 0))
        for name, group in BARS.items()
    }
    return {name: count for name, count in counts.items() if count[1]}


def seed_interval(values: Sequence[float], unit: str) -> tuple[float, float]:
    """Where the mean of as many new seeds lies with probability `LEVEL`: mean +- t s sqrt(2/n), Student's t, n - 1."""
    from scipy.stats import t

    centre, count = statistics.fmean(values), len(values)
    spread = float(t.ppf((1 + LEVEL) / 2, count - 1)) * statistics.stdev(values) * math.sqrt(2 / count)
    half = max(spread, NARROWEST[unit])
    return centre - half, centre + half


def numbers_of(rows: Sequence[Mapping[str, Any]], variant: str = "official") -> list[Reference]:
    """The headline numbers of the rows of ``scores.jsonl``, each with the interval of the headline arm's seeds.

    Raises:
        VldistillError: there are fewer than two seeds.
    """
    from vldistill.evaluate.summary import HEADLINE, headline

    seeds_of: dict[str, set[int]] = {}
    for row in rows:
        if row["seed"] is not None:
            seeds_of.setdefault(row["arm"], set()).add(row["seed"])
    seeds = sorted(seeds_of.get(HEADLINE, ()))
    if len(seeds) < 2:
        raise VldistillError(f"a reference needs at least two seeds of the arm {HEADLINE}, not {len(seeds)}. Add seeds")

    def of_seed(seed: int) -> dict[str, Any]:
        # An arm without this seed (a control that has none, or one of its own) stays as it is.
        kept = [row for row in rows if row["seed"] in (None, seed) or seed not in seeds_of.get(row["arm"], ())]
        return headline(kept, variant)

    each = [of_seed(seed) for seed in seeds]
    found = []
    for group, numbers in headline(rows, variant).items():
        for key, value in numbers.items():
            name, unit = f"{group}.{key}", "nats" if key.endswith("loss") else "percent"
            values = [number for tree in each if (number := lookup(tree, name)) is not None]
            if group == "bars":
                continue
            if len(values) < len(seeds):
                raise VldistillError(
                    f"the headline number {name} is there for {len(values)} of {len(seeds)} seeds only"
                )
            low, high = seed_interval(values, unit)
            found.append(Reference(name, value, min(low, value), max(high, value), len(seeds), unit))
    return found


def numbers_of_mad(per_seed: Mapping[str, Sequence[float]]) -> list[Reference]:
    """MAD's headline numbers, each with the interval of its seeds.

    Args:
        per_seed: name below ``mad`` in metrics.json -> the number of each seed.

    Raises:
        VldistillError: there are fewer than two seeds.
    """
    found = []
    for name, values in per_seed.items():
        if len(values) < 2:
            raise VldistillError(f"a reference needs at least two seeds of mad.{name}, not {len(values)}. Add seeds")
        low, high = seed_interval(values, "percent")
        found.append(Reference(f"mad.{name}", statistics.fmean(values), low, high, len(values), "percent"))
    return found


def machine() -> str:
    """Processor, number of cores and system, without the host's name."""
    model = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        lines = cpuinfo.read_text(encoding="utf-8", errors="replace").splitlines()
        model = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), model)
    return f"{model}, {os.cpu_count()} cores, {platform.system()}"


def write_reference(root: str | Path, preset: str = "mini") -> Path:
    """Make this run's numbers the reference of ``preset``; returns the file."""
    from vldistill import params
    from vldistill.evaluate.mad.tables import read_results
    from vldistill.report.mad.found import per_seed, scored_tasks

    rows = read_jsonl(layout.score_vlkd(root) / "scores.jsonl")
    experiment = params.load(Path(root) / layout.PARAMS)
    numbers = numbers_of(rows, experiment.evaluate.vlkd.vqa_variant)
    tasks, _ = scored_tasks(experiment, Path(root))
    numbers += numbers_of_mad(per_seed(read_results(root, tasks), tasks))
    path = reference_path(root, preset)
    content = {
        "numbers": [asdict(number) for number in numbers],
        "preset": preset,
        "commit": git_state(root)["commit"],
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "machine": machine(),
    }
    write_json(path, content)
    return path
