"""The last step of `make reproduce`: headline numbers against the tracked reference."""

import json
import os
import random
import subprocess
import sys

import pytest

from vldistill.errors import InputError, VldistillError
from vldistill.reproduce import compare, lookup, numbers_of, numbers_of_mad, seed_interval

NUMBER = {"name": "vlkd.vqa.all.accuracy", "value": 74.0, "low": 72.5, "high": 75.0, "n": 3, "unit": "percent"}


def project(folder, numbers, metrics):
    reference = {"numbers": numbers, "preset": "mini", "commit": "0" * 40, "date": "2026-01-01", "machine": "2 cores"}
    (folder / "data" / "reference").mkdir(parents=True)
    (folder / "data" / "reference" / "mini.json").write_text(json.dumps(reference))
    (folder / "results" / "report").mkdir(parents=True)
    (folder / "results" / "report" / "metrics.json").write_text(json.dumps(metrics))
    (folder / "results" / "report" / "index.html").write_text("<html></html>")
    return folder


def metrics(accuracy):
    return {"vlkd": {"vqa": {"all": {"accuracy": accuracy}}}}


def call(folder, *arguments):
    return subprocess.run(
        [sys.executable, "-m", "vldistill.cli.main", "reproduce", *arguments],
        cwd=folder,
        env={**os.environ},
        capture_output=True,
        text=True,
        timeout=60,
    )


@pytest.mark.parametrize(
    ("value", "code", "word"),
    [
        (74.0, 0, "REPRODUCED"),
        (72.5, 0, "REPRODUCED"),
        (75.0, 0, "REPRODUCED"),
        (72.49, 1, "DIFFERS"),
        (90, 1, "DIFFERS"),
    ],
)
def test_word_and_exit_code(tmp_path, value, code, word):
    done = call(project(tmp_path, [NUMBER], metrics(value)))
    assert done.returncode == code, done.stderr
    last = done.stdout.splitlines()[-1]
    assert last.startswith(word)
    assert last.endswith(str(tmp_path / "results" / "report" / "index.html"))
    assert NUMBER["name"] in done.stdout


@pytest.mark.parametrize("value", [None, "74.0", True, float("nan")])
def test_a_number_that_is_absent_or_no_number_differs(tmp_path, value):
    (outcome,) = compare(project(tmp_path, [NUMBER], metrics(value)))
    assert outcome.value is None
    assert not outcome.agrees


def test_one_differing_number_is_enough(tmp_path):
    other = {**NUMBER, "name": "vlkd.captions.CIDEr", "value": 3.0, "low": 2.9, "high": 3.1}
    done = call(project(tmp_path, [NUMBER, other], {**metrics(74.0)}))
    assert done.returncode == 1
    assert "DIFFERS: 1 of 2" in done.stdout


def test_bars_are_counted_by_method(tmp_path):
    """A number that agrees with the reference says nothing about the bars: those of both methods are told."""
    counts = {"bars": {"held": 7.0, "measured": 7.0}, "mad": {"bars": {"held": 20.0, "measured": 29.0}}}
    folder = project(tmp_path, [NUMBER], {**metrics(74.0), **counts})
    assert "bars of this run: VLKD 7 of 7 hold, MAD 20 of 29 hold" in call(folder).stdout
    (folder / "results/report/metrics.json").write_text(json.dumps({**metrics(74.0), "bars": counts["bars"]}))
    assert "bars of this run: VLKD 7 of 7 hold\n" in call(folder).stdout
    (folder / "results/report/metrics.json").write_text(json.dumps(metrics(74.0)))
    assert "bars of this run: none measured" in call(folder).stdout


def test_another_experiment_than_the_reference_is_pointed_out(tmp_path):
    folder = project(tmp_path, [NUMBER], metrics(74.0))
    (folder / "params.yaml").write_text("compute: {threads: 2}\n")
    assert "not the preset mini" in call(folder).stdout
    (folder / "params.yaml").write_text("{}\n")
    assert "not the preset mini" not in call(folder).stdout


def test_no_report_yet(tmp_path):
    done = call(tmp_path)
    assert done.returncode == 2
    assert "metrics.json" in done.stderr


def test_no_reference_yet(tmp_path):
    folder = project(tmp_path, [NUMBER], metrics(74.0))
    (folder / "data/reference/mini.json").unlink()
    with pytest.raises(InputError, match=r"mini\.json: there is no reference.*reproduce --write"):
        compare(folder)


@pytest.mark.parametrize(
    ("numbers", "names"),
    [
        ([], "numbers"),
        ("none", "numbers"),
        ([{k: v for k, v in NUMBER.items() if k != "low"}], "low"),
        ([{**NUMBER, "high": "75"}], "high"),
        ([{**NUMBER, "value": 80.0}], "value"),
        ([NUMBER, 3], "numbers[1]"),
    ],
)
def test_a_broken_reference_is_named(tmp_path, numbers, names):
    with pytest.raises(InputError, match=r"mini\.json") as caught:
        compare(project(tmp_path, numbers, metrics(74.0)))
    assert names in str(caught.value)


