"""Cells end to end: every arm and task, resume and kill, reuse, tuning, the gathered artifact."""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from tests.contents import contents, differences
from tests.distill.mad.project import TRAINING, WIDTH, arms_on, cell, inference_cost, write_params
from vldistill import artifact, layout
from vldistill.cells import mad_cells
from vldistill.cli.distill import command
from vldistill.distill import mad_batch, mad_gather
from vldistill.distill.mad.cell import run_mad_cell
from vldistill.distill.mad.key import cell_key, look_up, maps_key, read_options
from vldistill.distill.mad.prepare import prepare
from vldistill.errors import InputError
from vldistill.models.mad import MadModel
from vldistill.params import Params, parse
from vldistill.params.mad import MadOptions
from vldistill.params.mad_arms import MATCHING_HEAD
from vldistill.params.mad_grid import TASKS
from vldistill.training import Stopped

SCRIPT = "tests.distill.mad.project"
PROJECT = Path(__file__).parents[3]


@pytest.mark.parametrize("task", TASKS)
def test_every_arm_trains_on_every_task(rendered: Path, task: Any) -> None:
    params = write_params(rendered)
    for arm in arms_on(task):
        run = run_mad_cell(params, rendered, cell(arm, task))
        assert run.result is not None
        options = params.distill.mad.options_of(arm, task, 50)
        assert run.result["metrics"]["step"] == options.steps and run.result["items"] > 0
        teachers = {"clip_image", "clip_text", "language_model"} if options.weight else set()
        assert set(run.result["weights"]) == teachers
        model = MadModel.load(run.path / "model")
        assert model.facts["options"]["weight"] == options.weight and not model.training
        assert not (run.path / "checkpoints").exists()


@pytest.mark.parametrize("task", TASKS)
def test_in_prediction_parameters_and_flops_are_the_baselines(rendered: Path, task: Any) -> None:
    params = write_params(rendered)
    seen = prepare(params, rendered, cell("projected_input", task)).task
    batch, costs = seen.collate(np.arange(3), np.random.default_rng(0)), {}
    for arm in arms_on(task):
        run = run_mad_cell(params, rendered, cell(arm, task))
        costs[arm] = inference_cost(MadModel.load(run.path / "model"), batch)
    for arm in (arm for arm in MATCHING_HEAD if arm in costs):
        parameters, _ = costs.pop(arm)
        assert parameters == costs["baseline"][0] + WIDTH + 1, "one layer more"
    # by design, this one alone reads more: the teacher's vectors
    more = costs.pop("projected_input")
    assert set(costs.values()) == {costs["baseline"]} and min(costs["baseline"]) > 0
    assert all(one > other for one, other in zip(more, costs["baseline"], strict=True))


def test_a_baseline_that_is_stopped_early_was_on_the_way_of_the_whole_one(root: Path) -> None:
    params = write_params(root, training={**TRAINING, "log_every": 1})
    whole, half = (run_mad_cell(params, root, cell(arm)) for arm in ("baseline", "stopped_50"))
    lines = [(run.path / "metrics.jsonl").read_text().splitlines() for run in (whole, half)]
    names = ("step", "loss", "learning_rate")
    measured = [[{name: row[name] for name in names} for row in map(json.loads, each)] for each in lines]
    assert (len(measured[0]), len(measured[1])) == (6, 3)
    assert measured[1] == measured[0][:3]
    rate = params.distill.mad.options_of("stopped_50", "snli_ve", 50).training.learning_rate
    assert measured[1][-1]["learning_rate"] > 0.5 * rate


