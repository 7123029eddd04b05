"""Bars and reliability warnings on scores by recipe."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.evaluate.mad.results import results
from vldistill.evaluate.mad.bars import CLAIMED, LOW_SHOT, bars
from vldistill.evaluate.mad.statistics import Draw
from vldistill.evaluate.mad.summary import Summary, summarise

DRAW = Draw(resamples=400)
TASKS = ("snli_ve", "vcr", "vqa")
BASE = {
    "baseline": {"test": 0.4, "hard": 0.3, "singular": 0.3, "plural": 0.3, "shift": 0.3},
    "stopped_50": {"test": 0.3, "hard": 0.25, "singular": 0.25, "plural": 0.25, "shift": 0.2},
    "nkd": {"test": 0.5, "hard": 0.45, "singular": 0.45, "plural": 0.45},
}
GOOD = {"test": 0.6, "hard": 0.9, "singular": 0.8, "plural": 0.8, "shift": 0.5}
SHUFFLED = {"shuffled_targets": {"test": 0.35, "hard": 0.25, "singular": 0.3, "plural": 0.3, "shift": 0.3}}
GAP = {"baseline_gap0": {"test": 0.7}, "mad_gap0": {"test": 0.7}}


def summary(rates, tasks=TASKS, fractions=(10, 25, 100)) -> Summary:
    return summarise(results(rates, tasks=tasks, fractions=fractions), tasks, DRAW)


def test_all_bars_are_met_by_a_method_that_works():
    made = summary({**BASE, "mad": GOOD, **SHUFFLED, **GAP})
    assert {bar.met for bar in made.bars} == {True}
    assert made.warnings == []
    names = [bar.name for bar in made.bars]
    assert len(set(names)) == len(names)
    assert {
        f"{task}.f{fraction}.{side}.gain" for task in CLAIMED for fraction in LOW_SHOT for side in ("test", "shift")
    } <= set(names)
    assert "vqa.f25.shift.not_worse" in names
    assert "snli_ve.f100.test.not_worse" in names


def test_gains_are_corrected_over_the_cells_that_claim_one():
    found = summary({**BASE, "mad": GOOD, **SHUFFLED})
    gains = [one for one in found.differences if one.family == "gain"]
    declared = [one for one in gains if one.place.task in CLAIMED and one.place.fraction in LOW_SHOT]
    assert len(declared) == 8 < len(gains)
    for p, met in ((0.05 / 8 - 1e-6, True), (0.05 / 8 + 1e-6, False)):
        made = bars([replace(one, p=p) for one in gains], [], {})
        assert {bar.met for bar in made if bar.name.endswith(".gain")} == {met}
    # elsewhere nothing is claimed, so nothing there is corrected for
    made = bars([replace(one, p=0.006 if one in declared else 1.0) for one in gains], [], {})
    assert {bar.met for bar in made if bar.name.endswith(".gain")} == {True}


def test_a_method_that_does_nothing_meets_only_what_asks_for_no_harm():
    made = summary({**BASE, "mad": BASE["baseline"], **SHUFFLED, **GAP})
    for bar in made.bars:
        asked_for_harmless = bar.name.endswith("not_worse") or bar.name == "gap.0"
        assert bar.met is asked_for_harmless, bar
    assert made.warnings == []


def test_a_method_that_harms_meets_no_bar_but_the_gap():
    made = summary({**BASE, "mad": {"test": 0.1}, **SHUFFLED})
    assert {bar.met for bar in made.bars if bar.name != "gap.0" and "matched" not in bar.name} == {False}


def test_what_was_not_run_stands_among_the_bars_without_a_verdict():
    made = bars([], [], {})
    assert {bar.met for bar in made} == {None}
    partly = summary({"baseline": {"test": 0.4}, "mad": {"test": 0.6}}, ["snli_ve"], (10,)).bars
    assert [bar.name for bar in made] == [bar.name for bar in partly]
    assert [bar.name for bar in partly if bar.met is not None] == ["snli_ve.f10.test.gain", "snli_ve.f10.shift.gain"]


@pytest.mark.parametrize(
    ("low", "high", "met"),
    [(-2.9, 3.1, True), (-3.1, 3.1, False), (-40.0, 40.0, False), (0.1, 2.0, False), (-2.0, -0.1, False), (0, 0, True)],
)
def test_no_gain_is_shown_by_a_narrow_interval_only(low, high, met):
    one = summary({**BASE, "mad": GOOD, **GAP}, ["snli_ve"], (10,)).gap[0][0]
    found = bars([], [], {0: [replace(one, low=low, high=high)]})[-1]
    assert (found.name, found.met) == ("gap.0", met)
    assert found.half_width == pytest.approx((high - low) / 2)
    assert "at most 3 points" in found.requirement


@pytest.mark.parametrize(
    ("arms", "words"),
    [
        ({"shuffled_targets": {"test": 0.6}}, ("not shown to be worse", "better than none")),
        ({"embeddings_init": {"test": 0.6}}, ("teacher's word vectors is not shown to be worse than MAD",)),
        ({"embeddings_init": {"test": 0.9}}, ("teacher's word vectors is better than MAD",)),
        ({"baseline_matching": {"test": 0.6}}, ("head from pre-training's matching",)),
        ({"projected_input": {"test": 0.65}}, ("projected teacher features",)),
        ({"baseline_gap0": {"test": 0.4}, "mad_gap0": {"test": 0.6}}, ("nothing to teach",)),
        (
            {"baseline_gap0": {"test": 0.4}, "mad_gap0": {"test": 0.6}, "undistilled_gap0": {"test": 0.6}},
            ("nothing to teach; over the same learning rates without distillation it is ",),
        ),
        ({"blind": {"test": 0.6}}, ("sees no image",)),
        ({}, ("No arm with another item's",)),
    ],
)
def test_a_control_that_works_raises_a_warning(arms, words):
    silent = {} if not words[0].startswith("No arm") else None
    rates = {"baseline": {"test": 0.4}, "mad": {"test": 0.6}, **(SHUFFLED if silent is not None else {}), **arms}
    found = summary(rates, ["snli_ve"], (10,)).warnings
    for word in words:
        assert any(word in sentence for sentence in found), found
    if arms and "shuffled_targets" not in arms:
        assert not any("not shown to be worse." in sentence for sentence in found)


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize(
    ("rates", "fraction", "warned"),
    [
        ({"test": 0.97, "hard": 0.6}, 100, True),
        ({"test": 0.97, "hard": 0.6}, 25, False),
        ({"test": 0.85, "hard": 1.0, "singular": 1.0, "plural": 1.0, "shift": 1.0}, 100, False),
    ],
)
def test_a_task_that_leaves_no_room_raises_a_warning(task, rates, fraction, warned):
    found = summary({"baseline": rates, "mad": rates, **SHUFFLED}, [task], (10, fraction)).warnings
    assert [sentence.partition(",")[0] for sentence in found] == [f"{task} at 100 %"] * warned
    assert not warned or "above 92 %" in found[0]


@pytest.mark.parametrize(("blind", "warned"), [({"test": 0.45, "hard": 0.9}, False), ({"test": 0.599}, True)])
def test_mad_must_be_clearly_above_a_classifier_without_the_image_in_domain(blind, warned):
    rates = {"baseline": {"test": 0.4}, "mad": {"test": 0.6}, **SHUFFLED, "blind": blind}
    found = summary(rates, ["snli_ve"], (10,)).warnings
    assert [sentence.partition(":")[0] for sentence in found] == ["snli_ve at 10 %, test"] * warned
