"""Presets: shown, applied, and never over a user's edits."""

from __future__ import annotations

import shutil
from itertools import product
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from vldistill import presets
from vldistill.cells import mad_cells
from vldistill.cli.preset import command
from vldistill.errors import InputError, VldistillError
from vldistill.evaluate.mad.data import BOARDS
from vldistill.evaluate.mad.jobs import all_jobs, check
from vldistill.params import Params, parse
from vldistill.params.mad_arms import MATCHING_HEAD, PARTS
from vldistill.params.mad_grid import TASKS

ROOT = Path(__file__).parents[2]


@pytest.fixture
def project(tmp_path, monkeypatch):
    shutil.copytree(ROOT / "workflow" / "presets", tmp_path / "workflow" / "presets")
    monkeypatch.chdir(tmp_path)
    presets.apply(tmp_path, "mini")
    return tmp_path


def test_apply_and_recognise_each(project):
    for name in presets.NAMES:
        presets.apply(project, name)
        assert presets.current(project) == name


def test_the_leaderboards_cell_is_one_that_the_preset_has(project):
    named = {}
    for name in presets.NAMES:
        params = presets.params_of(project, name)
        check(params)
        for task in BOARDS:
            boards = [job.cell.name for job in all_jobs(params, task) if job.leaderboard]
            assert boards == ([params.evaluate.mad.leaderboard] if params.evaluate.mad.leaderboard else [])
        named[name] = params.evaluate.mad.leaderboard
    assert named == {
        "mini": "", "mini-full": "", "smoke": "mad-f50-s0", "paper": "mad-f100-s0", "paper-dry": "mad-f10-s0"
    }  # fmt: skip


def test_difference_lists_changed_keys(project):
    tree = yaml.safe_load((project / "params.yaml").read_text())
    tree["compute"]["threads"] = 2
    (project / "params.yaml").write_text(yaml.safe_dump(tree))
    assert presets.difference(project, "mini") == ["compute.threads: 2 -> 1"]
    assert presets.current(project) is None


def test_edits_are_not_overwritten_without_force(project):
    text = (project / "params.yaml").read_text().replace("threads: 1", "threads: 2")
    (project / "params.yaml").write_text(text)
    with pytest.raises(VldistillError, match="--force"):
        presets.apply(project, "smoke")
    assert (project / "params.yaml").read_text() == text
    presets.apply(project, "smoke", force=True)
    assert presets.current(project) == "smoke"


def test_command_shows_without_writing(project):
    before = (project / "params.yaml").read_bytes()
    result = CliRunner().invoke(command, ["smoke", "--show"])
    assert result.exit_code == 0
    assert " -> " in result.output
    assert (project / "params.yaml").read_bytes() == before
    assert "equals the preset mini" in CliRunner().invoke(command, []).output


@pytest.mark.parametrize(("name", "more"), [("smoke", {25}), ("mini", set()), ("mini-full", {25})])
def test_every_student_that_is_made_is_learnt_with(name: str, more: set[int]) -> None:
    params = presets.params_of(ROOT, name)
    mad, gaps = params.distill.mad, {0, 50} | more
    assert set(params.pretrain.student.gaps) == gaps
    students = {mad.options_of(cell.arm, cell.task, cell.fraction).student for cell in mad_cells(params)}
    assert students == {"student", *(f"student_gap{gap}" for gap in gaps)}
    arms = {cell.arm for cell in mad_cells(params)}
    assert {*mad.arms} - arms == (set() if more else {"baseline_gap25", "mad_gap25"})


def test_the_preset_mini_full_trains_on_every_task_and_fraction() -> None:
    params = presets.params_of(ROOT, "mini-full")
    mad = params.distill.mad
    seeds: dict[tuple[str, int, str], set[int]] = {}
    for cell in mad_cells(params):
        seeds.setdefault((cell.task, cell.fraction, cell.arm), set()).add(cell.seed)
    for arm in set(mad.arms) - {"undistilled_gap0"}:
        tasks = ("vcr",) if arm in MATCHING_HEAD else TASKS
        assert {place[:2] for place in seeds if place[2] == arm} == set(product(tasks, (1, 5, 10, 25, 100)))
        assert all(seeds[task, 1, arm] == set(range(5)) for task in tasks)
    trained = {(fraction, seed) for (_, fraction, _), own in seeds.items() for seed in own}
    assert set(params.split.mad.subsets) >= trained


def test_the_paper_preset_trains_every_part_and_control_on_every_fraction() -> None:
    params = presets.params_of(ROOT, "paper")
    mad, cells = params.distill.mad, mad_cells(params)
    assert {(cell.task, cell.fraction) for cell in cells if cell.arm == "mad"} == {
        (task, fraction) for task in TASKS for fraction in (1, 5, 10, 25, 100)
    }
    assert len({cell.seed for cell in cells if (cell.arm, cell.fraction) == ("mad", 1)}) == 5
    steps = [mad.options_of("mad", "vcr", fraction).training.steps for fraction in (1, 5, 10, 25, 100)]
    assert steps == sorted(set(steps)), "each fraction has steps of its own"
    assert {arm for arm in PARTS if "gap" not in arm} - {cell.arm for cell in cells} == {
        "embeddings_init",  # for words that a student never met: a published one has met them
        "projected_input",  # for a student that reads CLIP's regions
    }


def test_no_arm_of_the_paper_preset_has_settings_of_the_miniature() -> None:
    mad = presets.params_of(ROOT, "paper").distill.mad
    assert mad.settings == {}
    begun = [mad.options_of(arm, task, fraction) for arm in mad.arms for task in TASKS for fraction in (1, 10, 100)]
    assert {(each.training.learning_rate, each.training.embedding_rate) for each in begun} == {(0.00005, 1.0)}
    assert {each.weight for each in begun} == {0.0, 1.0}


def test_a_broken_params_file_can_be_replaced(project):
    (project / "params.yaml").write_text("compute: {thread: 1}\n")
    assert "compute.thread: 1 -> (absent)" in presets.difference(project, "mini")
    with pytest.raises(VldistillError):
        presets.apply(project, "mini")
    presets.apply(project, "mini", force=True)
    assert presets.current(project) == "mini"


def test_trials_of_a_published_student_differ_in_the_learning_rate() -> None:
    swept = {"distill": {"mad": {"sweep": {"trial": 1}}}, "evaluate": {"mad": {"split": "dev"}}}
    with pytest.raises(InputError, match=r"two agree in the learning rate.*source vilt"):
        parse(presets.merge(swept, {"pretrain": {"student": {"source": "vilt"}}}))
    paper = presets.merge(presets.overlay(ROOT, "paper"), swept)
    sweep = parse(presets.merge(Params().model_dump(mode="json"), paper)).distill.mad.sweep
    assert len({trial.learning_rate for trial in sweep.trials}) == len(sweep.trials) == 8