def test_batches_then_gather(root: Path, tmp_path: Path) -> None:
    params = write_params(root, active=["baseline", "mad"], default_seeds=1, fractions=[50])
    receipt = mad_batch(params, root, "snli_ve", 0)
    assert receipt == layout.receipt(root, "distill/mad/snli_ve", 0)
    assert set(json.loads(receipt.read_text())["cells"]) == {"baseline-f50-s0", "mad-f50-s0"}
    folder = mad_gather(params, root, "snli_ve")
    assert folder == root / "results/distill/mad/snli_ve"
    assert artifact.verify(folder)["meta"]["cells"] == ["baseline-f50-s0", "mad-f50-s0"]
    assert json.loads(layout.run_record(folder).read_text())["cells"]["mad-f50-s0"]["wall_seconds"] > 0
    shutil.copytree(folder / "mad-f50-s0", tmp_path / "elsewhere")
    shutil.rmtree(root)
    model = MadModel.load(tmp_path / "elsewhere")
    assert (model.facts["arm"], model.task, model.facts["toy"]) == ("mad", "snli_ve", True)
    card = (tmp_path / "elsewhere/README.md").read_text()
    assert "toy" in card and "6 of 6 steps" in card and "MIT" in card


@pytest.mark.parametrize(("arm", "other"), [("constant_weight", "cw"), ("mad_constant_weight", "mad")])
def test_constant_weights_are_the_partners_mean(root: Path, arm: str, other: str) -> None:
    params = write_params(root)
    run = run_mad_cell(params, root, cell(arm, "snli_ve"))
    partner = look_up(params, root, cell(other, "snli_ve"))
    assert run.result and partner.result, "the partner was not trained first"
    assert run.result["weights"] == pytest.approx(partner.result["weights"], rel=1e-5)
    lines = [json.loads(line) for line in (partner.path / "metrics.jsonl").read_text().splitlines()]
    mean = (4 * lines[0]["weight_clip_text"] + 2 * lines[1]["weight_clip_text"]) / 6
    assert partner.result["weights"]["clip_text"] == pytest.approx(mean)


def test_holdout_is_kept_from_training_and_scored(root: Path) -> None:
    whole = run_mad_cell(write_params(root), root, cell("projected_input", "vcr")).result
    tuned = run_mad_cell(write_params(root, tuning={"holdout": 0.4}), root, cell("projected_input", "vcr")).result
    assert whole and tuned and "holdout" not in whole
    assert tuned["items"] + tuned["holdout"]["items"] == whole["items"] and tuned["groups"] < whole["groups"]
    assert 0 <= tuned["holdout"]["accuracy"] <= 100


@pytest.mark.parametrize("task", TASKS)
def test_stopped_and_resumed_ends_bit_equal(root: Path, task: Any) -> None:
    params = write_params(root)
    straight = run_mad_cell(params, root, cell("nkd_trainable", task)).path
    expected = contents(straight)
    shutil.rmtree(straight)
    with pytest.raises(Stopped) as stopped:
        run_mad_cell(params, root, cell("nkd_trainable", task), deadline=0.0)
    assert stopped.value.code == 75 and not look_up(params, root, cell("nkd_trainable", task)).done
    resumed = run_mad_cell(params, root, cell("nkd_trainable", task)).path
    assert not differences(contents(resumed), expected)


@pytest.mark.slow
def test_killed_at_random_moments_ends_bit_equal(root: Path) -> None:
    long = {**TRAINING, "steps": 150, "checkpoint_every": 9}
    params = write_params(root, training=long, active=["mad"], default_seeds=1, fractions=[50])
    own = look_up(params, root, cell()).path
    began = time.monotonic()
    assert script(root).wait(timeout=300) == 0
    length, straight = time.monotonic() - began, contents(own)
    shutil.rmtree(own)
    rng, hits = random.Random(1), 0
    for _ in range(4):
        process = script(root)
        time.sleep(rng.uniform(0.02, 0.3) * length)
        hits += process.poll() is None
        process.kill()
        process.wait()
    assert script(root).wait(timeout=300) == 0
    assert hits >= 2, "the kills came too late to test anything"
    assert not differences(contents(own), straight)


