"""The code version of each stage: a hash of the source files its results depend on, and of nothing else.

Run folders hold it in their keys; the rules and DVC's dependencies name the same files. Modules that cannot change a
result (errors, progress, layout, command line) are left out, so that mending them re-runs nothing. After an edit that
changes no result, `vldistill accept STAGE` declares the new version equal to the old one.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from vldistill import layout
from vldistill.errors import InputError
from vldistill.files import read_json, write_json

PACKAGE = Path(__file__).parent

NEUTRAL = (
    "__init__.py",
    "artifact.py",
    "cells.py",
    "code_version.py",
    "device.py",
    "download/fetch.py",
    "errors.py",
    "files.py",
    "layout.py",
    "params",
    "progress.py",
    "provenance.py",
    "runs.py",
    "signals.py",
)
"""Modules any stage may use without depending on their text: parameters enter by value, files by content and sha256."""

RECORDS = ("records/__init__.py", "records/fields.py", "records/regions.py", "records/types.py")
TEACHER = ("models/images.py", "models/teacher.py", "models/tokenizer_files.py")
LANGUAGE_MODEL = (
    "models/generation.py",
    "models/infilling.py",
    "models/language_model.py",
    "models/length_groups.py",
    "models/tokenizer_files.py",
)
STORE = ("features/store.py",)
STUDENT = ("models/regions.py", "models/student", *TEACHER)
MAD_INPUTS = (
    "evaluate/data.py",
    "evaluate/metrics/vqa_formula.py",
    "evaluate/metrics/vqa_normalise.py",
    "features/sentences.py",
    "split/lists.py",
    "split/pronouns.py",
    "images.py",
    "models/region_arrays.py",
    "models/region_files.py",
    "models/region_folders.py",
    *STUDENT,
)

SOURCES: dict[str, tuple[str, ...]] = {
    "download": ("download", "world", "records", "images.py", "models/images.py"),
    "pretrain": (
        "pretrain/clip.py",
        "pretrain/language_model.py",
        "pretrain/published.py",
        "pretrain/recipes.py",
        "pretrain/stage.py",
        "pretrain/tokenizers.py",
        "training",
        "features/shards.py",
        *TEACHER,
        *LANGUAGE_MODEL,
        *STORE,
        *RECORDS,
    ),
    "pretrain_student": (
        "pretrain/names.py",
        "pretrain/stage.py",
        "pretrain/student.py",
        "pretrain/student_negatives.py",
        "pretrain/student_recipe.py",
        "pretrain/student_start.py",
        "pretrain/student_task.py",
        "pretrain/student_words.py",
        "training",
        "features/shards.py",
        "records/places.py",
        "records/synsets.py",
        "split/lists.py",
        *STUDENT,
        *STORE,
        *RECORDS,
    ),
    "features": ("features/extract.py", "features/shards.py", "models/regions.py", *STORE, *TEACHER, *RECORDS),
    "features_texts": (
        "features/sentences.py",
        "features/shards.py",
        "features/texts.py",
        "split/pronouns.py",
        *STORE,
        *TEACHER,
        *LANGUAGE_MODEL,
        *RECORDS,
    ),
    "split": ("split", *RECORDS),
    "distill": (
        "distill/cell.py",
        "distill/folders.py",
        "distill/key.py",
        "distill/losses.py",
        "distill/task.py",
        "training",
        *TEACHER,
        *LANGUAGE_MODEL,
        "models/vlkd.py",
        *STORE,
        *RECORDS,
    ),
    "distill_mad": ("distill/mad", "distill/folders.py", "models/mad.py", "training", *MAD_INPUTS, *STORE, *RECORDS),
    "evaluate_predict": (
        "evaluate/predict",
        "evaluate/data.py",
        "evaluate/ids.py",
        "evaluate/inputs.py",
        "evaluate/metrics/retrieval.py",
        "training",
        *TEACHER,
        *LANGUAGE_MODEL,
        "models/vlkd.py",
        *STORE,
        *RECORDS,
    ),
    "evaluate_score": (
        "evaluate/score",
        "evaluate/metrics",
        "evaluate/data.py",
        "evaluate/ids.py",
        "bootstrap.py",
        "stats.py",
        *RECORDS,
    ),
    "evaluate_mad_predict": (
        "evaluate/mad/batch.py",
        "evaluate/mad/data.py",
        "evaluate/mad/eval_items.py",
        "evaluate/mad/jobs.py",
        "evaluate/mad/predict.py",
        "evaluate/mad/teacher.py",
        "evaluate/ids.py",
        "evaluate/inputs.py",
        "evaluate/metrics",
        "distill/mad/confidence.py",
        "distill/mad/data.py",
        "distill/mad/heads.py",
        "distill/mad/inputs.py",
        "distill/mad/items.py",
        "distill/mad/key.py",
        "distill/mad/lookup.py",
        "distill/mad/losses.py",
        "distill/mad/scores.py",
        "distill/mad/visual_inputs.py",
        "distill/mad/targets.py",
        "distill/mad/words.py",
        "models/mad.py",
        "split",
        *MAD_INPUTS,
        *STORE,
        *RECORDS,
    ),
    "evaluate_mad_score": (
        "evaluate/mad/chief.py",
        "evaluate/mad/data.py",
        "evaluate/mad/references.py",
        "evaluate/mad/score.py",
        "evaluate/mad/scoring.py",
        "evaluate/data.py",
        "evaluate/ids.py",
        "evaluate/metrics",
        "evaluate/predict/controls.py",
        "evaluate/score/rows.py",
        "distill/mad/key.py",
        "models/region_folders.py",
        "split",
        "bootstrap.py",
        "stats.py",
        *STORE,
        *RECORDS,
    ),
    "report": (
        "report",
        "distill/key.py",
        "distill/mad/data.py",
        "distill/mad/inputs.py",
        "distill/mad/items.py",
        "distill/mad/key.py",
        "distill/mad/lookup.py",
        "distill/mad/losses.py",
        "distill/mad/visual_inputs.py",
        "distill/mad/targets.py",
        "distill/mad/words.py",
        "evaluate/items.py",
        "evaluate/mad/bars.py",
        "evaluate/mad/chief.py",
        "evaluate/mad/data.py",
        "evaluate/mad/effects.py",
        "evaluate/mad/reliability.py",
        "evaluate/mad/statistics.py",
        "evaluate/mad/summary.py",
        "evaluate/mad/tables.py",
        "evaluate/summary.py",
        "images.py",
        "models/images.py",
        "models/mad.py",
        "presets.py",
        "reproduce.py",
        "bootstrap.py",
        "stats.py",
        "split",
        *MAD_INPUTS,
        *STORE,
        *RECORDS,
    ),
}
"""Stage -> source files and folders, relative to the package."""


def source_files(stage: str) -> list[Path]:
    """The files whose content is the code version of `stage`, sorted.

    Raises:
        InputError: there is no such stage.
    """
    if stage not in SOURCES:
        raise InputError(f"no stage called {stage!r}", action=f"Stages: {', '.join(SOURCES)}")
    files: set[Path] = set()
    for name in SOURCES[stage]:
        path = PACKAGE / name
        files |= {path} if path.suffix == ".py" else set(path.rglob("*.py"))
    return sorted(files)


def raw_version(stage: str) -> str:
    """Hash of the present text of the stage's sources, 16 hex digits."""
    digest = hashlib.sha256()
    for path in source_files(stage):
        data = path.read_bytes()
        digest.update(f"{path.relative_to(PACKAGE).as_posix()}\0{len(data)}\0".encode())
        digest.update(data)
    return digest.hexdigest()[:16]


