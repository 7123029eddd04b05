"""Where the numbers come from: artifacts with their checksums, run folders, parameters, commit, versions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vldistill import layout
from vldistill.artifact import MANIFEST, absence, fingerprint, read_manifest
from vldistill.cells import Cell as GridCell
from vldistill.distill.key import STAGE, look_up
from vldistill.errors import InputError
from vldistill.files import read_json
from vldistill.params import Params
from vldistill.report.cost import PEAK, Run, number
from vldistill.report.table import Cell, Table


@dataclass(frozen=True)
class Code:
    """Which code made the results: the commits of all run records, and whether any tree was edited."""

    commits: tuple[str, ...]
    edited: bool
    versions: dict[str, str]

    @property
    def sentence(self) -> str:
        """For the head of the page."""
        if not self.commits:
            return "not recorded (outside git)"
        several = "" if len(self.commits) == 1 else f" and {len(self.commits) - 1} other"
        return self.commits[-1][:12] + several + (", with uncommitted edits" if self.edited else "")


def code(runs: Sequence[Run]) -> Code:
    """The code behind ``runs``, in the order they were started."""
    records = sorted((run.record for run in runs), key=lambda record: str(record.get("started", "")))
    commits = [record["commit"] for record in records if isinstance(record.get("commit"), str)]
    versions: dict[str, str] = {}
    for record in records:
        versions |= record.get("versions") or {}
    return Code(tuple(dict.fromkeys(commits)), any(record.get("dirty") for record in records), versions)


def artifacts(results: Path) -> Table:
    """Every published artifact with the hash of its manifest, which lists the sha256 of each file."""
    rows = []
    for path in sorted(results.rglob(MANIFEST)):
        folder = path.parent
        name = folder.relative_to(results).as_posix()
        if any(part.startswith(".") for part in folder.relative_to(results).parts) or name == "report":
            continue
        files = read_manifest(folder)["files"]
        rows.append(
            {
                "artifact": Cell(f"results/{name}"),
                "files": Cell(number=len(files), digits=0),
                "size": Cell(number=sum(entry["bytes"] for entry in files.values()) / 2**20, digits=2),
                "sha256": Cell(fingerprint(folder)),
            }
        )
    columns = [("artifact", "artifact"), ("files", "files"), ("size", "MiB"), ("sha256", "sha256 of the manifest")]
    return Table("artifacts", "Data, models and results", columns, rows, head=("artifact",))


def absent(results: Path) -> dict[str, str]:
    """Data sets and models that do not exist in this experiment, with the reason."""
    folders = [
        path.parent for stage in ("download", "pretrain") for path in sorted((results / stage).glob(f"*/{MANIFEST}"))
    ]
    reasons = {f"{folder.parent.name}/{folder.name}": absence(folder) for folder in folders}
    return {name: reason for name, reason in reasons.items() if reason}


def splits(results: Path) -> Table:
    """The id lists that say which items were evaluated."""
    rows = []
    for path in sorted((results / "split").rglob("*.json")):
        if path.name.endswith(".run.json") or path.name == MANIFEST:
            continue
        split = read_json(path)
        if not isinstance(split, dict) or not isinstance(split.get("ids"), list):
            raise InputError("the id list is missing", file=path, field="ids", action="Run the stage split again")
        rows.append(
            {
                "split": Cell(path.relative_to(results / "split").as_posix().removesuffix(".json")),
                "ids": Cell(number=len(split["ids"]), digits=0),
                "seed": Cell(str(split.get("seed", "\u2013"))),
                "sha256": Cell(str(split.get("sha256", "\u2013"))),
            }
        )
    columns = [("split", "split"), ("ids", "ids"), ("seed", "seed"), ("sha256", "sha256 of the ids")]
    return Table("splits", "Splits", columns, rows, head=("split",))


def run_folder(params: Params, root: Path, cell: GridCell) -> str | None:
    """The run folder in scratch/ that trained ``cell``; None where it is not on this machine (after a pull, say)."""
    try:
        found = look_up(params, root, cell)
    except InputError:  # the inputs its key is made of are not here
        return None
    return f"scratch/{STAGE}/{found.path.name}" if found.done else None


def cells(params: Params, root: Path, grid: Sequence[GridCell], found: Sequence[Run]) -> Table:
    """Each distilled cell: its cost, run folder and weights' sha256 by the manifest of results/distill/vlkd."""
    folder = layout.distill_vlkd(root)
    parts = next((run.parts for run in found if run.step == "distill/vlkd"), {})
    files: dict[str, Any] = read_manifest(folder)["files"]
    rows = []
    for cell in grid:
        cost = parts.get(cell.name, {})
        own = {name: entry for name, entry in files.items() if name.startswith(f"{cell.name}/")}
        weights = [entry for name, entry in own.items() if name.endswith(".safetensors")]
        first = files.get(f"{cell.name}/model.safetensors")
        if not weights:
            raise InputError(
                f"no weights of {cell.name} in it",
                file=folder / MANIFEST,
                field=cell.name,
                action="Distil the active arms again: vldistill distill vlkd, then --gather",
            )
        rows.append(
            {
                "cell": Cell(f"{cell.name}"),
                "wall": number(cost.get("wall_seconds"), 1),
                "cpu": number(cost.get("cpu_seconds"), 1),
                "memory": number(cost.get("peak_memory_bytes"), 0, 2**20),
                "run": Cell(run_folder(params, root, cell) or "\u2013"),
                "size": Cell(number=sum(entry["bytes"] for entry in weights) / 2**20, digits=2),
                "sha256": Cell((first or weights[0])["sha256"]),
            }
        )
    columns = [("cell", "cell"), ("wall", "wall time, s"), ("cpu", "processor time, s"), ("memory", "peak memory, MiB")]
    columns += [("size", "weights, MiB"), ("run", "run folder"), ("sha256", "sha256 of the weights")]
    title = "Distilled models: results/distill/vlkd/CELL"
    return Table("cells", title, columns, rows, head=("cell",), notes=(PEAK,) if parts else ())
