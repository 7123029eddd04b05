"""Charts, curves, gallery, doubts, costs: the rules behind the page."""

from __future__ import annotations

import hashlib
import io
import itertools
import xml.etree.ElementTree as ElementTree
import zipfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from vldistill.cells import Cell
from vldistill.files import write_jsonl
from vldistill.params import Params
from vldistill.report import cost, curves, gallery, svg
from vldistill.report.doubts import doubts
from vldistill.report.numbers import Numbers
from vldistill.report.scores import Row, difference, estimate

FINITE = st.floats(-1e6, 1e6, allow_nan=False)


@given(FINITE, FINITE)
def test_ticks_span_the_values_evenly(first: float, second: float) -> None:
    low, high = sorted((first, second))
    found = svg.ticks(low, high)
    steps = [b - a for a, b in itertools.pairwise(found)]
    reach = max(abs(low), abs(high), 1e-3)  # nothing a chart shows is finer than a billionth of this
    assert found[0] <= low + 1e-9 * reach
    assert found[-1] >= high - 1e-9 * reach
    assert 2 <= len(found) <= 12
    assert all(step == pytest.approx(steps[0], rel=1e-3) for step in steps)


@given(
    st.lists(
        st.tuples(st.text(st.characters(codec="utf-8", exclude_categories=("C",))), FINITE), min_size=1, max_size=6
    )
)
def test_charts_are_well_formed_and_say_their_values(values: list[tuple[str, float]]) -> None:
    marks = [svg.Mark(label, value, value - 1, value + 1) for label, value in values]
    drawing = ElementTree.fromstring(svg.bars(marks, label="a & b", axis="<x>"))
    assert len(drawing.findall(".//rect")) == len(marks)
    titles = [title.text or "" for title in drawing.findall(".//title")]
    assert all(f"{mark.value:.1f}" in title for mark, title in zip(marks, titles, strict=True))
    rows = [("row", marks)]
    assert len(ElementTree.fromstring(svg.dots(rows, label="d", axis="x")).findall(".//title")) == len(marks)


@pytest.mark.parametrize("value", [0.0, -3.0, 41.5])
def test_charts_of_one_value_have_a_scale(value: float) -> None:
    marks = [svg.Mark("a", value), svg.Mark("b", value)]
    line = svg.Line("a", [(1, value), (2, value)])
    for chart in (
        svg.bars(marks, label="x", axis="x"),
        svg.dots([("r", marks)], label="x", axis="x"),
        svg.lines([line], label="x", x_axis="x", y_axis="y"),
        svg.lines([svg.Line("a", [(1, value)])], label="x", x_axis="x", y_axis="y"),
    ):
        assert "nan" not in chart
        ElementTree.fromstring(chart)


def test_lines_stay_inside_the_frame() -> None:
    chart = svg.lines([svg.Line("a", [(20, 5.0), (300, 0.5)])], label="l", x_axis="step", y_axis="loss")
    frame = ElementTree.fromstring(chart)
    path = next(p for p in frame.findall(".//path") if p.get("class") == "curve")
    points = [tuple(map(float, pair.split())) for pair in (path.get("d") or "").lstrip("M").split("L")]
    assert all(0 <= x <= float(frame.get("width", 0)) and 0 <= y <= float(frame.get("height", 0)) for x, y in points)


def row(arm: str, value: float, seed: int | None = 0, control: str | None = None) -> Row:
    return Row("vlkd", "vqav2", "test", arm, seed, control, "accuracy", "official", value, "percent", 100, "all", "vqa")


def numbers(*rows: Row) -> Numbers:
    return Numbers(rows, "all", ["all", "untrained_clip"], 0.95)


GOOD = (
    row("all", 80.0),
    row("all", 28.0, control="no_image"),
    row("all", 25.0, control="shuffled"),
    row("untrained_clip", 60.0),
)


def test_no_doubts_when_every_control_fails() -> None:
    assert doubts(numbers(*GOOD), 10.0) == []


@pytest.mark.parametrize(
    ("spoilt", "value", "words"),
    [(1, 71.0, "without any image"), (2, 80.5, "another item"), (3, 80.0, "untrained CLIP")],
)
def test_a_control_that_works_is_a_doubt(spoilt: int, value: float, words: str) -> None:
    rows = list(GOOD)
    old = rows[spoilt]
    rows[spoilt] = row(old.arm, value, control=old.control)
    found = doubts(numbers(*rows), 10.0)
    assert len(found) == 1
    assert words in found[0]


