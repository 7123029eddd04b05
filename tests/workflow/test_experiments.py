"""DVC experiments: a killed one goes on where it was, and the table stays readable."""

from __future__ import annotations

import csv
import io
import json
import os
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from conftest import Project

pytestmark = pytest.mark.slow


def finished(project: Project) -> dict[Path, int]:
    return {path: path.stat().st_mtime_ns for path in project.root.glob("scratch/distill/*/result.json")}


def test_a_killed_experiment_goes_on_and_the_table_is_readable(project: Project) -> None:
    command = ("dvc", "exp", "run", "--temp", "--name", "longer", "-S", "distill.vlkd.training.steps=7")
    before = finished(project)
    process = project.start(*command)
    deadline = time.monotonic() + 600
    # the experiment trains all cells anew, in run folders of the main checkout: kill it when the first is finished
    while len(finished(project)) == len(before) and process.poll() is None:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    survived = finished(project)
    cells = len(list(project.root.glob("results/distill/vlkd/*/")))
    assert len(before) < len(survived) < len(before) + cells

    project.run(*command)
    after = finished(project)
    assert survived.items() <= after.items()
    assert len(after) == len(before) + cells
    # the workspace itself is as it was
    assert project.status() == {}
    assert project.planned_rules() == set()

    table = project.run("dvc", "exp", "show", "--csv", "--only-changed", "--drop", ".*/.*")
    rows = list(csv.DictReader(io.StringIO(table[table.index("Experiment,") :])))
    assert len(rows[0]) <= 30
    assert {row["distill.vlkd.training.steps"] for row in rows} == {"6", "7"}
    assert any(row["Experiment"] == "longer" for row in rows)

    text = project.run("dvc", "plots", "diff", "HEAD", "longer", "--json")
    plots = json.loads(text[text.index("{") :])["data"]
    assert set(plots) == {"results/report/plots/arms.json", "results/report/plots/losses.json"}

    project.run("dvc", "exp", "apply", "longer")
    assert project.status() == {}
    assert project.planned_rules() == set()
