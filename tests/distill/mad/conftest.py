from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.distill.mad.project import make_project


@pytest.fixture(scope="session")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project; nothing may be changed in it but params.yaml and scratch."""
    return make_project(tmp_path_factory.mktemp("mad"))


@pytest.fixture
def root(rendered: Path, tmp_path: Path) -> Path:
    """A copy of the project that a test may change."""
    return Path(shutil.copytree(rendered, tmp_path / "project", ignore=shutil.ignore_patterns("scratch")))
