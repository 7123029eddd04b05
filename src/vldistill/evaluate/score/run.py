"""The score stage: gathered predictions and records in, ``scores.jsonl`` and per-item scores out. Needs no torch."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from vldistill import layout
from vldistill.artifact import publish, read_manifest
from vldistill.errors import InputError
from vldistill.evaluate.data import Data
from vldistill.evaluate.score.captions import CaptionTasks
from vldistill.evaluate.score.questions import score_questions
from vldistill.evaluate.score.rows import Bootstrap, Scored
from vldistill.evaluate.score.texts import score_corpus, score_retrieval, score_texts
from vldistill.files import read_json, read_jsonl, write_jsonl
from vldistill.params import Params
from vldistill.params.evaluate import CAPTION_TASKS, QUESTION_TASKS, TASKS
from vldistill.provenance import recorded

INDEX = "index.json"
SCORES = "scores.jsonl"
ITEMS = "items"
AGAIN = "Predict again: vldistill evaluate vlkd predict"


def vlkd_score(params: Params, root: str | Path) -> Path:
    """Score ``results/evaluate/vlkd/predict/`` into ``results/evaluate/vlkd/score/``.

    Raises:
        InputError: predictions are missing, of another split, or do not fit the records.
        VldistillError: a Java program failed, or SPICE is required and cannot run.
    """
    root, options = Path(root), params.evaluate.vlkd
    source, target = layout.predict_vlkd(root), layout.score_vlkd(root)
    read_manifest(source)
    index: list[dict[str, Any]] = read_json(source / INDEX)
    for entry in index:
        if entry["split"] != options.split:
            raise InputError(
                f"predictions of the split {entry['split']}, but evaluate.vlkd.split is {options.split}",
                file=source / INDEX,
                record=entry["file"],
                action=AGAIN,
            )
    with recorded(layout.run_record(target)):
        found = {scored.entry["file"]: scored for scored in _score_all(params, root, index)}
        ordered = [found[entry["file"]] for entry in index if entry["file"] in found]
        meta = {"split": options.split, "variant": options.vqa_variant, "canonicalise": options.canonicalise}
        publish(target, lambda folder: _fill(folder, ordered), meta)
    return target


def _fill(folder: Path, found: list[Scored]) -> None:
    write_jsonl(folder / SCORES, (row for scored in found for row in scored.rows))
    for scored in found:
        write_jsonl(folder / ITEMS / Path(scored.entry["file"]).with_suffix(".jsonl"), scored.items)


def _score_all(params: Params, root: Path, index: list[dict[str, Any]]) -> Iterator[Scored]:
    options = params.evaluate.vlkd
    data = Data(root, options.split, options.max_items)
    bootstrap = Bootstrap(options.resamples, options.level)
    by_task = {task: [entry for entry in index if entry["task"] == task] for task in TASKS}
    source = layout.predict_vlkd(root)
    # METEOR spends ten seconds loading its table: it starts first, and loads while the rest is scored
    with CaptionTasks(options.spice, bootstrap, start=any(by_task[task] for task in CAPTION_TASKS)) as captions:
        for task in (task for task in TASKS if task not in CAPTION_TASKS):
            for entry in by_task[task]:
                yield _score_one(params, data, entry, source / entry["file"], bootstrap)
        given = {
            task: [_results(source / entry["file"], "image_id", "caption") for entry in by_task[task]]
            for task in CAPTION_TASKS
            if by_task[task]
        }
        # side by side, since the first waits for SPICE's parser for minutes
        with ThreadPoolExecutor() as pool:
            waiting = [
                pool.submit(captions.score, task, by_task[task], files, data.captions(task))
                for task, files in given.items()
            ]
            for scores in waiting:
                yield from scores.result()


def _score_one(params: Params, data: Data, entry: dict[str, Any], path: Path, bootstrap: Bootstrap) -> Scored:
    options, task = params.evaluate.vlkd, entry["task"]
    if task in QUESTION_TASKS:
        return score_questions(
            entry,
            _results(path, "question_id", "answer"),
            data.questions(task),
            variant=options.vqa_variant,
            canonicalise=options.canonicalise,
            stemmed=options.stem_okvqa and task == "okvqa",
            bootstrap=bootstrap,
        )
    rows = read_jsonl(path)
    if task == "retrieval":
        return score_retrieval(entry, rows, bootstrap)
    return score_corpus(entry, rows) if task == "corpus" else score_texts(entry, rows, data.texts(task), bootstrap)


def _results(path: Path, key: str, value: str) -> dict[Any, str]:
    """An official results file as a mapping.

    Raises:
        InputError: a record lacks a field, or an id stands twice.
    """
    found: dict[Any, str] = {}
    for number, record in enumerate(read_json(path)):
        for field in (key, value):
            if not isinstance(record, dict) or field not in record:
                raise InputError("missing", file=path, record=f"[{number}]", field=field, action=AGAIN)
        if record[key] in found:
            raise InputError(f"{record[key]!r} stands twice", file=path, record=f"[{number}]", field=key, action=AGAIN)
        found[record[key]] = record[value]
    return found
