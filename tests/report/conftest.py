"""A project with made-up results, made once for all tests of the report."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.report import factory
from vldistill import layout, report
from vldistill.params import Params
from vldistill.presets import render

PAPERS = Path(__file__).parents[2] / "data" / "reference" / "papers.csv"


@pytest.fixture(scope="session")
def params() -> Params:
    """VLKD alone: MAD's part has tests of its own."""
    return Params.model_validate({"distill": {"mad": {"tasks": [], "extra": {}}}})


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory, params: Params) -> Path:
    """A root whose report is written; tests must not change it."""
    root = factory.make(tmp_path_factory.mktemp("made"), params, papers=PAPERS)
    (root / layout.PARAMS).write_text(render(params), encoding="utf-8")
    report.run(params, root)
    return root


@pytest.fixture
def fresh(tmp_path: Path, params: Params) -> Path:
    """A root of a test's own, without a report."""
    return factory.make(tmp_path, params, papers=PAPERS, images=8)
