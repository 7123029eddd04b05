"""dvc.yaml states the graph that the rules are."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from conftest import Project

WRONG = {
    "is in no dep": ("      - src/vldistill/split\n", ""),
    "is read by its rules only": ("      - split\n", "      - split.seed\n"),
    "is tracked by DVC only": ("      - features\n", "      - features\n      - world\n"),
    "is in no out": ("      - results/distill/vlkd.run.json\n", ""),
    "is no input": ("      - data/registry.csv\n", "      - data/registry.csv\n      - README.md\n"),
    "is no output": ("      - results/distill/vlkd\n", "      - results/distill/vlkd\n      - results/distill/x\n"),
}


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory, new_project: Callable[[Path], Project]) -> Project:
    return new_project(tmp_path_factory.mktemp("fresh") / "project")


def differences(project: Project) -> list[str]:
    paths = f"{project.root / 'workflow'}:{project.root / 'src'}"
    text = project.run(sys.executable, "-m", "frontends", "differences", PYTHONPATH=paths)
    return json.loads(text.splitlines()[-1])


def test_the_two_graphs_are_equal(fresh: Project) -> None:
    assert differences(fresh) == []


@pytest.mark.slow
@pytest.mark.parametrize("preset", ["mini", "mini-full", "paper"])
def test_the_two_graphs_are_equal_for_every_preset(fresh: Project, tmp_path: Path, preset: str) -> None:
    project = fresh.copy_to(tmp_path / "project")
    project.vldistill("preset", preset, "--force")
    assert differences(project) == []


@pytest.mark.parametrize("preset", ["paper", "paper-dry"])
def test_the_graph_at_paper_scale_is_whole(fresh: Project, tmp_path: Path, preset: str) -> None:
    project = fresh.copy_to(tmp_path / "project")
    mini = project.planned_rules()
    project.vldistill("preset", preset, "--force")
    assert project.planned_rules() == mini


def test_every_kind_of_difference_is_told(fresh: Project, tmp_path: Path) -> None:
    project = fresh.copy_to(tmp_path / "project")
    path = project.root / "dvc.yaml"
    text = path.read_text(encoding="utf-8")
    for old, new in WRONG.values():
        assert old in text
        text = text.replace(old, new, 1)
    path.write_text(text, encoding="utf-8")
    found = differences(project)
    assert [told for told in WRONG if not any(told in line for line in found)] == []
