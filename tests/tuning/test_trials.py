"""The trial table: what it holds, what is chosen from it, and which sweeps are refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.tuning.factory import mad, write_trial
from vldistill.compare.table import to_markdown
from vldistill.errors import InputError
from vldistill.params import parse
from vldistill.tuning.table import BEGIN, END, choices, table, to_yaml, write
from vldistill.tuning.trials import Trials, gathered, read_models

POINTS = (1, 2, 3)
# the hold-out prefers trial 2 of all arms; dev the third of MAD and the first of the baseline
HELD = {1: 60.0, 2: 62.0, 3: 61.0}
DEV = {"baseline": {1: 59.0, 2: 58.0, 3: 57.0}, "nkd": HELD, "mad": {1: 70.0, 2: 71.0, 3: 72.0}}


def recipe(arm: str, task: str, trial: int) -> tuple[float, float]:
    """VCR is harder by ten points and prefers trial 1 a little."""
    off = -10.0 + (trial == 1) * 0.5 if task == "vcr" else 0.0
    return HELD[trial] + off, DEV[arm][trial] + off


@pytest.fixture
def folders(tmp_path: Path) -> dict[str, Path]:
    """Three trials of eight, a checkout each."""
    return {f"trial-{number}": write_trial(tmp_path / str(number), number, recipe) for number in POINTS}


def read(folders: dict[str, Path]) -> Trials:
    sweep = mad().sweep
    return gathered([model for name, root in folders.items() for model in read_models(name, root, sweep)], sweep)


def edited(path: Path, change: Any) -> None:
    config = json.loads(path.read_text())
    change(config)
    path.write_text(json.dumps(config))


def test_every_arm_has_its_trials_with_means_over_seeds(folders: dict[str, Path]) -> None:
    trials = read(folders)
    assert trials.places == [("snli_ve", 10), ("vcr", 10)]
    assert {arm: list(own) for arm, own in trials.scores.items()} == {arm: [1, 2, 3] for arm in DEV}
    score = trials.scores["mad"][3]["vcr", 10]
    assert (score.seeds, score.items) == (3, {"holdout": 101, "dev": 500})
    assert score.values == {"holdout": pytest.approx(52.0), "dev": pytest.approx(63.0)}
    assert trials.mean("mad", 3, "dev") == pytest.approx((73 + 63) / 2)
    assert [trials.chosen(arm, "holdout") for arm in DEV] == [2, 2, 2]
    assert [trials.chosen(arm, "dev") for arm in DEV] == [1, 2, 3]


def test_of_equal_trials_the_first_is_chosen(tmp_path: Path) -> None:
    trials = read({str(n): write_trial(tmp_path / str(n), n, lambda *_: (50.0, 50.0)) for n in (3, 2)})
    assert trials.chosen("mad", "holdout") == trials.chosen("mad", "dev") == 2


def test_the_table_marks_what_each_criterion_chooses(folders: dict[str, Path]) -> None:
    made = table(read(folders), mad(), {"trial-1": "0" * 40, "elsewhere": ""})
    shown = [{key: row[key].shown for key, _ in made.columns} for row in made.rows]
    chosen = {(row["arm"], row["trial"]): row["chosen"] for row in shown if row["chosen"]}
    assert chosen == {
        ("baseline", "1"): "dev",
        ("baseline", "2"): "hold-out",
        ("nkd", "2"): "hold-out and dev",
        ("mad", "2"): "hold-out",
        ("mad", "3"): "dev",
    }
    assert {row["weight"] for row in shown if row["arm"] == "baseline"} == {"\u2013"}
    assert [row["weight"] for row in shown if row["arm"] == "mad"] == ["1", "3", "10"]
    assert ("snli_ve.10.holdout", "snli_ve 10 %, hold-out, n = 101") in made.columns
    text = "\n".join(made.notes)
    assert "3 trials of each arm" in text and "Not run, by no arm: trial 4, 5, 6, 7, 8." in text
    assert "trial-1 (0000000000), elsewhere" in text


def test_choices_become_arms_that_params_accept(folders: dict[str, Path]) -> None:
    found = yaml.safe_load(to_yaml(choices(read(folders), mad())))["distill"]["mad"]
    assert found["sweep"]["on_dev"] == {"baseline": "baseline_dev_tuned", "nkd": "nkd", "mad": "mad_dev_tuned"}
    assert found["extra"]["dev_tuned"]["arms"] == ["baseline_dev_tuned", "mad_dev_tuned"]
    assert "nkd_dev_tuned" not in found["arms"]
    options = parse({"distill": {"mad": found}}).distill.mad
    tuned = {arm: options.options_of(arm, "vcr", 10) for arm in options.arms}
    assert [tuned[arm].training.learning_rate for arm in DEV] == [0.0005] * 3
    assert (tuned["baseline"].weight, tuned["baseline_dev_tuned"].weight) == (0.0, 0.0)
    assert tuned["baseline_dev_tuned"].training.learning_rate == 0.00025
    assert (tuned["mad"].weight, tuned["mad_dev_tuned"].weight) == (3.0, 10.0)
    assert (tuned["nkd"].target, tuned["nkd"].confidence.kind) == ("cls", "constant")
    shared = {"of": "nkd", "over": {"confidence": {"kind": "constant"}}}
    assert to_yaml({"nkd": shared, "nkd_dev_tuned": shared}).count("constant") == 2, "no reference between arms"
    # a trial goes over the settings that were chosen: the sweep can be repeated
    again = mad(**{**found, "sweep": {**found["sweep"], "trial": 7}}).options_of("mad", "vcr", 10).training
    assert (again.learning_rate, again.embedding_rate) == (0.001, 20.0)


def test_trials_that_differ_in_the_embedding_rate_alone_are_told_apart(tmp_path: Path) -> None:
    trials = read({str(n): write_trial(tmp_path / str(n), n, lambda _, __, n: (50.0 + n, 60.0 - n)) for n in (2, 6)})
    rows = [row for row in table(trials, mad(), {}).rows if row["arm"].text == "nkd"]
    assert [(row["rate"].text, row["embedding_rate"].text, row["weight"].text) for row in rows] == [
        ("0.0005", "1", "3"),
        ("0.0005", "20", "3"),
    ]
    options = parse(choices(trials, mad())).distill.mad
    for arm in DEV:
        tuned = [options.options_of(name, "snli_ve", 10).training for name in (arm, f"{arm}_dev_tuned")]
        assert [(one.learning_rate, one.embedding_rate) for one in tuned] == [(0.0005, 20.0), (0.0005, 1.0)]


def test_the_table_is_written_between_the_marks(folders: dict[str, Path], tmp_path: Path) -> None:
    page, made = tmp_path / "tuning.md", to_markdown(table(read(folders), mad(), {}))
    page.write_text(f"# Tuning\n\n{BEGIN}\nnothing yet\n{END}\n\nThe end.\n")
    for _ in range(2):
        write(page, [made, "choices"])
        text = page.read_text()
        assert text.startswith(f"# Tuning\n\n{BEGIN}\n\n**Trials, percent**") and text.endswith(f"{END}\n\nThe end.\n")
        assert text.count("choices") == 1 and "nothing yet" not in text
    page.write_text("# Tuning\n")
    with pytest.raises(InputError, match=r"tuning\.md.*marks of the trials.*end of trials"):
        write(page, [made])
    with pytest.raises(InputError, match="no such file"):
        write(tmp_path / "other.md", [made])


def test_an_arm_with_fewer_trials_is_named(folders: dict[str, Path], tmp_path: Path) -> None:
    write_trial(tmp_path / "4", 4, lambda *_: (50.0, 50.0), arms=["baseline", "mad"])
    with pytest.raises(InputError, match=r"arm nkd has 3 trials, others have 4: it lacks 4.*same number of trials"):
        read({**folders, "trial-4": tmp_path / "4"})


def test_a_trial_with_fewer_seeds_or_tasks_is_named(folders: dict[str, Path], tmp_path: Path) -> None:
    short = write_trial(tmp_path / "4", 4, lambda *_: (50.0, 50.0), seeds=2)
    with pytest.raises(InputError, match=r"trial 4 of arm baseline lacks 2 of 6 models, first snli_ve/baseline-f10-s2"):
        read({**folders, "trial-4": short})
    short = write_trial(tmp_path / "one", 4, lambda *_: (50.0, 50.0), sweep={"tasks": ["snli_ve"]})
    with pytest.raises(InputError, match=r"trial 4 of arm baseline lacks 3 of 6 models, first vcr/baseline-f10-s0"):
        read({**folders, "trial-4": short})
    with pytest.raises(InputError, match="no trial on vcr at 10 %"):
        read({"trial-4": short})


def test_a_trial_twice_is_refused(folders: dict[str, Path]) -> None:
    with pytest.raises(InputError, match="trial 2 stands twice, in trial-2 and in again"):
        read({**folders, "again": folders["trial-2"]})


def test_trials_that_differ_in_more_than_their_settings_are_refused(folders: dict[str, Path], tmp_path: Path) -> None:
    other = write_trial(tmp_path / "4", 4, lambda *_: (50.0, 50.0), label_smoothing=0.1)
    with pytest.raises(InputError, match=r"options\.label_smoothing: not the same in trial-1 and in trial-4"):
        read({**folders, "trial-4": other})
    other = write_trial(tmp_path / "4", 4, lambda *_: (50.0, 50.0), sweep={"holdout": 0.5})
    with pytest.raises(InputError, match=r"options\.tuning\.holdout: not the same"):
        read({**folders, "trial-4": other})
    file = folders["trial-3"] / "results/distill/mad/vcr/mad-f10-s1/config.json"
    edited(file, lambda config: config["holdout"].update(items=7))
    with pytest.raises(InputError, match=r"trial-3, vcr/mad-f10-s1: judged on other items than vcr/\w+-f10-s1"):
        read(folders)
    edited(file, lambda config: config["inputs"].update(records="other"))
    with pytest.raises(InputError, match=r"inputs\.records: not the same in trial-1 and in trial-3"):
        read(folders)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda config: config.pop("holdout"),
            r"trial-1:results/.*config\.json, field holdout: trained without a hold",
        ),
        (
            lambda config: config["options"]["training"].update(embedding_rate=2.0),
            r"settings of no trial: training\.learning_rate 0\.00025, training\.embedding_rate 2\.0, weight 1\.0",
        ),
        (lambda config: config["options"]["training"].pop("embedding_rate"), r"training\.embedding_rate absent"),
    ],
)
def test_models_of_no_trial_are_refused(folders: dict[str, Path], change: Any, message: str) -> None:
    edited(folders["trial-1"] / "results/distill/mad/snli_ve/mad-f10-s0/config.json", change)
    with pytest.raises(InputError, match=message):
        read(folders)


def test_scores_that_are_not_of_dev_are_refused(folders: dict[str, Path], tmp_path: Path) -> None:
    file = folders["trial-1"] / "results/evaluate/mad/score/scores-vcr.jsonl"
    text = file.read_text()
    file.write_text(text.replace('"split": "dev"', '"split": "test"').replace('"split":"dev"', '"split":"test"'))
    with pytest.raises(InputError, match=r"trial-1:.*scores-vcr\.jsonl, field split: scored on test"):
        read(folders)
    file.unlink()
    with pytest.raises(InputError, match=r"no score on dev of baseline-f10-s0.*evaluate_mad_score@TASK"):
        read(folders)
    with pytest.raises(InputError, match=r"none:results/distill/mad: no model of baseline, nkd, mad on snli_ve, vcr"):
        read_models("none", tmp_path / "none", mad().sweep)
