"""Caption metrics give the COCO evaluation's numbers, whatever is in the captions and around the process."""

from __future__ import annotations

import json
import os
import random
import resource
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import pytest
from click.testing import CliRunner

from vldistill.cli.score import command
from vldistill.errors import InputError
from vldistill.evaluate.metrics.captions import METRICS, CaptionScorer, score_captions
from vldistill.evaluate.metrics.java import JavaError, wheel
from vldistill.evaluate.metrics.meteor import Meteor
from vldistill.evaluate.metrics.official import Source, caption_references, caption_results
from vldistill.evaluate.metrics.spice import find_jars, spice_scores
from vldistill.evaluate.metrics.tokenizer import tokenize

EXPECTED = {
    "Bleu_1": 0.5793995754573356,
    "Bleu_2": 0.40439129741018104,
    "Bleu_3": 0.2785363856619147,
    "Bleu_4": 0.1908290437674253,
    "METEOR": 0.19525467177780284,
    "ROUGE_L": 0.39625269357570847,
    "CIDEr": 0.5997905185184199,
}
REFERENCES = {
    1: ["a red ball lies on the floor", "the ball is red"],
    2: ["two dogs run", "dogs running in a park"],
    3: ["a cat"],
}
HYPOTHESES = {1: "a red ball", 2: "two dogs in a park", 3: "a blue cat"}


def children_seconds() -> float:
    """Processor time of ended child processes; unlike wall time it does not depend on what else runs."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def launcher(home: Path, script: str) -> None:
    """A Java home whose launcher is a shell script."""
    path = home / "bin" / "java"
    path.parent.mkdir()
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


@pytest.mark.slow
def test_fakecap_through_the_command_line(
    java: None, fakecap: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("VLDISTILL_CORENLP", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    # what a German desktop would set; METEOR crashes under it if the options do not win
    monkeypatch.setenv("JAVA_TOOL_OPTIONS", "-Duser.language=de -Duser.country=DE")
    installed = sorted(str(path) for path in wheel().rglob("*") if "__pycache__" not in path.parts)
    references, results = fakecap
    arguments = ["captions", "--references", str(references), "--results", str(results)]
    arguments += ["--out", str(tmp_path / "m.json"), "--items", str(tmp_path / "items.jsonl")]
    done = CliRunner().invoke(command, arguments, catch_exceptions=False)
    assert done.exit_code == 0
    metrics = json.loads((tmp_path / "m.json").read_text())
    assert {name: metrics[name] for name in EXPECTED} == pytest.approx(EXPECTED, abs=1e-9)
    assert metrics["SPICE"] is None
    assert "stanford-corenlp-3.6.0.jar" in metrics["SPICE_reason"]
    assert metrics["n"] == 1000
    items = [json.loads(line) for line in (tmp_path / "items.jsonl").read_text().splitlines()]
    assert len(items) == 1000
    mean = sum(item["scores"]["CIDEr"] for item in items) / 1000
    assert mean == pytest.approx(metrics["CIDEr"], abs=1e-12)
    assert installed == sorted(str(path) for path in wheel().rglob("*") if "__pycache__" not in path.parts)


@pytest.fixture(scope="module")
def meteor(java: None) -> Iterator[Meteor]:
    """One METEOR for several tests: it takes seconds to load."""
    with Meteor() as running:
        yield running


@pytest.mark.slow
def test_line_ends_inside_captions_move_nothing(meteor: Meteor) -> None:
    ends = "\n\r\v\f\u2028\u2029\x85"
    broken = {key: text.replace(" ", end) for (key, text), end in zip(HYPOTHESES.items(), "\r\u2028\v", strict=True)}
    references = {key: [text.replace(" ", ends[key]) for text in texts] for key, texts in REFERENCES.items()}
    with CaptionScorer(REFERENCES, spice="off", meteor=meteor) as scorer:
        plain = scorer.score(HYPOTHESES)
    with CaptionScorer(references, spice="off", meteor=meteor) as scorer:
        assert scorer.score(broken)["per_item"] == plain["per_item"]


@pytest.mark.slow
def test_empty_and_odd_captions_are_scored(meteor: Meteor) -> None:
    odd = {1: "", 2: "... !", 3: "||| \x00 \ud800 café \U0001f600 <br> -LRB-"}
    with CaptionScorer(REFERENCES, spice="off", meteor=meteor) as scorer:
        scores = scorer.score(odd)
        assert scores["per_item"][1]["METEOR"] == 0.0
        assert scores["per_item"][2]["CIDEr"] == 0.0
        # the good ones are untouched by bad neighbours, and many sets at once give what one by one gives
        several = scorer.score_many({"odd": odd, "good": HYPOTHESES})
        assert several["odd"] == scores
        assert several["good"] == scorer.score(HYPOTHESES)


class Lengths:
    """In place of METEOR, which takes seconds to load: the number of a caption's words."""

    def score(self, hypotheses: list[str], references: list[list[str]]) -> tuple[float, list[float]]:
        each = [float(len(text.split())) for text, _ in zip(hypotheses, references, strict=True)]
        return sum(each) / len(each), each