@pytest.mark.parametrize("missing", [1, 2, 3])
def test_a_control_that_was_not_run_is_a_doubt(missing: int) -> None:
    rows = [old for index, old in enumerate(GOOD) if index != missing]
    assert [("not run" in doubt) for doubt in doubts(numbers(*rows), 10.0)] == [True]


def test_differences_pair_seeds_and_spread_seedless_controls() -> None:
    first = estimate([row("all", value, seed) for seed, value in enumerate((80.0, 82.0, 81.0))], 0.95)
    second = estimate([row("x", value, seed) for seed, value in enumerate((70.0, 72.0, 71.0))], 0.95)
    control = estimate([row("majority", 30.0, None)], 0.95)
    assert first and second and control
    paired = difference(first, second, 0.95)
    assert (paired.value, paired.low, paired.high) == (10.0, 10.0, 10.0)
    assert difference(first, control, 0.95).values == (50.0, 52.0, 51.0)
    unpaired = difference(first, estimate([row("x", 70.0, 0), row("x", 71.0, 7)], 0.95) or second, 0.95)
    assert unpaired.low is None


def test_gallery_takes_the_first_of_the_draw_right_or_wrong(made: Path) -> None:
    shown = gallery.pictures(made, "all-s0", "test", 5, 224)
    keys = [f"coco_{index:04d}.png" for index in range(40)]
    assert [p.key for p in shown] == sorted(keys, key=lambda key: hashlib.sha256(key.encode()).hexdigest())[:5]
    assert all(p.pixelated and p.source.startswith("data:image/png;base64,") for p in shown)
    assert all(len(p.asked) == 1 for p in shown)


def test_failures_are_failures_in_the_order_of_the_draw(made: Path) -> None:
    shown = gallery.failures(made, "all-s0", "test", 4, 224)
    assert len(shown) == 4
    assert all(p.asked[0].score == 0 and p.asked[0].answer != p.asked[0].truth for p in shown)
    draw = [hashlib.sha256(f"q{int(p.key[5:9])}".encode()).hexdigest() for p in shown]
    assert draw == sorted(draw)


@pytest.mark.parametrize(
    ("scores", "expected"),
    [({"official": 100.0}, 1.0), ({"official": 30.0}, 0.3), ({"both": 1.0}, 1.0), ({"accuracy": 0.6}, 0.6), ({}, 0.0)],
)
def test_item_accuracy_of_either_scale(scores: dict[str, float], expected: float) -> None:
    assert gallery.accuracy(scores) == pytest.approx(expected)


def test_wide_photographs_are_scaled_down(tmp_path: Path) -> None:
    out = io.BytesIO()
    Image.new("CMYK", (900, 600)).save(out, "JPEG")
    folder = tmp_path / "results" / "download" / "coco"
    folder.mkdir(parents=True)
    with zipfile.ZipFile(folder / "images.zip", "w") as archive:
        archive.writestr("a.jpg", out.getvalue())
    with gallery.Images(tmp_path, "coco", 224) as images:
        source, pixelated = images.data("a.jpg")
    assert source.startswith("data:image/jpeg;base64,")
    assert not pixelated


def test_long_curves_are_thinned_without_losing_their_mean(tmp_path: Path) -> None:
    folder = tmp_path / "all-s0"
    write_jsonl(folder / "metrics.jsonl", [{"step": step, "loss": float(step % 7)} for step in range(1, 1401)])
    (curve,) = curves.read(tmp_path, [Cell("all", 0)])
    assert len(curve.points) <= curves.POINTS
    assert curve.points[-1][0] == 1400
    assert sum(y for _, y in curve.points) / len(curve.points) == pytest.approx(3.0, abs=0.05)


def test_cells_without_a_log_have_no_curve(tmp_path: Path) -> None:
    assert curves.read(tmp_path, [Cell("all", 0)]) == []


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.42, "0.4 s"), (12.4, "12 s"), (59.7, "1 min 00 s"), (185, "3 min 05 s"), (7800, "2 h 10 min")],
)
def test_durations_are_readable(seconds: float, text: str) -> None:
    assert cost.duration(seconds) == text


def test_run_records_come_in_pipeline_order(made: Path, params: Params) -> None:
    steps = [run.step for run in cost.runs(made / "results")]
    assert [step.split("/")[0] for step in steps] == sorted(
        (step.split("/")[0] for step in steps), key=cost.ORDER.index
    )
    assert "report" not in steps