@pytest.mark.slow
def test_killed_before_any_rename_ends_with_the_same_files(root: Path) -> None:
    short = {**TRAINING, "steps": 4, "checkpoint_every": 2, "log_every": 2, "keep": 1}
    write_params(root, training=short, head={"folds": 2, "steps": 1})
    script = [sys.executable, "-m", "tests.distill.mad.kills", str(root)]
    env = {**os.environ, "OMP_NUM_THREADS": "1"}
    found = subprocess.run(script, cwd=PROJECT, env=env, stdout=subprocess.PIPE, text=True, check=True, timeout=300)
    kills = [json.loads(line) for line in found.stdout.splitlines()]
    left = {name for kill in kills for name in kill["left"]}
    assert left >= {".lock.json", ".key.json", ".metrics.jsonl", ".step-00000002", ".model", ".result.json"}
    assert not [kill for kill in kills if kill["differences"]]


@pytest.mark.slow
def test_a_finished_cell_needs_no_torch(root: Path) -> None:
    params = write_params(root, default_seeds=1, fractions=[50])
    mad_batch(params, root, "snli_ve", 0)
    code = (
        "import sys; from vldistill.distill import mad_batch; from vldistill.params import load\n"
        "mad_batch(load('params.yaml'), '.', 'snli_ve', 0)\nassert 'torch' not in sys.modules, 'torch was imported'"
    )
    subprocess.run([sys.executable, "-c", code], cwd=root, check=True, timeout=120)


def test_a_new_seed_of_one_arm_asks_for_its_cells_only(root: Path) -> None:
    few = {"active": ["baseline", "mad"], "default_seeds": 1, "fractions": [50]}
    params = write_params(root, **few)
    mad_batch(params, root, "snli_ve", 0)
    more = write_params(root, **few, seeds={"mad": 2})
    missing = [each.name for each in mad_cells(more, "snli_ve") if not look_up(more, root, each).done]
    assert missing == ["mad-f50-s1"]


def test_key_changes_with_what_is_read_only(root: Path) -> None:
    def key(arm: str, **mad: Any) -> dict[str, Any]:
        return cell_key(write_params(root, **mad), root, cell(arm))

    base, mad = key("baseline"), key("mad")
    for changes in (
        {"confidence": {"most": 5.0}},
        {"teachers": {"language_model": 0.0}},
        {"distance": "l1"},
        {"tokens": 3},
        {"scope": "whole"},
        {"projections": {"alpha": 0.1}},
        {"most_answers": 10},
        {"seeds": {"mad": 1}},
    ):
        assert key("baseline", **changes) == base
    assert key("mad", distance="l1") != mad and key("mad", weight=2.0) != mad
    assert key("ts", head={"steps": 9}) == key("ts") and key("mad", head={"steps": 9}) != mad
    for part in ({"tokens": 3}, {"scope": "whole"}):
        assert key("nkd", **part) == key("nkd") and key("mad", **part) != mad
    two = {"texts", "phrases", "phrase_features"}
    assert set(mad["inputs"]) - set(base["inputs"]) == {*two, "language_model"}
    assert set(key("mad", teachers={"language_model": 0.0})["inputs"]) - set(base["inputs"]) == two
    assert key("constant_weight", confidence={"most": 5.0})["weights_of"] != key("constant_weight")["weights_of"]


OPTIONS: list[tuple[dict[str, Any], set[str]]] = [
    ({"confidence": {"most": 5.0}}, {"mad", "mad_af"}),
    ({"confidence": {"value": 0.5}}, {"ts", "nkd", "nkd_trainable"}),
    ({"confidence": {"normalise": True}}, {"mad", "mad_af", "ts", "nkd", "nkd_trainable", "constant_weight"}),
    ({"confidence": {"equal_to": "mad"}}, set()),
    ({"head": {"steps": 9}}, {"mad", "mad_af"}),
    ({"adapt": {"batch_size": 9}}, {"mad_af"}),
    ({"adapt": {"scale": 9.0}}, {"mad_af"}),
    ({"projections": {"pairs": 60}}, {"mad", "mad_af", "ts", "nkd", "constant_weight", "projected_input"}),
    ({"projections": {"alpha": 0.5}}, {"mad", "mad_af", "ts", "nkd", "constant_weight", "projected_input"}),
]


