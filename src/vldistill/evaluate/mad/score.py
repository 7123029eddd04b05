"""The score stage of MAD: gathered predictions and records of a task in, tidy rows and per-item scores out. No torch.

Writes ``items/TASK/SUBSET/CELL.jsonl`` {id, prediction, target, scores, group}, with a manifest, and
``scores-TASK.jsonl``. The references (`evaluate.mad.references`) are scored as cells are, under their own names.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from vldistill import layout
from vldistill.artifact import publish, publish_absent, read_manifest
from vldistill.cells import MAD, MadCell
from vldistill.errors import InputError
from vldistill.evaluate.mad.data import REFERENCES, MadData, subsets
from vldistill.evaluate.mad.references import WITHOUT_IMAGE, reference_rows
from vldistill.evaluate.mad.scoring import AGAIN, ItemScore, score_set, score_subset
from vldistill.evaluate.score.rows import Bootstrap, Scored
from vldistill.files import read_json, read_jsonl, write_jsonl
from vldistill.params import Params
from vldistill.params.mad_grid import Task
from vldistill.provenance import recorded

INDEX = "index.json"


@dataclass(frozen=True)
class _Predicted:
    """One cell or reference: its entry in the rows, its name, and the scores of every set."""

    entry: dict[str, Any]
    name: str
    sets: dict[str, dict[str, ItemScore]]


def mad_score(params: Params, root: str | Path, task: Task) -> Path:
    """Score ``results/evaluate/mad/predict/TASK/`` into ``results/evaluate/mad/score/``.

    Returns:
        The folder of the per-item scores.

    Raises:
        InputError: predictions are missing, of another split, or do not fit the records.
    """
    root, options = Path(root), params.evaluate.mad
    source, target = layout.predict_mad(root, task), layout.score_items_mad(root, task)
    manifest = read_manifest(source)
    rows_file = layout.scores_mad(root, task)
    with recorded(layout.run_record(target)):
        if reason := manifest["meta"].get("absent"):
            write_jsonl(rows_file, [])
            return publish_absent(target, str(reason))
        if manifest["meta"]["split"] != options.split:
            raise InputError(
                f"predictions of the split {manifest['meta']['split']}, but evaluate.mad.split is {options.split}",
                file=source,
                action=AGAIN,
            )
        unreadable = manifest["meta"]["unreadable"]
        data = MadData(params, root, task, unreadable)
        found = list(_score_all(params, root, data))
        facts = {"split": options.split, "unreadable": len(unreadable)}
        publish(target, lambda folder: _fill(folder, found), facts)
        write_jsonl(rows_file, (row for _, _, scored in found for row in scored.rows))
    return target


def _fill(folder: Path, found: list[tuple[str, str, Scored]]) -> None:
    for subset, name, scored in found:
        write_jsonl(folder / subset / f"{name}.jsonl", scored.items)


def _score_all(params: Params, root: Path, data: MadData) -> Iterator[tuple[str, str, Scored]]:
    """Subset, name of the cell, and its scores."""
    options = params.evaluate.mad
    bootstrap = Bootstrap(options.resamples, options.level)
    chosen: dict[tuple[str, str], list[Any]] = {}
    for one in _predicted(params, root, data):
        for subset in subsets(params, data.task, one.entry["fraction"], one.entry["seed"]):
            if (subset.of, subset.list) not in chosen:
                chosen[subset.of, subset.list] = data.subset(subset)
            records = chosen[subset.of, subset.list]
            yield (
                subset.name,
                one.name,
                score_subset(
                    one.entry,
                    records,
                    one.sets[subset.of],
                    subset=subset.name,
                    bootstrap=bootstrap,
                ),
            )


def _predicted(params: Params, root: Path, data: MadData) -> Iterator[_Predicted]:
    options, source = params.evaluate.mad, layout.predict_mad(root, data.task)
    index: list[dict[str, Any]] = read_json(source / INDEX)
    for entry in index:
        files = {name: source / name / f"{entry['cell']}.jsonl" for name in entry["n"]}
        sets = {name: score_set(data.task, data.sets[name], read_jsonl(files[name]), files[name]) for name in files}
        yield _Predicted(_entry(options.split, entry), entry["cell"], sets)
    subsets_trained = dict.fromkeys((entry["fraction"], entry["seed"]) for entry in index)
    for fraction, seed in subsets_trained if options.references else ():
        for arm in WITHOUT_IMAGE:
            cell = MadCell(data.task, fraction, arm, seed)
            training = data.named(cell.subset(params.distill.mad.vqa_priors))
            rows = reference_rows(arm, data.task, training, data.sets, most=options.blind_items)
            sets = {name: score_set(data.task, data.sets[name], rows[name]) for name in rows}
            yield _Predicted(_entry(options.split, asdict(cell)), cell.name, sets)


def _entry(split: str, cell: dict[str, Any]) -> dict[str, Any]:
    identity = {field: cell[field] for field in ("task", "arm", "fraction", "seed")}
    # a reference has seeds as arms have, for it is fitted on the same subsets
    control = cell["arm"] if cell["arm"] in REFERENCES else None
    return {"method": MAD, "split": split, "control": control, **identity}
