"""MAD's charts: which lines are drawn, where their points and bands lie, and what the caption says of the rest."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from xml.etree import ElementTree

import pytest

from tests.evaluate.mad.results import results
from vldistill.evaluate.mad.statistics import GAPS, Draw
from vldistill.evaluate.mad.summary import Summary, summarise
from vldistill.evaluate.mad.tables import Results
from vldistill.report.mad import charts, names
from vldistill.report.page import Chart

FRACTIONS = (10, 25, 100)
RATES = {
    "baseline": {"test": 0.5, "hard": 0.3},
    "nkd": {"test": 0.55, "hard": 0.35},
    "mad": {"test": 0.7, "hard": 0.5},
    "majority": {"test": 0.34},
    "ts": {"test": 0.6},
    "cw": {"test": 0.58},
}
DRAW = Draw(200)


def without(found: Results, *left_out: tuple[str, int]) -> Results:
    """The results but for those of some arms at some fractions."""
    return Results({key: items for key, items in found._files.items() if key[2:4] not in left_out})


@pytest.fixture(scope="module")
def summary() -> Summary:
    """`ts` was not run at 25 %, `cw` at 10 % only; all others everywhere."""
    found = results(RATES, fractions=FRACTIONS)
    return summarise(without(found, ("ts", 25), ("cw", 25), ("cw", 100)), ["snli_ve"], DRAW)


@dataclass(frozen=True)
class Curve:
    """A line as it is drawn: corners in px, and what the title of each point says."""

    points: Sequence[tuple[float, float]]
    band: Sequence[tuple[float, float]]
    marks: Sequence[tuple[float, float, float]]


def corners(path: str) -> list[tuple[float, float]]:
    found = [tuple(map(float, point.split())) for point in path.strip("MZ").split("L")]
    return [(x, y) for x, y in found]


def curves(chart: Chart) -> dict[str, Curve]:
    """The lines of a chart by their label, in the order they are drawn in."""
    found = {}
    for group in ElementTree.fromstring(chart.drawing).findall("g"):
        label = group.findtext("title") or ""
        paths = {path.get("class", "").split()[0]: corners(path.get("d", "")) for path in group.findall("path")}
        marks = [mark.findtext("title") or "" for mark in group.findall("g")]
        assert label not in found, "one line for each"
        found[label] = Curve(paths["curve"], paths.get("band", []), [values(mark, label) for mark in marks])
    return found


def values(title: str, label: str) -> tuple[float, float, float]:
    """Value, low and high; both are nan where a point has no interval."""
    assert title.startswith(f"{label}: ")
    found = [float(number) for number in re.findall(r"-?\d+\.\d", title.removeprefix(label))]
    return (found[0], found[1], found[2]) if len(found) == 3 else (found[0], float("nan"), float("nan"))


def place(chart: Chart, name: str) -> float:
    """Where a tick of the x axis stands."""
    texts = ElementTree.fromstring(chart.drawing).findall("text")
    return next(float(text.get("x", "")) for text in texts if text.text == name)


def measured(summary: Summary, arm: str, subset: str) -> list[tuple[float, float, float]]:
    means = [mean for mean in summary.means if mean.arm == arm and mean.place.subset == subset]
    return [(mean.value, mean.low, mean.high) for mean in sorted(means, key=lambda mean: mean.place.fraction)]


@pytest.mark.parametrize(("side", "subset"), [(0, "test"), (1, "hard")])
def test_accuracy_has_one_line_for_each_arm_at_the_measured_values(summary: Summary, side: int, subset: str) -> None:
    chart = charts.accuracy(summary, "snli_ve")[side]
    drawn = curves(chart)
    assert drawn.keys() == {names.arm(arm) for arm in RATES if arm != "cw"}
    assert list(drawn)[-1] == "MAD", "it lies on top"
    assert [label for _, label in chart.legend] == [
        names.arm(arm) for arm in ("baseline", "nkd", "mad", "ts", "majority")
    ]
    for arm in ("baseline", "nkd", "mad"):
        curve, expected = drawn[names.arm(arm)], measured(summary, arm, subset)
        assert [x for x, _ in curve.points] == [place(chart, f"{fraction} %") for fraction in FRACTIONS]
        assert curve.marks == [pytest.approx(each, abs=0.051) for each in expected]
    assert f"n = {summary.means[0].items if subset == 'test' else 120:,}" in chart.caption


def test_points_stand_in_proportion_and_bands_around_them(summary: Summary) -> None:
    chart = charts.accuracy(summary, "snli_ve")[0]
    mad, baseline = curves(chart)["MAD"], curves(chart)[names.arm("baseline")]
    expected = {"mad": measured(summary, "mad", "test"), "baseline": measured(summary, "baseline", "test")}
    # px by percent, from two points; every point and both ends of every interval lie on that scale
    scale = (mad.points[0][1] - baseline.points[0][1]) / (expected["mad"][0][0] - expected["baseline"][0][0])
    assert scale < 0, "up is better"
    for curve, means in ((mad, expected["mad"]), (baseline, expected["baseline"])):
        lows, highs = curve.band[:3], curve.band[:2:-1]
        for (x, y), low, high, (value, least, most) in zip(curve.points, lows, highs, means, strict=True):
            assert low[0] == high[0] == x
            assert y == pytest.approx(mad.points[0][1] + scale * (value - expected["mad"][0][0]), abs=0.3)
            assert low[1] - y == pytest.approx(scale * (least - value), abs=0.3)
            assert high[1] - y == pytest.approx(scale * (most - value), abs=0.3)
            assert high[1] <= y <= low[1] and high[1] < low[1]


def test_a_band_does_not_leave_the_scale_of_percent(summary: Summary) -> None:
    wide = [replace(mean, low=mean.low - 90, high=mean.high + 90) for mean in summary.means]
    curve = curves(charts.accuracy(replace(summary, means=wide), "snli_ve")[0])["MAD"]
    assert {(low, high) for _, low, high in curve.marks} == {(0.0, 100.0)}


def test_references_have_no_band(summary: Summary) -> None:
    drawn = curves(charts.accuracy(summary, "snli_ve")[0])
    assert {label for label, curve in drawn.items() if not curve.band} == {names.arm("majority")}


def test_an_arm_is_drawn_where_it_was_run(summary: Summary) -> None:
    chart = charts.accuracy(summary, "snli_ve")[0]
    curve = curves(chart)[names.arm("ts")]
    assert [x for x, _ in curve.points] == [place(chart, "10 %"), place(chart, "100 %")]
    assert [value for value, _, _ in curve.marks] == pytest.approx(
        [value for value, _, _ in measured(summary, "ts", "test")], abs=0.051
    )


def test_an_arm_that_was_run_at_one_size_is_left_out_in_words(summary: Summary) -> None:
    for chart in charts.accuracy(summary, "snli_ve"):
        assert chart.caption.endswith(f"Run at one size only, and in the tables alone: {names.arm('cw')}.")
        assert names.arm("cw") not in curves(chart)


def test_many_arms_that_are_left_out_are_counted() -> None:
    more = {f"arm_{number}": {"test": 0.5} for number in range(charts.NAMED + 1)}
    found = results(RATES | more, fractions=(10, 25))
    once = without(found, *((arm, 25) for arm in more))
    (chart, _) = charts.accuracy(summarise(once, ["snli_ve"], DRAW), "snli_ve")
    assert chart.caption.endswith(f": {len(more)} arms.")
    everywhere = charts.accuracy(summarise(found, ["snli_ve"], DRAW), "snli_ve")
    assert not any("one size only" in each.caption for each in everywhere)
    assert set().union(*map(curves, everywhere)) == set(map(names.arm, (*RATES, *more)))


def test_at_a_single_size_the_main_arms_are_points() -> None:
    (chart, _) = charts.accuracy(summarise(results(RATES), ["snli_ve"], DRAW), "snli_ve")
    drawn = curves(chart)
    assert drawn.keys() == {names.arm(arm) for arm in ("baseline", "nkd", "mad", "majority")}
    assert all(len(curve.points) == 1 for curve in drawn.values())
    assert chart.caption.endswith(f": {names.arm('ts')}; {names.arm('cw')}.")


def test_arms_that_share_no_size_make_no_chart() -> None:
    found = without(results({arm: RATES[arm] for arm in ("mad", "nkd")}, fractions=(10, 25)), ("mad", 10), ("nkd", 25))
    assert charts.accuracy(summarise(found, ["snli_ve"], DRAW), "snli_ve") == []


def test_arms_too_many_to_be_told_apart_are_drawn_in_groups_each_beside_mad_and_the_baseline() -> None:
    arms = ("baseline", "nkd", "mad", "ts", "cw", "random_token", "stopped_25", "smoothed", "mad_gap0", "my_own")
    rates = {arm: {"test": 0.5, "hard": 0.3} for arm in arms}
    found = summarise(results(rates, fractions=FRACTIONS), ["snli_ve"], DRAW)
    drawn = charts.accuracy(found, "snli_ve")
    in_domain = [set(curves(chart)) for chart in drawn if "in domain" in chart.caption]
    beside = {names.arm("baseline"), names.arm("mad")}
    groups = [("nkd",), ("ts", "cw"), ("random_token",), ("stopped_25", "smoothed"), ("mad_gap0",), ("my_own",)]
    assert in_domain == [beside | {names.arm(arm) for arm in group} for group in groups]
    assert len(drawn) == 2 * len(in_domain), "and as many under shift"
    for chart in drawn:
        tones = [sample for sample, _ in chart.legend]
        assert len(set(tones)) == len(tones), "no two lines look alike"
    few = summarise(results({arm: rates[arm] for arm in arms[:9]}, fractions=FRACTIONS), ["snli_ve"], DRAW)
    assert [len(curves(chart)) for chart in charts.accuracy(few, "snli_ve")] == [9, 9]


@pytest.fixture(scope="module")
def gap_summary() -> Summary:
    """MAD gains about 0, 8 and 15 points where 0, 50 and 100 % of the synonyms are unseen."""
    rates = {
        "baseline_gap0": {"test": 0.5}, "mad_gap0": {"test": 0.5}, "baseline_gap50": {"test": 0.6},
        "mad_gap50": {"test": 0.68}, "baseline": {"test": 0.5}, "mad": {"test": 0.65},
    }  # fmt: skip
    found = results(rates)
    for (_, _, arm, _, _), items in found._files.items():
        if arm == "mad_gap0":  # right and wrong on other items, and on as many
            items.scores["accuracy"][::10] = 0.0
            items.scores["accuracy"][5::10] = 100.0
    return summarise(found, ["snli_ve"], DRAW)


def test_the_gap_curve_has_a_chart_for_each_set_of_items_and_a_line_for_each_size(gap_summary: Summary) -> None:
    shares = [share for share in GAPS if share in gap_summary.gap]
    assert shares == [0, 50, 100]
    drawn = charts.gap(gap_summary)
    assert len(drawn) == 2
    for subset, chart in zip(("test", "hard"), drawn, strict=True):
        (label, curve), *others = curves(chart).items()
        assert (label, others) == (f"SNLI-VE, 10 %, {names.subset(subset)}", [])
        assert [size for _, size in chart.legend] == ["10 %"]
        found = [one for share in shares for one in gap_summary.gap[share] if one.place.subset == subset]
        assert curve.marks == [pytest.approx((one.value, one.low, one.high), abs=0.051) for one in found]
        assert [x for x, _ in curve.points] == [place(chart, f"{share} %") for share in shares]
        assert len(curve.band) == 2 * len(shares)
    gains = [value for value, _, _ in curves(drawn[0])["SNLI-VE, 10 %, test"].marks]
    assert gains[0] < gains[1] < gains[2]


def test_the_interval_at_share_0_holds_the_zero_line(gap_summary: Summary) -> None:
    chart = charts.gap(gap_summary)[0]
    curve = curves(chart)["SNLI-VE, 10 %, test"]
    _, low, high = curve.marks[0]
    assert low < 0 < high
    # the bottom of the axis is the lowest of such lines, no gain the other one that runs across
    across = [line for line in ElementTree.fromstring(chart.drawing).findall("line") if line.get("class") == "zero"]
    zero = min(float(line.get("y1", "")) for line in across if line.get("y1") == line.get("y2"))
    least, most = curve.band[0][1], curve.band[-1][1]
    assert most < zero < least, "the band crosses the line of no gain"


def test_the_gap_curve_shows_a_gain_where_nothing_is_to_be_taught() -> None:
    """Its interval lies off the zero line, which the axis holds all the same."""
    rates = {"baseline_gap0": {"test": 0.4}, "mad_gap0": {"test": 0.7}, "baseline": {"test": 0.4}, "mad": {"test": 0.7}}
    chart = charts.gap(summarise(results(rates), ["snli_ve"], DRAW))[0]
    _, low, _ = curves(chart)["SNLI-VE, 10 %, test"].marks[0]
    assert low > 0
    labels = [text.text for text in ElementTree.fromstring(chart.drawing).findall("text")]
    assert "0" in labels


def test_without_students_that_have_seen_more_there_is_no_gap_curve(summary: Summary) -> None:
    assert charts.gap(summary) == []
