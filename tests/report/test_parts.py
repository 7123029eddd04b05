"""Charts, curves, gallery, reliability warnings, costs: the rules behind the page."""

from __future__ import annotations

import hashlib
import io
import itertools
import re
import xml.etree.ElementTree as ElementTree
import zipfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from PIL import Image

from vldistill import layout
from vldistill.artifact import publish
from vldistill.cells import Cell
from vldistill.errors import InputError
from vldistill.evaluate.summary import Bar
from vldistill.files import write_json, write_jsonl
from vldistill.params import Params
from vldistill.params.pretrain import Clip
from vldistill.report import comparable, cost, curves, gallery, papers, svg
from vldistill.report.numbers import Numbers
from vldistill.report.reliability import reliability_warnings, retained
from vldistill.report.scores import Row, difference, estimate

FINITE = st.floats(-1e6, 1e6, allow_nan=False)


@given(FINITE, FINITE)
@example(-1.178201620731792e-10, -1.178201620731792e-10)
def test_ticks_span_the_values_evenly(first: float, second: float) -> None:
    low, high = sorted((first, second))
    found = svg.ticks(low, high)
    steps = [b - a for a, b in itertools.pairwise(found)]
    # nothing a chart shows is finer than a billionth of its numbers, or of the distance of its ticks
    unseen = 1e-9 * max(abs(low), abs(high), 1e-3, steps[0])
    assert found[0] <= low + unseen
    assert found[-1] >= high - unseen
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
    row("majority", 27.0, None),
    row("untrained_clip", 60.0),
)
NOT_RUN = "was not run."
CELL_PEAKS = (("all-s0", 7), ("all-s1", 9))


def of_task(task: str, rows: Sequence[Row]) -> list[Row]:
    metric, variant = ("CIDEr", None) if task == "coco" else ("accuracy", "official")
    return [replace(old, task=task, metric=metric, variant=variant) for old in rows]


def test_no_warnings_when_every_control_fails() -> None:
    assert not reliability_warnings(numbers(*GOOD), 10.0)
    everywhere = [made for task in ("vqav2", "okvqa", "domains", "coco") for made in of_task(task, GOOD)]
    assert not reliability_warnings(numbers(*everywhere), 10.0)


@pytest.mark.parametrize("task", ["vqav2", "okvqa", "domains"])
@pytest.mark.parametrize(
    ("spoilt", "value", "words"),
    [(1, 71.0, "without any image"), (2, 80.5, "another item"), (3, 70.1, "majority"), (4, 80.0, "untrained CLIP")],
)
def test_a_control_that_works_raises_a_warning(task: str, spoilt: int, value: float, words: str) -> None:
    rows = of_task(task, GOOD)
    rows[spoilt] = replace(rows[spoilt], value=value)
    found = reliability_warnings(numbers(*rows, *(GOOD if task != "vqav2" else ())), 10.0)
    assert found.not_run == ()
    assert len(found.working) == 1
    assert words in found.working[0]


@pytest.mark.parametrize(("spoilt", "value", "near"), [(1, 60.1, True), (1, 59.9, False), (2, 61.0, True)])
def test_captions_without_the_image_must_lose_a_quarter_of_cider(spoilt: int, value: float, near: bool) -> None:
    rows = of_task("coco", GOOD)
    rows[spoilt] = replace(rows[spoilt], value=value)
    found = reliability_warnings(numbers(*GOOD, *rows), 10.0)
    assert [("less than 20 points below" in text) for text in found.working] == [True] * near


@pytest.mark.parametrize("missing", [1, 2, 3, 4])
def test_a_control_that_was_not_run_has_a_sentence_of_its_own(missing: int) -> None:
    found = reliability_warnings(numbers(*(old for index, old in enumerate(GOOD) if index != missing)), 10.0)
    assert found
    assert found.working == ()
    assert [text.endswith(NOT_RUN) for text in found.not_run] == [True]


def test_a_headline_that_was_not_run_raises_a_warning() -> None:
    found = reliability_warnings(numbers(*of_task("coco", GOOD)), 10.0)
    assert found.working == ()
    assert len(found.not_run) == 1


