"""MAD's statistics on scores by recipe: they find what was put in, and say when they cannot."""

from __future__ import annotations

import time

import numpy as np
import pytest

from tests.evaluate.mad.results import results
from vldistill.errors import InputError
from vldistill.evaluate.mad.effects import DRAWN_TO, EFFECTS, RATES, besides
from vldistill.evaluate.mad.statistics import (
    Draw,
    Place,
    chief,
    differences,
    gap_curve,
    matched,
    means,
    places,
)
from vldistill.evaluate.mad.summary import summarise
from vldistill.evaluate.mad.tables import NOTHING, Items, Results, Table
from vldistill.params import Params
from vldistill.params.mad_arms import ARMS

DRAW = Draw(resamples=400)
TEST, HARD = chief("snli_ve", 10), chief("snli_ve", 10, shifted=True)
WELL = {
    "baseline": {"test": 0.5, "hard": 0.3},
    "nkd": {"test": 0.55, "hard": 0.35},
    "mad": {"test": 0.7, "hard": 0.5},
    "shuffled_targets": {"test": 0.45, "hard": 0.28},
}


def find(found, family, place, arm, other):
    (one,) = [d for d in found if (d.family, d.place, d.arm, d.other) == (family, place, arm, other)]
    return one


def test_a_table_with_gaps_has_the_means_of_the_items_there_are():
    values = np.array([[100.0, 0.0, np.nan, 100.0], [np.nan, 0.0, 0.0, 100.0]])
    table = Table((0, 1), ("a", "b", "c", "d"), ("a", "b", "c", "d"), values)
    assert table.means == pytest.approx([200 / 3, 100 / 3])
    assert table.even.mean(axis=1) == pytest.approx(table.means)
    assert table.items == 3


def test_the_interval_of_a_part_of_the_items_is_that_of_a_bootstrap_of_the_part():
    """The linearised table against resampling the ratio itself."""
    found = results({"mad": {"test": 0.5, "hard": 0.4}}, scale=4)
    (table,) = found.tables(HARD, ["mad"])
    (mean,) = [m for m in means(found, [HARD], Draw(resamples=2000)) if m.arm == "mad"]
    rng = np.random.default_rng(1)
    members = [np.array(table.groups) == group for group in dict.fromkeys(table.groups)]
    sums = np.array([[np.nansum(row[member]) for member in members] for row in table.values])
    counts = np.array([[np.isfinite(row[member]).sum() for member in members] for row in table.values])
    drawn = []
    for _ in range(2000):
        weights = np.bincount(rng.integers(0, len(members), len(members)), minlength=len(members))
        seeds = rng.integers(0, len(sums), len(sums))
        drawn.append(((sums * weights).sum(axis=1) / (counts * weights).sum(axis=1))[seeds].mean())
    low, high = np.quantile(drawn, [0.025, 0.975])
    assert mean.value == pytest.approx(table.means.mean())
    assert (mean.low, mean.high) == pytest.approx((low, high), abs=0.5)


def test_a_gain_is_found_with_its_interval_and_corrected_within_its_family():
    found = differences(results(WELL), ["snli_ve"], DRAW)
    gain = find(found, "gain", TEST, "mad", "baseline")
    assert gain.low < gain.value < gain.high
    assert gain.low > 5
    assert gain.losses == 0, "arms are right on nested sets"
    assert (gain.seeds, gain.groups, gain.items) == (3, 100, 300)
    assert gain.p <= gain.holm
    family = [d for d in found if d.family == "gain"]
    assert max(d.holm for d in family) <= len(family) * max(d.p for d in family)
    assert find(found, "arms", HARD, "nkd", "baseline").value == pytest.approx(5, abs=5)
    assert find(found, "effects", TEST, "mad", "shuffled_targets").about
    assert not [d for d in found if d.arm == "ts"], "arms that were not run are not compared"