def test_lookup_of_dotted_names():
    assert lookup({"a": {"b": 1}}, "a.b") == 1
    assert lookup({"a.b": {"c": 2}}, "a.b.c") == 2, "a key may hold a dot itself"
    assert lookup({"a": {"x": 1}, "a.b": {"c": 2}}, "a.b.c") == 2
    assert lookup({"a": {"b": {}}}, "a.b") is None
    assert lookup({"a": 1}, "a.b") is None


def row(arm, seed, value, *, task="vqav2", metric="accuracy", variant="official", control=None, unit="percent"):
    fixed = {"method": "vlkd", "split": "test", "n": 100, "subset": "all", "group": None}
    return {
        **fixed,
        "arm": arm,
        "seed": seed,
        "value": value,
        "task": task,
        "metric": metric,
        "variant": variant,
        "control": control,
        "unit": unit,
    }


ROWS = [
    *(row("all", seed, value) for seed, value in enumerate((70.0, 74.0, 75.0))),
    *(row("untrained_clip", seed, value) for seed, value in enumerate((50.0, 56.0, 53.0))),
    *(row("all", seed, 30.0, control=control) for seed in range(3) for control in ("no_image", "shuffled")),
    row("majority", None, 28.0),
    *(row("all", seed, 2.0, task="corpus", metric="loss", variant=None, unit="loss") for seed in range(3)),
    row("plm", None, 1.9, task="corpus", metric="loss", variant=None, unit="loss"),
    row("plm", 0, 90.0, task="reading", variant=None) | {"group": "fine-tuned"},
]


def test_a_reference_from_scores():
    numbers = {number.name: number for number in numbers_of(ROWS)}
    accuracy = numbers["vqa.accuracy"]
    assert accuracy.value == pytest.approx(73.0)
    # t(0.975, 2) = 4.30265, s = sqrt(7), n = 3
    assert accuracy.high - accuracy.value == pytest.approx(4.30265 * 7**0.5 * (2 / 3) ** 0.5, rel=1e-5)
    assert accuracy.n == 3
    over = numbers["vqa.over_untrained"]
    assert over.value == pytest.approx(20.0)
    assert over.high - over.value == pytest.approx(4.30265 * 2.0 * (2 / 3) ** 0.5, rel=1e-5), "seed by seed: 20, 18, 22"
    loss = numbers["retention.text_loss"]
    assert (loss.unit, loss.high - loss.value) == ("nats", pytest.approx(0.01)), "all seeds agree: the narrowest"
    assert not any(name.startswith("bars") for name in numbers)


def test_a_reference_needs_seeds():
    with pytest.raises(VldistillError, match="two seeds"):
        numbers_of([row("all", 0, 70.0), row("majority", None, 28.0)])


def test_a_reference_holds_the_numbers_of_mad():
    (score, gain) = numbers_of_mad({"vcr.f10": [60.0, 62.0, 64.0], "vcr.f10_gain": [5.0, 5.0, 5.0]})
    assert (score.name, score.value, score.n, score.unit) == ("mad.vcr.f10", 62.0, 3, "percent")
    assert score.high - score.value == pytest.approx(4.30265 * 2.0 * (2 / 3) ** 0.5, rel=1e-5)
    assert (gain.low, gain.high) == (4.5, 5.5), "all seeds agree: the narrowest"
    with pytest.raises(VldistillError, match=r"two seeds of mad\.vcr\.f10, not 1"):
        numbers_of_mad({"vcr.f10": [60.0]})


def test_seed_interval_covers_the_mean_of_new_seeds():
    """95 % of second runs of 3 seeds lie within the interval of a first one."""
    generator = random.Random(3)
    inside = 0
    for _ in range(2000):
        first, second = ([generator.gauss(70, 2) for _ in range(3)] for _ in range(2))
        low, high = seed_interval(first, "percent")
        inside += low <= sum(second) / 3 <= high
    assert 0.93 < inside / 2000 < 0.97


def test_written_and_compared_with_itself(tmp_path):
    folder = tmp_path / "results" / "evaluate" / "vlkd" / "score"
    folder.mkdir(parents=True)
    (folder / "scores.jsonl").write_text("".join(json.dumps(line) + "\n" for line in ROWS))
    (tmp_path / "params.yaml").write_text("distill: {mad: {tasks: [], extra: {}}}\n")
    from vldistill.evaluate.summary import headline

    (tmp_path / "results" / "report").mkdir(parents=True)
    (tmp_path / "results" / "report" / "metrics.json").write_text(json.dumps(headline(ROWS)))
    assert call(tmp_path, "--write").returncode == 0
    done = call(tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "REPRODUCED: 4 of 4" in done.stdout
    written = json.loads((tmp_path / "data" / "reference" / "mini.json").read_text())
    assert set(written) == {"numbers", "preset", "commit", "date", "machine"}
    (tmp_path / "results" / "report" / "metrics.json").write_text(json.dumps({"vqa": {"accuracy": 50.0}}))
    assert "DIFFERS: 0 of 4" in call(tmp_path).stdout