@pytest.mark.parametrize(("changes", "readers"), OPTIONS, ids=[str(changes) for changes, _ in OPTIONS])
def test_an_option_is_part_of_the_keys_of_its_readers_only(changes: dict[str, Any], readers: set[str]) -> None:
    arms = {"mad", "mad_af", "ts", "nkd", "nkd_trainable", "constant_weight", "projected_input", "baseline"}
    before, after = parse({}).distill.mad, parse({"distill": {"mad": changes}}).distill.mad
    read = [{arm: read_options(each.options_of(arm, "vcr", 10), "vcr") for arm in arms} for each in (before, after)]
    assert {arm for arm in arms if read[0][arm] != read[1][arm]} == readers


@pytest.mark.parametrize(("alone", "read"), [({}, False), ({"embeddings": "teacher"}, True)])
def test_maps_that_start_the_word_embeddings_are_read_beside_trainable_ones(alone: dict[str, Any], read: bool) -> None:
    one, other = (
        MadOptions.model_validate({"projections": {"kind": "trainable", "pairs": pairs}, **alone}) for pairs in (60, 90)
    )
    assert (read_options(one, "vcr") != read_options(other, "vcr")) == read


def test_maps_are_shared_by_all_that_read_the_same_teachers(root: Path) -> None:
    def maps(params: Params, *arms: str) -> set[str]:
        return {json.dumps(maps_key(params, root, cell(arm, task))) for arm in arms for task in TASKS}

    alone, three = ("projected_input", "embeddings_init"), write_params(root)
    of_all, of_clip = maps(three, "mad", "nkd"), maps(three, *alone)
    assert len(of_all) == len(of_clip) == 1 and of_all != of_clip
    two = write_params(root, teachers={"language_model": 0.0})
    assert maps(two, "mad", "nkd", *alone) == of_clip


def test_bad_input(root: Path) -> None:
    params = write_params(root, fractions=[50], default_seeds=1)
    with pytest.raises(InputError, match=r"no task called 'vqav2'.*snli_ve, vcr, vqa"):
        mad_batch(params, root, "vqav2", 0)
    with pytest.raises(InputError, match=r"no batch 5.*Batches: 0 to 0"):
        mad_batch(params, root, "vcr", 5)
    with pytest.raises(InputError, match=r"cell baseline-f50-s0 is not finished.*distill mad vcr --batch 0"):
        mad_gather(params, root, "vcr")
    with pytest.raises(InputError, match=r"distill\.mad\.tasks: no cell on vqa"):
        mad_batch(write_params(root, tasks=["vcr"]), root, "vqa", 0)
    subset = layout.split(root, "vcr", "train-50-s0")
    kept = json.loads(subset.read_text())
    subset.write_text(json.dumps({**kept, "ids": [*kept["ids"], "gone"]}))
    with pytest.raises(InputError, match=r"gone.*lack"):
        run_mad_cell(write_params(root), root, cell("baseline", "vcr"))
    shutil.rmtree(layout.features(root, "clip", "texts"))
    with pytest.raises(InputError, match=r"clip/texts.*no finished artifact"):
        run_mad_cell(write_params(root), root, cell("mad", "vcr"))


def test_the_command_trains_and_gathers(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_params(root, active=["baseline"], default_seeds=2, fractions=[100])
    monkeypatch.chdir(root)
    made = CliRunner().invoke(command, ["mad", "vcr"], catch_exceptions=False)
    assert made.exit_code == 0, made.output
    assert artifact.verify(layout.distill_mad(root, "vcr"))["meta"]["cells"] == ["baseline-f100-s0", "baseline-f100-s1"]
    both = CliRunner().invoke(command, ["mad", "vcr", "--batch", "0", "--gather"])
    assert both.exit_code == 2 and "not both" in both.output
    assert "vqav2" in CliRunner().invoke(command, ["mad", "vqav2"]).output


def script(root: Path) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-m", SCRIPT, str(root), "snli_ve"],
        cwd=PROJECT,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert process.stdout is not None and process.stdout.readline() == "ready\n"
    return process
