"""The score stage on the predictions of a small real project, against the public scorers and by hand."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from vldistill import evaluate, layout
from vldistill.artifact import verify
from vldistill.errors import InputError
from vldistill.evaluate.data import Data
from vldistill.evaluate.metrics import captions
from vldistill.evaluate.metrics.captions import score_captions
from vldistill.evaluate.metrics.java import java_problem
from vldistill.evaluate.metrics.vqa import vqa_accuracy
from vldistill.evaluate.metrics.vqa_normalise import canonical
from vldistill.evaluate.score.captions import CaptionTasks
from vldistill.evaluate.score.rows import Bootstrap
from vldistill.evaluate.summary import bars, headline
from vldistill.files import read_json, read_jsonl
from vldistill.params import Params
from vldistill.params.evaluate import Spice

pytestmark = pytest.mark.slow
needs_java = pytest.mark.skipif(java_problem() is not None, reason="Java is missing")
Find = Callable[..., dict[str, Any]]


@pytest.fixture(scope="module")
def scored(project: Path, predicted: Path, params: Params) -> Path:
    return evaluate.vlkd_score(params, project)


@pytest.fixture(scope="module")
def find(scored: Path) -> Find:
    rows = read_jsonl(scored / "scores.jsonl")

    def one(**wanted: Any) -> dict[str, Any]:
        wanted = {"control": None, "subset": "all", "variant": None, **wanted}
        (row,) = [row for row in rows if all(row[key] == value for key, value in wanted.items())]
        return row

    return one


def test_rows_are_tidy_and_each_number_stands_once(scored: Path) -> None:
    verify(scored)
    rows = read_jsonl(scored / "scores.jsonl")
    keys = [tuple(row[k] for k in ("task", "arm", "seed", "control", "metric", "variant", "subset")) for row in rows]
    assert len(set(keys)) == len(keys)
    assert {row["split"] for row in rows} == {"test"}
    assert {row["unit"] for row in rows} == {"percent", "fraction", "loss"}
    assert all(row["n"] > 0 for row in rows)


def test_vqa_accuracy_is_that_of_the_public_scorer(find: Find, project: Path, predicted: Path) -> None:
    answers = {row["question_id"]: row["answer"] for row in read_json(predicted / "vqav2/all-s1.json")}
    records = Data(project, "test").questions("vqav2")
    for variant in ("official", "both", "evalai", "official_2017"):
        each = [vqa_accuracy(canonical(answers[int(r.id)]), r.answers, variant) for r in records]
        row = find(task="vqav2", arm="all", seed=1, metric="accuracy", variant=variant)
        assert row["value"] == pytest.approx(100 * sum(each) / len(each))
        assert row["n"] == len(records)


def test_majority_beats_nothing_but_is_a_real_prior(find: Find, project: Path) -> None:
    row = find(task="vqav2", arm="majority", seed=None, metric="accuracy", variant="official")
    assert 5 < row["value"] < 70
    assert row["low"] <= row["value"] <= row["high"]


def test_subsets_add_up_to_the_whole(scored: Path) -> None:
    rows = [
        row
        for row in read_jsonl(scored / "scores.jsonl")
        if (row["task"], row["arm"], row["seed"], row["control"], row["variant"])
        == ("domains", "all", 0, None, "official")
    ]
    whole = next(row for row in rows if row["subset"] == "all")
    for prefix in ("answer_type:", "question_type:", ""):
        parts = [row for row in rows if row["subset"].startswith(prefix) and row["subset"] != "all"]
        parts = [row for row in parts if prefix or row["subset"].endswith("-domain")]
        assert sum(row["n"] for row in parts) == whole["n"]
        assert sum(row["n"] * row["value"] for row in parts) == pytest.approx(whole["n"] * whole["value"])


@needs_java
def test_caption_scores_are_those_of_the_public_scorer_on_each_domain(
    find: Find, project: Path, predicted: Path
) -> None:
    records = [r for r in Data(project, "test").captions("nocaps") if r.domain == "near-domain"]
    written = {row["image_id"]: row["caption"] for row in read_json(predicted / "nocaps/clip_retrieval.json")}
    expected = score_captions(
        {r.id: r.captions for r in records}, {r.id: written[int(r.id)] for r in records}, spice="off"
    )["metrics"]
    for metric in ("Bleu_1", "Bleu_4", "METEOR", "ROUGE_L", "CIDEr"):
        row = find(task="nocaps", arm="clip_retrieval", metric=metric, subset="near-domain")
        assert row["value"] == pytest.approx(expected[metric], abs=1e-8)
        assert row["n"] == len(records)


@needs_java
def test_references_are_tokenised_once_for_the_whole_and_its_domains(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    records = Data(project, "test").captions("nocaps")
    sets = []
    monkeypatch.setattr(captions, "tokenize", lambda texts: sets.append(len(texts)) or [text.lower() for text in texts])
    entry = {"task": "nocaps", "split": "test", "arm": "random", "seed": None, "control": None, "file": "x"}
    with CaptionTasks(Spice(mode="off"), Bootstrap(0, 0.95)) as tasks:
        (scored,) = tasks.score("nocaps", [entry], [{int(r.id): "a red star" for r in records}], records)
    domains = {record.domain for record in records}
    assert {row["subset"] for row in scored.rows} == {"all", *domains} and len(scored.items) == len(records)
    assert len(sets) == 1 + 1 + len(domains), "the references, then the captions of each set"
    assert sets[0] == sum(len(record.captions) for record in records)


@needs_java
def test_spice_is_of_the_first_images_and_all_else_of_all(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    records = Data(project, "test").captions("coco")
    lengths: list[int] = []

    def fractions(sets: list[list[str]], references: list[list[str]], *_: object) -> list[list[float]]:
        lengths.append(len(references))
        return [[index / 10 for index in range(len(references))] for _ in sets]

    # the parser's own numbers are held elsewhere; here it only matters which images it is given
    monkeypatch.setattr(captions, "spice_scores", fractions)
    monkeypatch.setattr(captions, "find_jars", lambda _: object())
    entry = {"task": "coco", "split": "test", "arm": "all", "seed": 0, "control": None, "file": "x"}
    with CaptionTasks(Spice(images=2), Bootstrap(0, 0.95)) as tasks:
        (scored,) = tasks.score("coco", [entry], [{int(r.id): "a red star" for r in records}], records)
    n = {row["metric"]: row["n"] for row in scored.rows}
    assert lengths == [2] and n["SPICE"] == 2 and n["CIDEr"] == len(records) > 2
    assert [row["value"] for row in scored.rows if row["metric"] == "SPICE"] == [pytest.approx(0.05)]
    assert [item["id"] for item in scored.items] == [record.id for record in records]
    assert ["SPICE" in item["scores"] for item in scored.items] == [True] * 2 + [False] * (len(records) - 2)


def test_spice_that_is_not_computed_is_null_with_its_reason(find: Find) -> None:
    row = find(task="coco", arm="all", seed=0, metric="SPICE")
    assert row["value"] is None
    assert row["reason"]


def test_items_hold_what_the_mean_is_made_of(find: Find, scored: Path) -> None:
    items = read_jsonl(scored / "items/vqav2/all-s0.shuffled.jsonl")
    assert {tuple(item) for item in items} == {("id", "prediction", "target", "scores", "group")}
    mean = sum(item["scores"]["official"] for item in items) / len(items)
    row = find(task="vqav2", arm="all", seed=0, control="shuffled", metric="accuracy", variant="official")
    assert row["value"] == pytest.approx(mean)
    assert len({item["group"] for item in items}) < len(items), "questions share images"


def test_text_retention_before_and_after(find: Find) -> None:
    for arm, seed in (("plm", None), ("all", 0)):
        assert find(task="corpus", arm=arm, seed=seed, metric="loss")["value"] > 0
        assert 0 <= find(task="summary", arm=arm, seed=seed, metric="rougeL", variant="direct")["value"] <= 1
    tuned = find(task="reading", arm="plm", seed=0, metric="accuracy", variant="fine-tuned")
    assert tuned["n"] == find(task="reading", arm="plm", seed=None, metric="accuracy", variant="direct")["n"]


def test_retrieval_recall_grows_with_k(find: Find) -> None:
    for arm, seed in (("all", 0), ("clip_text", None)):
        values = [
            find(task="retrieval", arm=arm, seed=seed, metric=f"R@{k}", variant="text_to_image")["value"]
            for k in (1, 5, 10)
        ]
        assert values == sorted(values)


def test_the_summary_reads_what_the_stage_writes(scored: Path) -> None:
    rows = read_jsonl(scored / "scores.jsonl")
    numbers = headline(rows)
    assert set(numbers) == {"vqa", "okvqa", "domains", "coco", "nocaps", "retrieval", "retention", "bars"}
    assert set(numbers["domains"]) == {"in", "near", "out"}
    assert all(bar.value is not None for bar in bars(rows))
    assert len(bars(rows)) == 7
    assert sum(map(len, numbers.values())) <= 20


@pytest.fixture
def copy(project: Path, predicted: Path, tmp_path: Path) -> Path:
    """Another root with the same records and a copy of the predictions other than captions (those wait for METEOR)."""
    (tmp_path / "results").mkdir()
    for name in ("download", "split"):
        (tmp_path / "results" / name).symlink_to(project / "results" / name)
    target = layout.predict_vlkd(tmp_path)
    shutil.copytree(predicted, target)
    index = [entry for entry in read_json(target / "index.json") if entry["task"] not in ("coco", "nocaps")]
    (target / "index.json").write_text(json.dumps(index))
    return tmp_path


def test_scoring_twice_gives_the_same_bytes(scored: Path, copy: Path, params: Params) -> None:
    first = (evaluate.vlkd_score(params, copy) / "manifest.json").read_bytes()
    assert (evaluate.vlkd_score(params, copy) / "manifest.json").read_bytes() == first
    rows = [r for r in read_jsonl(scored / "scores.jsonl") if r["task"] not in ("coco", "nocaps")]
    # in another order than the whole: captions come first there
    assert sorted(map(str, rows)) == sorted(map(str, read_jsonl(layout.score_vlkd(copy) / "scores.jsonl")))


def test_predictions_of_another_split_are_refused(predicted: Path, project: Path, params: Params) -> None:
    tree = params.model_dump()
    tree["evaluate"]["vlkd"]["split"] = "dev"
    with pytest.raises(InputError, match="predictions of the split test"):
        evaluate.vlkd_score(Params.model_validate(tree), project)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda rows: rows[1:], "without a result"),
        (lambda rows: [rows[0], *rows], "stands twice"),
        (lambda rows: [{"question_id": rows[0]["question_id"]}, *rows[1:]], "missing"),
        (lambda rows: [{**rows[0], "answer": 3}, *rows[1:]], "not text"),
    ],
)
def test_broken_predictions_are_named(
    spoil: Callable[[list[Any]], list[Any]], message: str, copy: Path, params: Params
) -> None:
    path = layout.predict_vlkd(copy) / "vqav2/all-s0.json"
    path.write_text(json.dumps(spoil(read_json(path))))
    with pytest.raises(InputError, match=message):
        evaluate.vlkd_score(params, copy)
