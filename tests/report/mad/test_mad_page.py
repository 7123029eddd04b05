"""MAD's part of the page: what stands on it, what is written beside it, and what is left out."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.evaluate.mad.results import results
from tests.report.browser import EXECUTABLE, Browser
from tests.report.mad import factory
from vldistill import layout, report
from vldistill.evaluate.mad.statistics import Draw
from vldistill.evaluate.mad.summary import summarise
from vldistill.evaluate.mad.tables import Results, read_results
from vldistill.files import read_jsonl
from vldistill.params import Params
from vldistill.presets import render
from vldistill.report.mad import difference_tables, gallery, names, part, score_tables
from vldistill.report.mad.found import Found, metrics, read
from vldistill.report.mad.part import SECTIONS

TASKS = ("snli_ve", "vcr", "vqa")


@pytest.fixture(scope="module")
def html(both: Path) -> str:
    return (layout.report(both) / "index.html").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def found(both: Path, both_params: Params) -> Found:
    made = read(both_params, both)
    assert made is not None
    return made


def rows(both: Path, name: str) -> list[dict[str, str]]:
    with (layout.report(both) / "tables" / f"mad_{name}.csv").open(encoding="utf-8") as handle:
        return list(csv.DictReader(handle))


def test_every_section_is_there_and_in_the_navigation(html: str) -> None:
    for name, title in SECTIONS.items():
        assert f'<section id="{name}">' in html
        assert f'<a href="#{name}">{title}</a>' in html
    assert "conditional on one world, one teacher and one pre-trained student" in html


def test_n_stands_beside_every_number(both: Path) -> None:
    for name in (*TASKS, "shift", "matched", "controls", "blind", "gain", "over_naive", "gap", "arms", "all"):
        found = rows(both, name)
        assert found, name
        assert all(float(row["n"]) > 0 for row in found), name


def test_a_shifted_number_stands_beside_the_original_wording_of_the_same_items(both: Path) -> None:
    of_vcr = [row for row in rows(both, "shift") if row["task"] == "VCR"]
    labels = {"baseline": "fine-tuning (baseline)", "nkd": "naive distillation", "mad": "MAD"}
    assert {row["arm"] for row in of_vcr} == {*labels.values()}
    for row in of_vcr:
        arm = next(name for name, label in labels.items() if label == row["arm"])
        cell = f"{arm}-f{row['training data'].removesuffix(' %')}"
        rewritten, original = (_rules(both, cell, kind) for kind in ("", "_original"))
        assert [one["id"] for one in rewritten] == [one["id"] for one in original]
        # items of each of two seeds
        assert float(row["n"]) == float(row["n unshifted"]) == len(rewritten) / 2
        for column, items in (("shifted", rewritten), ("unshifted", original)):
            metric = row["metric"].replace("\u2192", "->")
            assert float(row[column]) == pytest.approx(np.mean([one["scores"][metric] for one in items]), abs=1e-3)
    assert [row["metric"] for row in of_vcr if (row["arm"], row["training data"]) == ("MAD", "10 %")] == [
        "Q\u2192A", "QA\u2192R", "Q\u2192AR",
    ]  # fmt: skip


def test_the_shift_table_says_where_there_is_no_matched_baseline(html: str, found: Found) -> None:
    # the factory has stopped and smoothed baselines at 10 % only, and those of VCR and VQA make no line
    assert "No matched baseline on SNLI-VE at 25, 100 %; VCR at 10, 25, 100 %; VQA at 10, 25, 100 %: none was" in html
    (line,) = found.summary.matched
    shown = {(row["task"].text, row["fraction"].text) for row in score_tables.shift(found.summary).rows}
    everywhere = [replace(line, task=task, fraction=size) for task in TASKS for size in (10, 25, 100)]
    assert len(shown) == len(everywhere)
    assert score_tables.shift(replace(found.summary, matched=everywhere)).notes[-1] == score_tables.SPREAD
    only_vqa = replace(found.summary, matched=[one for one in everywhere if one.task != "vqa"])
    assert score_tables.shift(only_vqa).notes[-1].startswith("No matched baseline on VQA at 10, 25, 100 %: ")


def test_rationales_under_shift_stand_in_no_family_of_tests(found: Found) -> None:
    under_shift = [one for one in found.summary.differences if one.place.subset.startswith("rules")]
    assert under_shift
    assert {one.place.metric for one in under_shift} == {"Q->A"}
    assert {one.place.metric for one in found.summary.means if one.place.subset == "rules"} == {
        "Q->A",
        "QA->R",
        "Q->AR",
    }


def _rules(root: Path, cell: str, kind: str) -> list[dict[str, Any]]:
    """The per-item scores of both rules and both seeds: rewritten, or in the original wording."""
    folder = layout.score_items_mad(root, "vcr")
    files = [folder / f"{rule}{kind}" / f"{cell}-s{seed}.jsonl" for seed in range(2) for rule in ("singular", "plural")]
    return [one for file in files for one in read_jsonl(file)]


def test_every_control_has_a_verdict(both: Path) -> None:
    found = rows(both, "controls")
    assert {row["effect"] for row in found} <= {"shown", "not shown", "opposite"}
    assert any(row["arm \u2212 control"] == "mad \u2212 shuffled_targets" for row in found)


def test_exactly_the_controls_that_differ_in_more_than_a_switch_are_marked(
    both: Path, both_params: Params, html: str, found: Found
) -> None:
    shown = {
        row["arm \u2212 control"]
        for row in rows(both, "controls")
        if row["items"].startswith("SNLI-VE") and row["arm \u2212 control"][-1] in difference_tables.MARKS
    }
    rates, drawn = difference_tables.RATES_MARK, difference_tables.DRAWN_MARK
    assert shown == {
        *(f"mad \u2212 {control}{rates}" for control in ("embeddings_init", "projected_input", "baseline_matching")),
        f"mad_matching \u2212 baseline_matching{rates}",
        *(f"{pair}{drawn}" for pair in ("ts \u2212 nkd_alike", "mad \u2212 cw")),
    }
    assert f"<li>{rates}: the two differ in learning rate or embedding rate, too" in html
    assert f"<li>{drawn}: the two differ in what a state is drawn to, too" in html
    assert f"<li>{difference_tables.OTHER_MARK}:" not in html
    # alike in everything else, once the user makes them so, and told where he gives one arm more
    mad = both_params.model_dump(mode="json")["distill"]["mad"]
    mad |= {"scope": "whole", "settings": {}, "settings_of": {}}
    mad["arms"]["ts"]["tokens"] = 1
    other = Params.model_validate({"distill": {"mad": {**mad, "sweep": {"on_dev": {}}, "extra": {}}}})
    table = difference_tables.controls(found.summary, 0.95, other.distill.mad)
    ended = {row["pair"].text[-1] for row in table.rows if not row["pair"].text.startswith("ts ")}
    assert not ended & {rates, drawn}
    assert table.notes[-1] == "*: the two differ in more options: distill.mad.tokens."


def test_bars_and_reported_numbers(both: Path, html: str) -> None:
    verdicts = {row["verdict"].removesuffix(", extrapolated") for row in rows(both, "bars")}
    assert verdicts <= {"met", "not met", "not measured"}
    measured = [row for row in rows(both, "bars") if row["measured"]]
    assert measured
    for row in measured:
        assert float(row["half-width"]) == pytest.approx((float(row["to"]) - float(row["from"])) / 2, abs=1e-4)
    papers = rows(both, "papers")
    assert [float(row["reported"]) for row in papers] == [80.32, 79.6]
    assert {row["comparable"] for row in papers} == {"not comparable at this scale"}
    assert (layout.report(both) / "tables" / "mad_papers.tex").is_file()


@pytest.mark.slow
def test_what_lies_beyond_the_matched_baselines_is_called_extrapolated(
    both: Path, both_params: Params, html: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (row,) = [row for row in rows(both, "matched") if row["task"] == "SNLI-VE, 10 %"]
    assert row["that is"] == "between its points", "the baseline on 25 % is above MAD on 10 %"
    assert 'id="mad-extrapolated"' not in html
    root = tmp_path / "few"
    shutil.copytree(both, root)
    monkeypatch.setattr(factory, "GROWTH", {10: 0.0})
    files = factory.scores(2)
    factory._items(root, "snli_ve", {key: items for key, items in files.items() if key[0] == "snli_ve"})
    report.run(both_params, root)
    (row,) = rows(root, "matched")
    assert row["that is"] == "extrapolated"
    (bar,) = [bar for bar in rows(root, "bars") if "above the line" in bar["asked"] and bar["measured"]]
    assert bar["verdict"].endswith("met, extrapolated")
    page = (layout.report(root) / "index.html").read_text(encoding="utf-8")
    assert "may not hold (SNLI-VE, 10 %)" in page
    assert "; extrapolated to MAD\u2019s" in page


def test_metrics_hold_few_numbers_of_mad(both: Path, found: Found) -> None:
    numbers = json.loads((layout.report(both) / "metrics.json").read_text())["mad"]
    assert set(numbers) == {*TASKS, "bars"}
    assert set(numbers["vcr"]) == {f"f{size}{end}" for size in (10, 25, 100) for end in ("", "_gain")}
    gain = next(one for one in found.summary.differences if one.family == "gain" and one.place.task == "vcr")
    assert numbers["vcr"]["f10_gain"] == pytest.approx(gain.value)
    assert metrics(found) == numbers


def test_the_gallery_shows_both_kinds_of_differences(both: Path, both_params: Params, found: Found) -> None:
    shown = gallery.galleries(both_params, both, found)
    assert len(shown) == 6
    for title, examples in shown.items():
        for example in examples:
            mine, other = example.said[:2]
            assert mine.right == title.split("%, ")[1].startswith("MAD right")
            assert mine.right != other.right


def test_a_difference_below_zero_is_called_opposite(found: Found) -> None:
    worse = next(one for one in found.summary.differences if one.arm == "argmin_token" and one.other == "baseline")
    assert difference_tables.verdict(worse, 0.95).text in ("not shown", "opposite")
    assert difference_tables.verdict(worse, 0.0).text == "opposite"


def test_without_a_task_mad_is_named_in_one_line(made: Path) -> None:
    html = (layout.report(made) / "index.html").read_text(encoding="utf-8")
    assert "MAD was not run" in html
    assert 'id="mad"' not in html
    assert "mad" not in json.loads((layout.report(made) / "metrics.json").read_text())
    assert not list((layout.report(made) / "tables").glob("mad_*"))


def test_the_statistics_are_those_of_the_evaluation(both: Path, both_params: Params, found: Found) -> None:
    draw = Draw(both_params.evaluate.mad.resamples, both_params.evaluate.mad.level)
    assert found.summary.bars == summarise(read_results(both, TASKS), TASKS, draw).bars


@pytest.mark.slow
@pytest.mark.skipif(EXECUTABLE is None, reason="Chromium is not installed: apt-get install chromium")
@pytest.mark.parametrize("width", [1440, 390])
def test_the_page_opens_cleanly(both: Path, width: int) -> None:
    with Browser() as browser:
        page = layout.report(both) / "index.html"
        browser.open(page, width=width)
        assert browser.of("Runtime.exceptionThrown") == []
        assert [entry["entry"]["text"] for entry in browser.of("Log.entryAdded")] == []
        requests = {event["request"]["url"] for event in browser.of("Network.requestWillBeSent")}
        assert {url for url in requests if not url.startswith("data:")} == {page.resolve().as_uri()}
        assert browser.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth") is True


def test_numbers_tuned_on_dev_stand_in_a_marked_column(found: Found, both_params: Params) -> None:
    rates = {"baseline": {"test": 0.5}, "nkd": {"test": 0.52}, "mad": {"test": 0.6}, "mad_dev_tuned": {"test": 0.65}}
    tree = both_params.model_dump(mode="json")
    settings = {"learning_rate": 0.001, "embedding_rate": 1.0}
    own = {f"snli_ve-{fraction}": settings for fraction in (10, 25, 100)}
    # dev chooses another rate for MAD, but not at 25 %; nothing is known of the 100 %
    on_dev = {key: {**settings, "learning_rate": 0.002} for key in own} | {"snli_ve-25": settings}
    tree["distill"]["mad"]["settings"] = {"baseline": own, "nkd": own, "mad": own, "mad_dev_tuned": on_dev}
    tree["distill"]["mad"]["extra"]["dev_tuned"]["arms"] = []
    sweep = {"on_dev": {"baseline": "baseline", "mad": "mad_dev_tuned"}, "chosen": ["snli_ve-10", "snli_ve-25"]}
    tree["distill"]["mad"]["sweep"] |= sweep
    mad = Params.model_validate(tree).distill.mad
    scores = results(rates, fractions=(10, 25, 100))
    scores = Results({key: items for key, items in scores._files.items() if key[2:4] != ("mad_dev_tuned", 100)})
    made = summarise(scores, ["snli_ve"], Draw(200), mad.sweep.dev_choices)
    table = score_tables.accuracy(made, "snli_ve", mad)
    assert dict(table.columns)["on_dev"] == "tuned on dev\u2021"
    shown = {(row["fraction"].text, row["arm"].text): row["on_dev"] for row in table.rows}
    assert {place: cell.shown for place, cell in shown.items() if cell.number is None} == {
        ("10 %", "fine-tuning (baseline)"): "the same",
        ("25 %", "fine-tuning (baseline)"): "the same",
        ("100 %", "fine-tuning (baseline)"): "\u2013",
        ("10 %", "naive distillation"): "\u2013",
        ("25 %", "naive distillation"): "\u2013",
        ("100 %", "naive distillation"): "\u2013",
        # although the arm tuned on dev was run there
        ("25 %", "MAD"): "the same",
        ("100 %", "MAD"): "\u2013",
    }
    tuned = next(one for one in made.means if one.arm == "mad_dev_tuned" and one.place.subset == "test")
    assert shown["10 %", "MAD"].number == tuned.value
    assert any("\u2021: settings chosen by accuracy on the whole dev set" in note for note in table.notes)
    assert names.arm("mad_dev_tuned") == "MAD, tuned on dev\u2021"
    gains = difference_tables.gains(made, "on_dev", "title", 0.95)
    assert {row["arm"].text for row in gains.rows} == {"MAD, tuned on dev\u2021"}
    assert all("\u2021" not in note for note in score_tables.accuracy(found.summary, "vqa", mad).notes)


@pytest.mark.slow
def test_the_column_is_on_the_page(both: Path, tmp_path: Path, both_params: Params) -> None:
    root = tmp_path / "tuned"
    shutil.copytree(both, root)
    params = both_params.model_copy(deep=True)
    tree = params.model_dump(mode="json")
    arms = ("baseline", "nkd", "mad")
    rates = {"learning_rate": 0.001, "embedding_rate": 1.0}
    places = [f"{task}-{fraction}" for task in TASKS for fraction in (10, 25, 100)]
    tree["distill"]["mad"]["settings"] = {arm: dict.fromkeys(places, rates) for arm in arms}
    tree["distill"]["mad"]["extra"]["dev_tuned"]["arms"] = []
    tree["distill"]["mad"]["sweep"] |= {"on_dev": {arm: arm for arm in arms}, "chosen": places}
    params = Params.model_validate(tree)
    (root / layout.PARAMS).write_text(render(params), encoding="utf-8")

    def html() -> str:
        report.run(Params.model_validate(tree), root)
        return (layout.report(root) / "index.html").read_text(encoding="utf-8")

    text = html()
    assert "tuned on dev\u2021" in text
    assert text.count(">the same<") == 3 * 3 * 3
    # a task without a sweep that was taken over has no such column
    tree["distill"]["mad"]["sweep"]["chosen"] = [place for place in places if place.startswith("vcr-")]
    assert html().count(">the same<") == 3 * 3
    tree["distill"]["mad"]["sweep"] |= {"on_dev": dict.fromkeys(arms, ""), "chosen": places}
    assert "tuned on dev" not in html()


def test_places_whose_settings_no_sweep_chose_are_listed(both_params: Params, found: Found) -> None:
    rates = {"learning_rate": 0.001, "embedding_rate": 1.0}
    everywhere = {f"{task}-{fraction}": rates for task in TASKS for fraction in (10, 25, 100)}

    def notes(chosen: Iterable[str], settings: Mapping[str, Any] = everywhere) -> list[str]:
        tree = both_params.model_dump(mode="json")
        tree["distill"]["mad"] |= {"settings": dict.fromkeys(("baseline", "nkd", "mad"), settings)}
        tree["distill"]["mad"]["sweep"] |= {"on_dev": {}, "chosen": list(chosen)}
        tree["distill"]["mad"]["extra"]["dev_tuned"]["arms"] = []
        return part._settings_notes(Params.model_validate(tree), found)

    nowhere = "SNLI-VE at 10, 25, 100 %; VCR at 10, 25, 100 %; VQA at 10, 25, 100 %: "
    (told,) = notes(everywhere)
    by_default = part._settings_notes(both_params, found)
    assert [note.partition(": ")[0] for note in by_default] == [
        "SNLI-VE at 10, 25, 100 %; VCR at 10, 25 %; VQA at 10, 25, 100 %",
        "VCR at 100 %",
    ], "a sweep's choices are the default, but for where the steps have changed since"
    assert told.startswith(nowhere)
    assert "a hold-out inside the training subset of the same task and size chose" in told
    assert "chosen words, the scope and the projections of distillation were chosen on dev, too" in told
    fewer = [place for place in everywhere if place not in ("vqa-10", "vqa-100", "vcr-25")]
    rest = (
        "VCR at 25 %; VQA at 10, 100 %: settings that were not chosen inside a training subset of that size by a sweep"
    )
    # settings that no sweep chose, and a sweep whose choices are not there
    for found_notes in (notes(fewer), notes(everywhere, dict.fromkeys(fewer, rates))):
        first, second = found_notes
        assert first.startswith("SNLI-VE at 10, 25, 100 %; VCR at 10, 100 %; VQA at 25 %: each arm")
        assert second.startswith(rest)
    for (told,) in (notes([]), notes(everywhere, {})):
        assert told.startswith(f"{nowhere}settings that were not chosen") and "hold-out" not in told