def test_items_that_a_seed_does_not_have_neither_win_nor_lose():
    found = differences(results(WELL), ["snli_ve"], DRAW)
    gain = find(found, "gain", HARD, "mad", "baseline")
    (table,) = results(WELL).tables(HARD, ["mad"])
    assert gain.wins + gain.ties + gain.losses == len(table.ids)
    assert gain.losses == 0
    assert gain.items == 120


def test_rules_of_vcr_are_pooled_and_also_told_apart():
    rates = {
        "baseline": {"test": 0.5, "singular": 0.3, "plural": 0.1},
        "mad": {"test": 0.6, "singular": 0.4, "plural": 0.5},
    }
    found = differences(results(rates, tasks=("vcr",)), ["vcr"], DRAW)
    pooled = find(found, "gain", Place("vcr", 10, "rules", "Q->A"), "mad", "baseline")
    parts = [find(found, "more", Place("vcr", 10, part, "Q->A"), "mad", "baseline") for part in ("singular", "plural")]
    assert pooled.items == sum(part.items for part in parts) == 120
    assert pooled.value == pytest.approx(sum(part.value * part.items for part in parts) / 120)


MORE_THAN_ITS_SWITCH = {
    # distilled or not, each has the rates that were tuned for its kind (docs/tuning.md)
    ("mad", "embeddings_init"): {*RATES},
    ("mad", "projected_input"): {*RATES},
    ("mad", "baseline_matching"): {*RATES},
    ("mad_matching", "baseline_matching"): {*RATES},
    # [CLS] is drawn to the whole text or image, a chosen token or region to itself alone
    ("ts", "nkd_alike"): {DRAWN_TO},
    ("mad", "cw"): {DRAWN_TO},
}
COMPOUND = {
    "embeddings_init": {"weight", "embeddings"},
    "projected_input": {"weight", "projected_input"},
    "baseline_matching": {"weight", "task_head"},
}
"""Controls that are another way to learn instead of distilling, hence of two switches, held against MAD."""


def paths(tree, above=""):
    """Every option as a dotted path with its value."""
    for name, value in tree.items():
        yield from paths(value, f"{above}{name}.") if isinstance(value, dict) else [(f"{above}{name}", value)]


@pytest.mark.parametrize("effect", EFFECTS, ids=lambda effect: f"{effect.arm}-{effect.other}")
def test_an_effect_is_that_of_one_switch_where_no_row_says_more(effect):
    options = Params().distill.mad
    expected = MORE_THAN_ITS_SWITCH.get((effect.arm, effect.other), set())
    switches = COMPOUND.get(effect.other, set()) if effect.arm == "mad" else set()
    told = set()
    for task in options.tasks:
        one, control = (
            dict(paths(options.options_of(name, task, 10).model_dump())) for name in (effect.arm, effect.other)
        )
        changed = {path for path in one if one[path] != control[path]}
        # whose mean weight a control has is no switch of its own
        switched = changed - {*RATES, "confidence.equal_to"}
        assert switched == switches if switches else len(switched) == 1, switched
        marked = {*besides(effect, options, task, 10)}
        assert marked - {DRAWN_TO} == changed & {*RATES}
        told |= marked
    assert told == expected


def test_whatever_else_an_arm_is_given_is_told():
    effect = next(one for one in EFFECTS if (one.arm, one.other) == ("ts", "random_token"))
    arms = {**ARMS, "ts": {**ARMS["ts"], "tokens": 1}}
    options = Params.model_validate({"distill": {"mad": {"arms": arms}}})
    assert besides(effect, options.distill.mad, "snli_ve", 10) == ["tokens"]
    assert besides(effect, Params().distill.mad, "snli_ve", 10) == []
    # drawn to the whole text and image, a chosen token's state differs from [CLS] by its place alone
    whole = Params.model_validate({"distill": {"mad": {"scope": "whole"}}}).distill.mad
    assert besides(next(one for one in EFFECTS if one.arm == "ts"), whole, "snli_ve", 10) == []