def code_version(stage: str, root: str | Path = ".") -> str:
    """The code version of `stage`, seen through what `accept` declared equal."""
    version = raw_version(stage)
    accepted = _accepted(root).get(stage, {})
    seen = {version}
    while version in accepted and accepted[version] not in seen:
        version = accepted[version]
        seen.add(version)
    return version


def accept(stage: str, root: str | Path = ".") -> tuple[str, str]:
    """Declare that the present sources of `stage` give the results its newest finished run has.

    Returns:
        The new and the old code version.

    Raises:
        InputError: no such stage, no finished run, or its version is the present one already.
    """
    new = raw_version(stage)
    old = _newest_version(stage, root)
    if old is None:
        raise InputError(f"no finished run of {stage} to accept", action=f"Run it: vldistill {stage.split('_')[0]}")
    if code_version(stage, root) == old:
        raise InputError(f"the code of {stage} is that of its newest run already", action="There is nothing to accept")
    accepted = _accepted(root)
    # the old version must not lead back to the new one, or neither would be found again
    chain = {key: value for key, value in accepted.get(stage, {}).items() if key != old}
    write_json(_path(root), {**accepted, stage: {**chain, new: old}})
    return new, old


def _path(root: str | Path) -> Path:
    return layout.scratch_root(root) / "accepted.json"


def _accepted(root: str | Path) -> dict[str, dict[str, str]]:
    path = _path(root)
    return read_json(path) if path.is_file() else {}


def _newest_version(stage: str, root: str | Path) -> str | None:
    results = sorted((layout.scratch_root(root) / stage).glob("*/result.json"), key=lambda path: path.stat().st_mtime)
    keys: list[dict[str, Any]] = [read_json(path.with_name("key.json")) for path in results]
    versions = [str(key["code"]) for key in keys if "code" in key]
    return versions[-1] if versions else None