@pytest.mark.parametrize(
    ("values", "words"),
    [((-0.2, -1.0), "holds"), ((-0.2, -9.0), "1 of the 2 .* not shown"), ((), "^$")],
)
def test_retention_is_said_by_its_bars(values: tuple[float, ...], words: str) -> None:
    bars = [Bar("retention.x", "x", value, -1.5, False, value >= -1.5, (value,)) for value in values]
    unmeasured = Bar("retention.y", "y", None, -1.5, False, None, ())
    assert re.search(words, retained([*bars, unmeasured]))


@pytest.mark.parametrize(
    ("clip", "name"),
    [
        (Clip(), "mini CLIP"),
        (Clip(source="published"), "CLIP ViT-B/16"),
        (Clip(source="published", published="ViT-L-14/openai"), "CLIP ViT-L/14"),
        (Clip(source="published", published="ViT-L-14/laion2b"), "ViT-L-14/laion2b"),
    ],
)
def test_ours_stand_in_the_row_of_the_teacher_that_was_used(clip: Clip, name: str) -> None:
    assert papers.teacher(clip) == name
    reported = [
        papers.Reported("vlkd", f"CLIP {size}", "vqav2", split, "accuracy", 40.0, "zero-shot", "paper")
        for split in ("val", "test-dev")
        for size in ("ViT-B/16", "ViT-L/14")
    ]
    table = papers.table(reported, numbers(*GOOD), comparable=True, teacher=name)
    ours = [(row["teacher"].text, row["split"].text) for row in table.rows if row["ours"].number is not None]
    known = name in {entry.teacher for entry in reported}
    assert ours == [(name, "val" if known else "test")]
    assert sum(row["reported"].number is not None for row in table.rows) == len(reported)


ALL_QUESTIONS = {"vqav2": {"test": None}}
PUBLISHED: dict[str, Any] = {"clip": {"source": "published"}, "language_model": {"source": "published"}}
# no arms that learn with a student of a chosen gap: a published one has none
VILT: dict[str, Any] = {"pretrain": {"student": {"source": "vilt"}}, "distill": {"mad": {"extra": {}}}}
ALL_PUBLISHED = {**VILT, "pretrain": PUBLISHED | VILT["pretrain"]}


def paper_params(**changes: Any) -> Params:
    tree: dict[str, Any] = {
        "download": {"source": "registry", "gated_remote": "gated"},
        "pretrain": PUBLISHED,
        "split": ALL_QUESTIONS,
    }
    evaluate = changes.pop("evaluate", {})
    whole = {"spice": {"images": 0}, **evaluate.get("vlkd", {})}
    return Params.model_validate(tree | changes | {"evaluate": {**evaluate, "vlkd": whole}})


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({}, None),
        ({"download": {"source": "world"}}, "rendered"),
        ({"pretrain": {"language_model": {"source": "published"}}}, "the teacher is a stand-in"),
        ({"split": {"coco": {"dev": 5}, **ALL_QUESTIONS}}, None),
        ({"split": {"vqav2": {"test": 5}}}, "split.vqav2.test keeps 5"),
        ({"evaluate": {"vlkd": {"max_items": 9}}}, "at most 9"),
        ({"evaluate": {"vlkd": {"split": "dev"}}}, "split is dev"),
        ({"evaluate": {"vlkd": {"spice": {"images": 300}}}}, "SPICE is of the first 300 images"),
        ({"evaluate": {"vlkd": {"spice": {"images": 300, "mode": "off"}}}}, None),
    ],
)
def test_what_sets_a_run_apart_from_the_paper(tmp_path: Path, changes: dict[str, Any], reason: str | None) -> None:
    found = comparable.differences(paper_params(**dict(changes)), tmp_path)
    assert bool(found) == (reason is not None)
    assert reason is None or reason in found[0]