def test_what_lies_on_the_baseline_line_is_not_above_it():
    line = {
        "baseline": {"test": 0.6, "hard": 0.4},
        "stopped_50": {"test": 0.5, "hard": 0.3},
        "stopped_25": {"test": 0.4, "hard": 0.2},
    }
    (on,) = matched(results({**line, "mad": {"test": 0.55, "hard": 0.35}}, scale=3), ["snli_ve"], DRAW)
    assert on.low < 0 < on.high
    assert not on.extrapolated
    (above,) = matched(results({**line, "mad": {"test": 0.65, "hard": 0.65}}, scale=3), ["snli_ve"], DRAW)
    assert above.low > 0
    assert above.extrapolated
    assert [point.arm for point in above.points] == ["baseline", "stopped_25", "stopped_50"]
    assert matched(results(WELL), ["snli_ve"], DRAW) == [], "one baseline point makes no line"


def rules(rate):
    return {"test": rate, "singular": rate - 0.2, "plural": rate - 0.2}


def test_the_baseline_on_more_data_brings_points_above_its_own():
    few = results(
        {name: rules(rate) for name, rate in {"baseline": 0.5, "stopped_50": 0.4, "mad": 0.6}.items()}, tasks=("vcr",)
    )
    (alone,) = matched(few, ["vcr"], DRAW)
    assert alone.extrapolated
    more = few._files
    for fraction, rate in ((25, 0.65), (100, 0.8)):
        more = more | results({"baseline": rules(rate)}, tasks=("vcr",), fractions=(fraction,))._files
    (found,) = matched(Results(more), ["vcr"], DRAW)
    assert not found.extrapolated
    assert [(point.arm, point.fraction) for point in found.points] == [
        ("baseline", 10), ("stopped_50", 10), ("baseline", 25), ("baseline", 100),
    ]  # fmt: skip
    assert (found.in_domain, found.shifted) == (alone.in_domain, alone.shifted)
    without = {key: items for key, items in more.items() if (key[1], key[3], key[4]) != ("plural", 25, 1)}
    (fewer,) = matched(Results(without), ["vcr"], DRAW)
    assert [point.fraction for point in fewer.points] == [10, 10, 100], "a seed is missing at 25 %"


def test_more_data_are_judged_on_the_hard_items_of_the_size_at_hand():
    line = {"baseline": {"test": 0.5, "hard": 0.3}, "stopped_50": {"test": 0.4, "hard": 0.25}, "mad": {"test": 0.6}}
    files = results(line)._files | results({"baseline": {"test": 0.7}}, fractions=(25,))._files
    (found,) = matched(Results(files), ["snli_ve"], DRAW)
    last = found.points[-1]
    expected = []
    for seed in range(3):
        hard, whole = files["snli_ve", "hard", "mad", 10, seed], files["snli_ve", "test", "baseline", 25, seed]
        right = dict(zip(whole.ids, whole.scores["accuracy"], strict=True))
        expected.append(np.mean([right[name] for name in hard.ids]))
        assert hard.ids != files["snli_ve", "hard", "baseline", 25, seed].ids
    assert (last.fraction, last.shifted) == (25, pytest.approx(np.mean(expected)))


def test_the_gap_curve_has_the_usual_student_as_its_end():
    rates = {**WELL, "baseline_gap0": {"test": 0.7}, "mad_gap0": {"test": 0.7}}
    curve = gap_curve(results(rates, fractions=(10, 25)), ["snli_ve"], DRAW)
    assert {share: len(found) for share, found in curve.items()} == {0: 4, 100: 4}
    assert all(one.value == 0 for one in curve[0])
    plain = gap_curve(results(WELL), ["snli_ve"], DRAW)
    assert plain == {}, "no curve where there is one point"


