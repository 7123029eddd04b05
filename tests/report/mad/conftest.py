"""A project with made-up results of both methods, made once."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.report import factory
from tests.report.conftest import PAPERS
from tests.report.mad import factory as mad_factory
from vldistill import layout, report
from vldistill.params import Params
from vldistill.presets import render


@pytest.fixture(scope="session")
def both_params() -> Params:
    return Params.model_validate({"evaluate": {"mad": {"resamples": 200}}})


@pytest.fixture(scope="session")
def both(tmp_path_factory: pytest.TempPathFactory, both_params: Params) -> Path:
    """A root whose report is written; tests must not change it."""
    root = factory.make(tmp_path_factory.mktemp("both"), both_params, papers=PAPERS, images=8)
    mad_factory.make(root, both_params)
    (root / layout.PARAMS).write_text(render(both_params), encoding="utf-8")
    report.run(both_params, root)
    return root
