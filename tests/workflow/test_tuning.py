"""A sweep as docs/tuning.md tells it: queued, run, read through DVC's cache, written into a page."""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from vldistill.tuning.table import BEGIN

if TYPE_CHECKING:
    from conftest import Project

pytestmark = pytest.mark.slow
PAGE = "docs/tuning.md"


def commands(page: Path) -> dict[str, str]:
    """The commands of the page's first console block, by their first words."""
    block = page.read_text(encoding="utf-8").split("```console\n")[1].split("```")[0]
    lines = block.replace("\\\n", " ").splitlines()
    told = [line.removeprefix("$ ").partition("  #")[0].strip() for line in lines]
    return {" ".join(line.split()[:3]): line for line in told}


def test_a_sweep_is_queued_run_and_tabled(project: Project) -> None:
    told = commands(project.root / PAGE)
    # two trials of one task instead of all: the test is about the way, and must be short
    queue = told["dvc exp run"].replace("trial=1,2,3,4,5,6,7,8", "trial=1,2")
    queue = queue.replace(" evaluate_mad_score@vcr evaluate_mad_score@vqa", "")
    assert ("trial=1,2 " in queue or "trial=1,2'" in queue) and queue.count("evaluate_mad_score@") == 1
    project.edit("distill.mad.sweep.tasks", ["snli_ve"])
    project.commit("one task")
    before = set(project.root.glob("scratch/*/*/result.json"))
    project.run("bash", "-c", queue)
    project.run("bash", "-c", told["dvc queue start"])
    deadline = time.monotonic() + 900
    # an experiment that has ended is not at once one that DVC has collected: its worker is active until then
    while re.search(r"Queued|Running|[1-9]\d* active", project.run("bash", "-c", told["dvc queue status"])):
        assert time.monotonic() < deadline, (project.root / "queue.log").read_text(encoding="utf-8")
        time.sleep(2)
    made = {path.parent.parent.name for path in set(project.root.glob("scratch/*/*/result.json")) - before}
    assert made == {"distill_mad", "evaluate_mad_predict"}, "nothing else is to run, VLKD least of all"
    assert project.run("dvc", "exp", "list", "--name-only").split() == ["trial-1", "trial-2"]

    tabled = told["vldistill tuning trial-{1..8}"].replace("{1..8}", "{1..2}")
    text = project.run("bash", "-c", tabled, PYTHONPATH=str(project.root / "src"))
    page = (project.root / PAGE).read_text(encoding="utf-8")
    for shown in (text, page):
        assert re.search(r"trial-1 \([0-9a-f]{10}\), trial-2 \([0-9a-f]{10}\)", shown)
        assert "on_dev:" in shown
    rows = [line for line in page.split(BEGIN)[1].splitlines() if re.match(r"\| (baseline|nkd|mad) \|", line)]
    assert len(rows) == 2 * 3
    for criterion in ("hold-out: 50 %", "dev: 50 %"):
        assert sum(criterion in row for row in rows) == 3