def test_arms_scored_on_other_items_are_not_compared():
    found = results(WELL)
    broken = dict(found._files)
    one = broken["snli_ve", "test", "mad", 10, 1]
    ids = ("other", *one.ids[1:])
    broken["snli_ve", "test", "mad", 10, 1] = Items(ids, one.groups, one.scores)
    with pytest.raises(InputError, match="other items at seed 1"):
        Results(broken).tables(TEST, ["baseline", "mad"])


def test_a_shifted_subset_without_items_is_left_out():
    found = results(WELL, tasks=("snli_ve", "vcr"))
    none = {("hard", 1), *(("plural", seed) for seed in range(3))}
    fewer = {key: NOTHING if (key[1], key[4]) in none else items for key, items in found._files.items()}
    made = differences(Results(fewer), ["snli_ve", "vcr"], DRAW)
    assert find(made, "gain", HARD, "mad", "baseline").seeds == 2
    assert find(made, "gain", chief("vcr", 10, shifted=True), "mad", "baseline").items == 90
    assert not [one for one in made if one.place.subset == "plural"]


def test_on_dev_the_same_is_compared_and_no_bar_is_measured():
    on_dev = {(key[0], "dev", *key[2:]): items for key, items in results(WELL)._files.items() if key[1] == "test"}
    summary = summarise(Results(on_dev), ["snli_ve"], DRAW)
    dev = Place("snli_ve", 10, "dev", "accuracy")
    assert find(summary.differences, "gain", dev, "mad", "baseline").low > 0
    assert find(summary.differences, "effects", dev, "mad", "shuffled_targets").low > 0
    assert {bar.met for bar in summary.bars} == {None}


def test_common_seeds_are_compared():
    found = results(WELL)
    fewer = {key: items for key, items in found._files.items() if key[2] != "mad" or key[4] < 2}
    gain = find(differences(Results(fewer), ["snli_ve"], DRAW), "gain", TEST, "mad", "baseline")
    assert gain.seeds == 2


def test_the_summary_is_the_same_every_time():
    found = results(WELL, tasks=("snli_ve", "vcr", "vqa"), fractions=(10, 25, 100))
    first, second = (summarise(found, ["snli_ve", "vcr", "vqa"], DRAW) for _ in range(2))
    assert first == second
    assert len(places(found, ["vcr"])) == 3 * 10


@pytest.mark.slow
def test_a_hundred_comparisons_take_seconds():
    arms = {f"arm{number}": {"test": 0.4 + number / 200} for number in range(16)}
    found = results({**WELL, **arms}, tasks=("snli_ve", "vcr", "vqa"), scale=8)
    started = time.process_time()
    made = differences(found, ["snli_ve", "vcr", "vqa"], Draw())
    assert len(made) > 100
    assert time.process_time() - started < 20


def test_arms_tuned_on_dev_are_compared_with_one_another_only():
    arms = {**WELL, "baseline_dev_tuned": {"test": 0.52, "hard": 0.3}, "mad_dev_tuned": {"test": 0.75, "hard": 0.5}}
    on_dev = {"baseline": "baseline_dev_tuned", "nkd": "nkd", "mad": "mad_dev_tuned"}
    found = differences(results(arms), ["snli_ve"], DRAW, on_dev)
    assert find(found, "on_dev", TEST, "mad_dev_tuned", "baseline_dev_tuned").value == pytest.approx(23, abs=4)
    assert find(found, "on_dev", TEST, "nkd", "baseline_dev_tuned").value == pytest.approx(3, abs=3)
    assert not [one for one in found if one.family == "arms" and "dev_tuned" in one.arm + one.other]
    plain = differences(results(WELL), ["snli_ve"], DRAW)
    assert [one for one in found if one.family != "on_dev"] == plain
    # dev chooses nothing else: these are the headline's differences, and stand there
    assert differences(results(WELL), ["snli_ve"], DRAW, {arm: arm for arm in ("baseline", "nkd", "mad")}) == plain
