"""The written report: what is on the page, and that every number is the one that was scored."""

from __future__ import annotations

import csv
import json
from html.parser import HTMLParser
from pathlib import Path

import pytest
from click.testing import CliRunner

from tests.report import factory
from vldistill import layout, report
from vldistill.artifact import verify
from vldistill.cli.report import command
from vldistill.errors import InputError
from vldistill.evaluate.summary import headline
from vldistill.files import read_jsonl, write_jsonl
from vldistill.params import Params
from vldistill.report.write import SECTIONS

VOID = {"meta", "link", "img", "br", "hr", "input"}


class Outline(HTMLParser):
    """Ids, links and images of a page; fails on tags that are not closed in order."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.links: list[str] = []
        self.sources: list[str] = []
        self.alternatives: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        if tag not in VOID:
            self.open.append(tag)
        self.ids += [str(found["id"])] if "id" in found else []
        self.links += [str(found["href"])] if "href" in found else []
        self.sources += [str(found["src"])] if "src" in found else []
        self.alternatives += [str(found["alt"])] if tag == "img" else []

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """SVG shapes close themselves."""

    def handle_endtag(self, tag: str) -> None:
        assert self.open and self.open[-1] == tag, f"</{tag}> closes {self.open[-3:]}"
        self.open.pop()

    def handle_data(self, data: str) -> None:
        self.text += data


def outline(root: Path) -> Outline:
    found = Outline()
    found.feed((layout.report(root) / "index.html").read_text(encoding="utf-8"))
    assert found.open == []
    return found


def test_page_is_self_contained_and_every_link_leads_somewhere(made: Path) -> None:
    page = outline(made)
    assert len(set(page.ids)) == len(page.ids)
    for link in page.links:
        if link.startswith("#"):
            assert link[1:] in page.ids
        elif not link.startswith("data:"):
            assert (layout.report(made) / link).is_file(), link
    assert page.sources
    assert all(source.startswith("data:image/") for source in page.sources)
    assert all(page.alternatives)
    html = (layout.report(made) / "index.html").read_text(encoding="utf-8")
    assert "<script" not in html
    assert "http://" not in html
    assert "https://" not in html
    assert "@import" not in html


def test_every_section_is_there_and_named_in_the_navigation(made: Path) -> None:
    page = outline(made)
    for name in SECTIONS:
        assert name in page.ids
        assert f"#{name}" in page.links


def test_the_status_of_a_miniature_run_is_said(made: Path) -> None:
    text = outline(made).text
    assert "paper numbers not yet reproduced" in text
    assert "not comparable" in text
    assert "Headline unreliable" not in text


def test_numbers_on_the_page_are_those_of_the_scores(made: Path, params: Params) -> None:
    rows = read_jsonl(layout.score_vlkd(made) / "scores.jsonl")
    values = [
        row["value"]
        for row in rows
        if (row["task"], row["arm"], row["control"], row["variant"], row["subset"])
        == ("vqav2", "all", None, "official", "all")
    ]
    mean = sum(values) / len(values)
    with open(layout.report(made) / "tables" / "headline.csv", encoding="utf-8", newline="") as handle:
        table = list(csv.DictReader(handle))
    vqa = next(line for line in table if line["task"] == "VQAv2")
    assert float(vqa["value"]) == pytest.approx(mean, rel=1e-5)
    assert float(vqa["value low"]) < mean < float(vqa["value high"])
    assert (vqa["n"], vqa["seeds"], vqa["variant"], vqa["split"]) == ("2400", "3", "official", "test")
    assert vqa["prompt and decoding"].startswith(params.evaluate.vlkd.prompts.vqa)
    assert f"{mean:.1f}" in outline(made).text


def test_metrics_are_few_and_those_of_the_summary(made: Path, params: Params) -> None:
    found = json.loads((layout.report(made) / "metrics.json").read_text())
    rows = read_jsonl(layout.score_vlkd(made) / "scores.jsonl")
    assert found == headline(rows, params.evaluate.vlkd.vqa_variant)
    assert 5 <= sum(len(group) for group in found.values()) <= 25


def test_reported_numbers_stand_beside_ours_and_are_marked(made: Path) -> None:
    tables = layout.report(made) / "tables"
    with open(tables / "papers.csv", encoding="utf-8", newline="") as handle:
        table = list(csv.DictReader(handle))
    reported, ours = (line for line in table if line["metric"] == "CIDEr")
    assert (reported["teacher"], reported["reported"], reported["ours"]) == ("CLIP ViT-B/16", "58.3", "")
    assert (ours["teacher"], ours["reported"]) == ("mini CLIP", "")
    assert float(ours["ours"]) > 100
    test_dev = [line for line in table if line["split"] == "test-dev"]
    assert test_dev
    assert not any(line["ours"] for line in test_dev)
    assert "Not comparable" in (tables / "papers.tex").read_text(encoding="utf-8")


def test_a_metric_that_was_not_computed_says_why(made: Path) -> None:
    assert "COCO captions SPICE was not computed: no CoreNLP jars found" in outline(made).text


def test_dvc_plots_hold_flat_records(made: Path, params: Params) -> None:
    plots = layout.report(made) / "plots"
    losses = json.loads((plots / "losses.json").read_text())
    assert {"arm", "term", "step", "value"} == set(losses[0])
    assert {record["term"] for record in losses} == {"loss", "ttdm", "itcl", "icti"}
    arms = json.loads((plots / "arms.json").read_text())
    assert {record["arm"] for record in arms} == set(params.distill.vlkd.active)


def test_provenance_names_every_model_and_its_weights(made: Path) -> None:
    text = outline(made).text
    weights = verify(layout.distill_vlkd(made))["files"]["all-s0/model.safetensors"]["sha256"]
    assert weights in text
    assert "0123456789ab" in text


def test_the_same_results_give_the_same_report(fresh: Path, params: Params) -> None:
    report.run(params, fresh)
    first = verify(layout.report(fresh))
    report.run(params, fresh)
    assert verify(layout.report(fresh)) == first


def test_a_working_blind_control_marks_the_headline(fresh: Path, params: Params) -> None:
    path = layout.score_vlkd(fresh) / "scores.jsonl"
    rows = read_jsonl(path)
    for row in rows:
        if row["task"] == "vqav2" and row["control"] == "no_image":
            row["value"] = 78.0
    write_jsonl(path, rows)
    report.run(params, fresh)
    text = outline(fresh).text
    assert "Headline unreliable." in text
    assert "without any image, accuracy is still 78.0" in text


def test_parts_that_were_not_run_are_left_out(fresh: Path, params: Params) -> None:
    path = layout.score_vlkd(fresh) / "scores.jsonl"
    write_jsonl(path, [row for row in read_jsonl(path) if row["task"] in ("vqav2", "coco")])
    report.run(params, fresh)
    page = outline(fresh)
    assert "retrieval" not in page.ids
    assert "#retrieval" not in page.links
    assert "retention" not in page.ids
    assert "ablation" in page.ids


def test_text_of_data_and_models_is_escaped(fresh: Path, params: Params) -> None:
    path = layout.score_vlkd(fresh) / "items" / "coco" / "all-s0.jsonl"
    items = read_jsonl(path)
    for item in items:
        item["prediction"] = "<script>alert(1)</script> & co"
    write_jsonl(path, items)
    report.run(params, fresh)
    html = (layout.report(fresh) / "index.html").read_text(encoding="utf-8")
    assert "<script>" not in html
    assert "&lt;script&gt;" in html


def test_a_failed_report_leaves_the_earlier_one(fresh: Path, params: Params) -> None:
    report.run(params, fresh)
    before = verify(layout.report(fresh))
    (layout.download(fresh, "coco") / "images.zip").write_bytes(b"PK broken")
    with pytest.raises(InputError, match=r"images\.zip"):
        report.run(params, fresh)
    assert verify(layout.report(fresh)) == before


def test_command_writes_page_and_run_record(made: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    root = factory.make(tmp_path, Params(), papers=made / "data" / "reference" / "papers.csv", images=6)
    (root / layout.PARAMS).write_bytes((made / layout.PARAMS).read_bytes())
    monkeypatch.chdir(root)
    outcome = CliRunner().invoke(command, catch_exceptions=False)
    assert outcome.exit_code == 0
    assert "index.html" in outcome.output
    assert json.loads(layout.run_record(layout.report(root)).read_text())["wall_seconds"] > 0
