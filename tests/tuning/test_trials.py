"""The trial table: what it holds, what is chosen from it, and which sweeps are refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.tuning.factory import Recipe, mad, write_trial
from vldistill.compare.table import to_markdown
from vldistill.errors import InputError
from vldistill.params import parse
from vldistill.tuning.table import BEGIN, END, choices, tables, to_yaml, write
from vldistill.tuning.trials import Trials, gathered, read_models

POINTS = (1, 2, 3)
ARMS = ("baseline", "nkd", "mad")
# what each criterion prefers; dev as the hold-out but for MAD at 25 % of VCR
BEST = {("snli_ve", 10): 2, ("snli_ve", 25): 2, ("vcr", 10): 1, ("vcr", 25): 3}
FEW: dict[str, Any] = {"seeds": {"10": 3, "25": 2}, "tasks": ["snli_ve", "vcr"], "fractions": [10, 25]}


def recipe(arm: str, task: str, fraction: int, trial: int) -> tuple[float, float]:
    """Five points for the best trial of a place."""
    best = BEST[task, fraction]
    on_dev = 2 if (arm, task, fraction) == ("mad", "vcr", 25) else best
    return 60.0 + 5 * (trial == best), 50.0 + 5 * (trial == on_dev)


def flat(*_: Any) -> tuple[float, float]:
    return 50.0, 50.0


def write_few(root: Path, number: int, recipe: Recipe, sweep: dict[str, Any] | None = None, **changes: Any) -> Path:
    """A trial of two tasks at two sizes."""
    return write_trial(root, number, recipe, sweep={**FEW, **(sweep or {})}, **changes)


@pytest.fixture
def folders(tmp_path: Path) -> dict[str, Path]:
    """Three trials of eight, a checkout each."""
    return {f"trial-{number}": write_few(tmp_path / str(number), number, recipe) for number in POINTS}


def read(folders: dict[str, Path]) -> Trials:
    sweep = mad(sweep=FEW).sweep
    return gathered([model for name, root in folders.items() for model in read_models(name, root, sweep)], sweep)


def edited(path: Path, change: Any) -> None:
    config = json.loads(path.read_text())
    change(config)
    path.write_text(json.dumps(config))


def test_every_arm_has_its_trials_with_means_over_seeds(folders: dict[str, Path]) -> None:
    trials = read(folders)
    assert trials.places == list(BEST)
    assert {arm: list(own) for arm, own in trials.scores.items()} == {arm: [1, 2, 3] for arm in ARMS}
    score = trials.scores["mad"][3]["vcr", 10]
    assert (score.seeds, score.items) == (3, {"holdout": 101, "dev": 500})
    # of seeds 0 to 2, each a point better than the one before
    assert score.values == {"holdout": pytest.approx(61.0), "dev": pytest.approx(51.0)}
    assert trials.scores["mad"][3]["vcr", 25].seeds == 2
    assert trials.scores["mad"][3]["vcr", 25].values["holdout"] == pytest.approx(65.5)


def test_each_criterion_chooses_in_each_place(folders: dict[str, Path]) -> None:
    trials = read(folders)
    for arm in ARMS:
        assert {where: trials.chosen(arm, where, "holdout") for where in BEST} == BEST
        assert {where: trials.chosen(arm, where, "dev") for where in BEST} == BEST | (
            {("vcr", 25): 2} if arm == "mad" else {}
        )


def test_of_equal_trials_the_first_is_chosen(tmp_path: Path) -> None:
    trials = read({str(n): write_few(tmp_path / str(n), n, flat) for n in (3, 2)})
    assert {trials.chosen("mad", where, name) for where in BEST for name in ("holdout", "dev")} == {2}


def test_a_table_a_task_marks_what_each_criterion_chooses(folders: dict[str, Path]) -> None:
    first, second = tables(read(folders), mad(sweep=FEW), {"trial-1": "0" * 40, "elsewhere": ""})
    shown = {
        made.name: [{key: row[key].shown for key, _ in made.columns} for row in made.rows] for made in (first, second)
    }
    chosen = {
        (name, row["arm"], row["trial"]): row["chosen"] for name, rows in shown.items() for row in rows if row["chosen"]
    }
    assert chosen == {
        **{("trials_snli_ve", arm, "2"): "hold-out: 10, 25 %; dev: 10, 25 %" for arm in ARMS},
        **{("trials_vcr", arm, "1"): "hold-out: 10 %; dev: 10 %" for arm in ARMS},
        **{("trials_vcr", arm, "3"): "hold-out: 25 %; dev: 25 %" for arm in ("baseline", "nkd")},
        ("trials_vcr", "mad", "2"): "dev: 25 %",
        ("trials_vcr", "mad", "3"): "hold-out: 25 %",
    }
    assert {row["weight"] for row in shown["trials_vcr"] if row["arm"] == "baseline"} == {"\u2013"}
    assert [row["weight"] for row in shown["trials_vcr"] if row["arm"] == "mad"] == ["1", "3", "1"]
    assert ("25.holdout", "25 %, hold-out, n = 250") in first.columns
    assert all("Seeds: 3 at 10 %, 2 at 25 %" in made.notes[0] for made in (first, second))
    text = "\n".join(second.notes)
    assert "3 trials of each arm" in text and "Not run, by no arm: trial 4, 5, 6, 7, 8." in text
    assert "trial-1 (0000000000), elsewhere" in text and len(first.notes) == 1


def test_choices_become_arms_that_params_accept(folders: dict[str, Path]) -> None:
    text = to_yaml(choices(read(folders), mad(sweep=FEW)))
    assert "snli_ve-10: {learning_rate: 0.0005, embedding_rate: 1.0}" in text and "&id" not in text
    found = yaml.safe_load(text)["distill"]["mad"]
    assert found["sweep"]["on_dev"] == {"baseline": "baseline", "nkd": "nkd", "mad": "mad_dev_tuned"}
    assert found["extra"]["dev_tuned"] == {"arms": ["mad_dev_tuned"], "tasks": FEW["tasks"], "fractions": [10]}
    assert list(found["settings"]) == [*ARMS, "mad_dev_tuned"]
    assert found["sweep"]["chosen"] == ["snli_ve-10", "snli_ve-25", "vcr-10", "vcr-25"]
    options = parse({"distill": {"mad": found}}).distill.mad
    assert [where for where in BEST if not options.dev_agrees("mad", *where)] == [("vcr", 25)]
    assert all(options.chosen_at(arm, *where) for arm in (*ARMS, "ts", "stopped_50") for where in BEST)
    assert not options.chosen_at("mad", "vcr", 100) and not options.chosen_at("mad", "vqa", 10)

    def tuned(arm: str, *where: Any) -> tuple[float, float]:
        own = options.options_of(arm, *where)
        return own.training.learning_rate, own.weight

    rates = {where: mad().sweep.trials[trial - 1].learning_rate for where, trial in BEST.items()}
    assert {where: tuned("baseline", *where) for where in BEST} == {where: (rate, 0.0) for where, rate in rates.items()}
    assert {where: tuned("stopped_50", *where)[0] for where in BEST} == rates
    assert tuned("nkd", "vcr", 25) == tuned("ts", "vcr", 25) == tuned("mad", "vcr", 25) == (0.001, 1.0)
    assert tuned("mad_dev_tuned", "vcr", 25) == (0.0005, 3.0)
    assert tuned("mad_dev_tuned", "vcr", 10) == tuned("mad", "vcr", 10) == (0.00025, 1.0)
    # a trial goes over the settings that were chosen: the sweep can be repeated
    again = mad(**{**found, "sweep": {**found["sweep"], "trial": 7}}).options_of("mad", "vcr", 10).training
    assert (again.learning_rate, again.embedding_rate) == (0.001, 20.0)


def test_trials_that_differ_in_the_embedding_rate_alone_are_told_apart(tmp_path: Path) -> None:
    trials = read({str(n): write_few(tmp_path / str(n), n, lambda *of: (50.0 + of[3], 60.0 - of[3])) for n in (2, 6)})
    rows = [row for row in tables(trials, mad(), {})[0].rows if row["arm"].text == "nkd"]
    assert [(row["rate"].text, row["embedding_rate"].text, row["weight"].text) for row in rows] == [
        ("0.0005", "1", "3"),
        ("0.0005", "20", "3"),
    ]
    options = parse(choices(trials, mad())).distill.mad
    for arm in ARMS:
        tuned = [options.options_of(name, "snli_ve", 10).training for name in (arm, f"{arm}_dev_tuned")]
        assert [(one.learning_rate, one.embedding_rate) for one in tuned] == [(0.0005, 20.0), (0.0005, 1.0)]


def test_the_table_is_written_between_the_marks(folders: dict[str, Path], tmp_path: Path) -> None:
    page, made = tmp_path / "tuning.md", to_markdown(tables(read(folders), mad(), {})[0])
    page.write_text(f"# Tuning\n\n{BEGIN}\nnothing yet\n{END}\n\nThe end.\n")
    for _ in range(2):
        write(page, [made, "choices"])
        text = page.read_text()
        assert text.startswith(f"# Tuning\n\n{BEGIN}\n\n**snli_ve: trials, percent**") and text.endswith(
            f"{END}\n\nThe end.\n"
        )
        assert text.count("choices") == 1 and "nothing yet" not in text
    page.write_text("# Tuning\n")
    with pytest.raises(InputError, match=r"tuning\.md.*marks of the trials.*end of trials"):
        write(page, [made])
    with pytest.raises(InputError, match="no such file"):
        write(tmp_path / "other.md", [made])


def test_an_arm_with_fewer_trials_is_named(folders: dict[str, Path], tmp_path: Path) -> None:
    write_few(tmp_path / "4", 4, flat, arms=["baseline", "mad"])
    with pytest.raises(InputError, match=r"arm nkd has 3 trials, others have 4: it lacks 4.*same number of trials"):
        read({**folders, "trial-4": tmp_path / "4"})


def test_a_trial_with_fewer_seeds_or_tasks_is_named(folders: dict[str, Path], tmp_path: Path) -> None:
    lacks = "trial 4 of arm baseline lacks"
    short = write_few(tmp_path / "4", 4, flat, {"seeds": {"10": 3, "25": 1}})
    with pytest.raises(InputError, match=rf"{lacks} 2 of 10 models, first snli_ve/baseline-f25-s1"):
        read({**folders, "trial-4": short})
    short = write_few(tmp_path / "one", 4, flat, {"tasks": ["snli_ve"]})
    with pytest.raises(InputError, match=rf"{lacks} 5 of 10 models, first vcr/baseline-f10-s0"):
        read({**folders, "trial-4": short})
    with pytest.raises(InputError, match="no trial on vcr at 10 %"):
        read({"trial-4": short})
    short = write_few(tmp_path / "small", 4, flat, {"fractions": [10]})
    with pytest.raises(InputError, match=rf"{lacks} 4 of 10 models, first snli_ve/baseline-f25-s0"):
        read({**folders, "trial-4": short})


def test_a_trial_twice_is_refused(folders: dict[str, Path]) -> None:
    with pytest.raises(InputError, match="trial 2 stands twice, in trial-2 and in again"):
        read({**folders, "again": folders["trial-2"]})


def test_trials_that_differ_in_more_than_their_settings_are_refused(folders: dict[str, Path], tmp_path: Path) -> None:
    other = write_few(tmp_path / "4", 4, flat, label_smoothing=0.1)
    with pytest.raises(InputError, match=r"options\.label_smoothing: not the same in trial-1 and in trial-4"):
        read({**folders, "trial-4": other})
    other = write_few(tmp_path / "4", 4, flat, {"holdout": 0.5})
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
    with pytest.raises(
        InputError, match=r"none:results/distill/mad: no model of baseline, nkd, mad on snli_ve, vcr, vqa"
    ):
        read_models("none", tmp_path / "none", mad().sweep)
