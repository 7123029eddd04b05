"""The project of `project` once a session, predicted and scored."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.evaluate.mad.project import TASKS, TREE, make_project
from vldistill import evaluate, layout
from vldistill.cells import mad_batches
from vldistill.params import Params


@pytest.fixture(scope="session")
def mad_params() -> Params:
    return Params.model_validate(TREE)


@pytest.fixture(scope="session")
def mad_project(tmp_path_factory: pytest.TempPathFactory, mad_params: Params) -> Path:
    """A project with trained cells of all tasks."""
    return make_project(tmp_path_factory.mktemp("mad"), mad_params)


@pytest.fixture(scope="session")
def mad_predicted(mad_project: Path, mad_params: Params) -> Path:
    """Its gathered predictions: a folder a task."""
    for task in TASKS:
        for batch in range(len(mad_batches(mad_params, task))):
            evaluate.mad_predict_batch(mad_params, mad_project, task, batch)
        evaluate.mad_predict_gather(mad_params, mad_project, task)
    return layout.predict_mad(mad_project, "vcr").parent


@pytest.fixture(scope="session")
def mad_scored(mad_project: Path, mad_predicted: Path, mad_params: Params) -> Path:
    """Its per-item scores: a folder a task."""
    for task in TASKS:
        evaluate.mad_score(mad_params, mad_project, task)
    return layout.score_items_mad(mad_project, "vcr").parent