def test_lost_images_set_a_run_apart_from_the_paper(tmp_path: Path) -> None:
    publish(layout.download(tmp_path, "cc3m"), lambda folder: None, {"addresses": 10, "found": 10})
    publish(layout.features(tmp_path, "clip", "coco"), lambda folder: None, {"images": 20, "invalid": 0})
    assert comparable.differences(paper_params(), tmp_path) == []
    publish(layout.download(tmp_path, "cc3m"), lambda folder: None, {"addresses": 10, "found": 7})
    publish(layout.features(tmp_path, "clip", "coco"), lambda folder: None, {"images": 20, "invalid": 2})
    assert comparable.differences(paper_params(), tmp_path) == [
        "3 of 10 images of cc3m were not got",
        "2 of 20 images of coco were not decodable",
    ]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({}, None),
        ({"evaluate": {"vlkd": {"max_items": 9, "split": "dev"}}}, None),
        ({"download": {"source": "world"}}, "rendered"),
        (VILT, "the teacher is a stand-in"),
        ({"pretrain": PUBLISHED}, "the student is a small one"),
        ({"evaluate": {"mad": {"max_items": 9}}}, "at most 9 items"),
        ({"evaluate": {"mad": {"split": "dev"}}}, "split is dev"),
        ({"split": {"mad": {"snli_ve": {"test": 7}}}}, "split.mad.snli_ve.test keeps 7 images"),
        ({"split": {"mad": {"vcr": {"test": 7}, "snli_ve": {"dev": 3}}}}, None),
    ],
)
def test_what_sets_a_run_of_mad_apart_from_the_paper(
    tmp_path: Path, changes: dict[str, Any], reason: str | None
) -> None:
    params = paper_params(**ALL_PUBLISHED | changes)
    found = comparable.mad_differences(params, tmp_path, "snli_ve")
    assert bool(found) == (reason is not None)
    assert reason is None or reason in found[0]
    assert "the leaderboard alone" in comparable.mad_differences(params, tmp_path, "vcr")[-1]


def test_lost_items_set_a_run_of_mad_apart_from_the_paper(tmp_path: Path) -> None:
    params = paper_params(**ALL_PUBLISHED)
    publish(layout.download(tmp_path, "snli_ve"), lambda folder: None, {"visual_genome": 4})
    publish(layout.features(tmp_path, "clip", "flickr30k"), lambda folder: None, {"images": 20, "invalid": 2})
    assert comparable.mad_differences(params, tmp_path, "snli_ve") == [
        "4 pairs of snli_ve have no image",
        "2 of 20 images of flickr30k were not decodable",
    ]


def test_only_a_tracked_run_says_that_the_paper_is_reproduced(tmp_path: Path) -> None:
    assert not comparable.reproduced(tmp_path)
    number = {"name": "vqa.accuracy", "value": 38.0, "low": 37.0, "high": 39.0, "n": 3, "unit": "percent"}
    write_json(tmp_path / "data" / "reference" / "paper.json", {"numbers": [number]})
    assert comparable.reproduced(tmp_path)
    write_json(tmp_path / "data" / "reference" / "paper.json", {"numbers": []})
    with pytest.raises(InputError, match=r"paper\.json"):
        comparable.reproduced(tmp_path)


def test_a_step_with_parts_counts_their_work_and_their_memory() -> None:
    own = {"wall_seconds": 1.0, "cpu_seconds": 0.5, "peak_memory_bytes": 50}
    cells = {name: {"wall_seconds": 10.0, "cpu_seconds": 9.0, "peak_memory_bytes": peak} for name, peak in CELL_PEAKS}
    gathered = cost.Run("distill/vlkd", Path("x"), own | {"cells": cells})
    assert (gathered.wall, gathered.total("cpu_seconds"), gathered.memory) == (21.0, 18.5, 9)
    silent = cost.Run("evaluate/vlkd/predict", Path("x"), own | {"jobs": {"coco/all-s0": {"wall_seconds": 4.0}}})
    assert (silent.wall, silent.memory) == (5.0, None)
    assert cost.Run("pretrain/clip", Path("x"), own).memory == 50


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
    assert all(len(p.questions) == 1 for p in shown)


def test_failures_are_failures_in_the_order_of_the_draw(made: Path) -> None:
    shown = gallery.failures(made, "all-s0", "test", 4, 224)
    assert len(shown) == 4
    assert all(p.questions[0].score == 0 and p.questions[0].answer != p.questions[0].truth for p in shown)
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
    with gallery.Thumbnails(tmp_path, "coco", 224) as images:
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
