"""Where everything is: the one place that knows the names of results, scratch and logs."""

from __future__ import annotations

import os
from pathlib import Path

PARAMS = "params.yaml"
TEXTS = "texts"
"""The name of an encoder's features of all texts that teach a student, in the place of a data set's."""


def download(root: str | Path, dataset: str) -> Path:
    """Records and images of one data set."""
    return Path(root) / "results" / "download" / dataset


def pretrain(root: str | Path, name: str) -> Path:
    """One pre-trained model: an encoder or a language model."""
    return Path(root) / "results" / "pretrain" / name


def features(root: str | Path, encoder: str, dataset: str) -> Path:
    """The feature store of one encoder on one data set."""
    return Path(root) / "results" / "features" / encoder / dataset


def split(root: str | Path, task: str, name: str) -> Path:
    """The id list of one split of one task."""
    return Path(root) / "results" / "split" / task / f"{name}.json"


def distill_vlkd(root: str | Path) -> Path:
    """All distilled VLKD models, a folder ``ARM-sSEED`` each."""
    return Path(root) / "results" / "distill" / "vlkd"


def distill_mad(root: str | Path, task: str) -> Path:
    """All MAD models of a task, a folder ``ARM-fFRACTION-sSEED`` each."""
    return Path(root) / "results" / "distill" / "mad" / task


def predict_vlkd(root: str | Path) -> Path:
    """Predictions of VLKD in the official result formats."""
    return Path(root) / "results" / "evaluate" / "vlkd" / "predict"


def score_vlkd(root: str | Path) -> Path:
    """Scores of VLKD's predictions."""
    return Path(root) / "results" / "evaluate" / "vlkd" / "score"


def predict_mad(root: str | Path, task: str) -> Path:
    """Predictions of MAD on one task."""
    return Path(root) / "results" / "evaluate" / "mad" / "predict" / task


def score_items_mad(root: str | Path, task: str) -> Path:
    """Per-item scores of MAD on one task, a folder a subset."""
    return Path(root) / "results" / "evaluate" / "mad" / "score" / "items" / task


def scores_mad(root: str | Path, task: str) -> Path:
    """The tidy rows of MAD's scores on one task."""
    return Path(root) / "results" / "evaluate" / "mad" / "score" / f"scores-{task}.jsonl"


def report(root: str | Path) -> Path:
    """The report page, its tables and plots."""
    return Path(root) / "results" / "report"


def run_record(folder: str | Path) -> Path:
    """The run record (wall time, memory, versions, commit) that stands beside the artifact ``folder``."""
    folder = Path(folder)
    return folder.with_name(f"{folder.name}.run.json")


def main_checkout(root: str | Path = ".") -> Path:
    """The checkout that ``root`` belongs to.

    DVC runs queued experiments in temporary workspaces below ``.dvc/tmp/exps`` of the main checkout and deletes them
    when they fail; what is large or slow to make must outlive that, so that a preempted experiment can go on.
    """
    here = Path(root).resolve()
    parts = here.parts
    for at in range(len(parts) - 2):
        if parts[at : at + 3] == (".dvc", "tmp", "exps"):
            return Path(*parts[:at])
    return here


def scratch_root(root: str | Path = ".") -> Path:
    """Run folders: ``$VLDISTILL_SCRATCH``, else ``scratch/`` of the main checkout."""
    given = os.environ.get("VLDISTILL_SCRATCH")
    return Path(given).resolve() if given else main_checkout(root) / "scratch"


def data_root(root: str | Path = ".") -> Path:
    """Fetched data sets and weights: ``$VLDISTILL_DATA``, else ``data/raw/`` of the main checkout."""
    given = os.environ.get("VLDISTILL_DATA")
    return Path(given).resolve() if given else main_checkout(root) / "data" / "raw"


def receipt(root: str | Path, stage: str, batch: int) -> Path:
    """The receipt of one batch of cells, ``stage`` as in ``distill/vlkd``."""
    return Path(root) / "results" / "receipts" / stage / f"batch-{batch}.json"