def test_a_part_is_scored_as_a_set_of_its_own(java: None) -> None:
    keys, meteor = [3, 1], cast(Meteor, Lengths())
    part = {key: HYPOTHESES[key] for key in keys}
    with CaptionScorer({key: REFERENCES[key] for key in keys}, spice="off", meteor=meteor) as scorer:
        alone = scorer.score(part)
    with CaptionScorer(REFERENCES, spice="off", meteor=meteor) as scorer:
        whole = scorer.score(HYPOTHESES)
        assert scorer.part(keys).score(part) == alone
        assert scorer.score(HYPOTHESES) == whole
        assert whole["per_item"][1]["CIDEr"] != alone["per_item"][1]["CIDEr"]
        with pytest.raises(InputError, match="record 9: 1 ids without references"):
            scorer.part([1, 9])


@pytest.mark.slow
def test_meteor_is_asked_for_equal_captions_once(meteor: Meteor, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    ask = Meteor._ask
    monkeypatch.setattr(Meteor, "_ask", lambda self, lines, n: asked.append(len(lines)) or ask(self, lines, n))
    references = [["a green kite over a hill", "one kite"], ["a green kite over a hill", "one kite"], ["two kites"]]
    overall, each = meteor.score(["a kite", "a kite", "a kite"], references)
    assert meteor.score(["a kite", "a kite", "a kite"], references) == (overall, each)
    assert asked == [2, 1, 0, 1], "distinct captions, then the sum over all three"
    assert each[0] == each[1] != each[2]


@pytest.mark.slow
def test_meteor_that_dies_is_an_error(java: None) -> None:
    with Meteor() as meteor:
        meteor.score(["a cat"], [["a cat"]])
        meteor._process.kill()
        with pytest.raises(JavaError, match="METEOR failed: Java ended with status"):
            meteor.score(["a cat"] * 50, [["a cat"]] * 50)


def test_tokenizer_that_fails_is_an_error_not_a_zero(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    launcher(
        tmp_path, 'test "$1" = -version && echo \'version "17.0.1"\' >&2 && exit 0\necho out of memory >&2\nexit 3'
    )
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    with pytest.raises(JavaError, match="PTBTokenizer failed: Java ended with status 3: out of memory"):
        score_captions(REFERENCES, HYPOTHESES, spice="off")


def test_without_java_everything_is_null_with_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.delenv("JAVA_HOME", raising=False)
    metrics = score_captions(REFERENCES, HYPOTHESES)["metrics"]
    assert all(metrics[name] is None for name in METRICS)
    assert "apt install" in metrics["reason"]
    assert metrics["SPICE_reason"] == metrics["reason"]
    with pytest.raises(Exception, match="Java is not installed"):
        score_captions(REFERENCES, HYPOTHESES, spice="required")


def test_a_java_launcher_that_does_not_work_counts_as_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    launcher(tmp_path, "echo no runtime >&2\nexit 1")
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    assert "no runtime" in score_captions(REFERENCES, HYPOTHESES)["metrics"]["reason"]


@pytest.mark.parametrize(
    ("references", "hypotheses", "message"),
    [
        (REFERENCES, {1: "a", 2: "b"}, "1 ids without a result: 3"),
        (REFERENCES, {**HYPOTHESES, 4: "x"}, "1 ids that are not in the references: 4"),
        ({}, {}, "nothing to score"),
        ({**REFERENCES, 3: []}, HYPOTHESES, "record 3: no list of reference captions"),
        ({**REFERENCES, 3: "a cat"}, HYPOTHESES, "record 3: no list of reference captions"),
    ],
)
def test_id_sets_must_be_equal(references: dict, hypotheses: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        score_captions(references, hypotheses, spice="off")


def test_required_spice_without_jars_names_files_source_and_folder(java: None, tmp_path: Path) -> None:
    with pytest.raises(Exception, match=r"stanford-corenlp-3\.6\.0.*Maven Central") as caught:
        score_captions(REFERENCES, HYPOTHESES, spice="required", corenlp=tmp_path)
    assert str(tmp_path) in str(caught.value)


@pytest.mark.slow
def test_spice_of_a_few_captions(corenlp: Path, tmp_path: Path) -> None:
    # by hand: "a red ball" has two of the tuples ball, ball-red, floor, ball-lie on-floor: F = 2 * 1 * 0.5 / 1.5
    jars, cache = find_jars(corenlp), tmp_path / "data.mdb"
    references = list(REFERENCES.values())
    good, empty = spice_scores([list(HYPOTHESES.values()), [""] * 3], references, jars, cache)
    assert good[0] == pytest.approx(2 / 3)
    assert empty == [0.0] * 3
    # a damaged cache is replaced, not fatal
    cache.write_bytes(b"\0" * cache.stat().st_size)
    assert spice_scores([list(HYPOTHESES.values())], references, jars, cache) == [good]


@pytest.mark.slow
def test_spice_does_not_depend_on_neighbours(corenlp: Path, fakecap: tuple[Path, Path], tmp_path: Path) -> None:
    # image 191381: "toilet" merges with "bathroom" or with "commode", equally well
    references = caption_references(Source.read(fakecap[0]))
    results = caption_results(Source.read(fakecap[1]))
    others = [key for key in results if key != 191381]
    for before in (0, 3):
        keys = [*others[:before], 191381]
        flat = iter(tokenize([text for key in keys for text in (results[key], *references[key])]))
        tokenized = [(next(flat), [next(flat) for _ in references[key]]) for key in keys]
        hypotheses, targets = [text for text, _ in tokenized], [texts for _, texts in tokenized]
        (scores,) = spice_scores([hypotheses], targets, find_jars(corenlp), tmp_path / "data.mdb")
        assert scores[-1] == pytest.approx(0.14814814814814814)


@pytest.mark.slow
def test_spice_that_fails_is_null_with_the_reason_or_an_error(corenlp: Path, tmp_path: Path) -> None:
    for jar in corenlp.glob("*.jar"):
        (tmp_path / jar.name).symlink_to(jar)
    code = tmp_path / "stanford-corenlp-3.6.0.jar"
    code.unlink()
    code.write_bytes(b"no jar")
    metrics = score_captions(REFERENCES, HYPOTHESES, corenlp=tmp_path, cache=tmp_path / "c")["metrics"]
    assert metrics["SPICE"] is None
    assert "SPICE failed" in metrics["SPICE_reason"]
    assert metrics["CIDEr"] > 0
    with pytest.raises(JavaError, match="SPICE failed"):
        score_captions(REFERENCES, HYPOTHESES, spice="required", corenlp=tmp_path, cache=tmp_path / "c")


@pytest.mark.slow
def test_fakecap_spice_and_its_cache(corenlp: Path, fakecap: tuple[Path, Path], tmp_path: Path) -> None:
    references = caption_references(Source.read(fakecap[0]))
    results = caption_results(Source.read(fakecap[1]))
    before = os.listdir(wheel() / "spice")
    begun = children_seconds()
    scores = score_captions(references, results, spice="required", cache=tmp_path)
    first = children_seconds() - begun
    assert scores["metrics"]["SPICE"] == pytest.approx(0.13288891803208125, abs=1e-9)
    assert {name: scores["metrics"][name] for name in EXPECTED} == pytest.approx(EXPECTED, abs=1e-9)
    kept = next(tmp_path.rglob("data.mdb"))
    assert [path for path in kept.parent.iterdir() if path.suffix == ".tmp"] == []
    # the references' parses are found again: a results file with the images' captions mixed parses nothing
    keys = list(results)
    mixed = dict(zip(keys, random.Random(0).sample([results[key] for key in keys], len(keys)), strict=True))
    stamp = kept.stat().st_mtime_ns
    begun = children_seconds()
    second = score_captions(references, mixed, spice="required", cache=tmp_path)
    assert children_seconds() - begun < first / 10
    assert second["metrics"]["SPICE"] < scores["metrics"]["SPICE"]
    assert kept.stat().st_mtime_ns == stamp
    assert sorted(before) == sorted(os.listdir(wheel() / "spice"))
