"""VCR accuracy is the official one, and leaderboard files come back as they were written."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vldistill.errors import InputError
from vldistill.evaluate.metrics.vcr import (
    COLUMNS,
    LeaderboardRow,
    VcrItem,
    score_vcr,
    write_leaderboard,
)

LABEL = st.integers(0, 3)
# few different values, so that ties are common
SCORES = st.lists(st.sampled_from([0.0, 0.25, 0.5, 1.0]), min_size=4, max_size=4)
FLOATS = st.floats(allow_nan=False, allow_infinity=False)
FOUR = st.tuples(FLOATS, FLOATS, FLOATS, FLOATS)
ROWS = st.builds(LeaderboardRow, FOUR, st.tuples(FOUR, FOUR, FOUR, FOUR))


@settings(max_examples=80)
@given(st.lists(st.tuples(LABEL, LABEL, SCORES, SCORES), min_size=1, max_size=20))
def test_equals_the_official_computation(rows) -> None:
    labels = np.array([row[:2] for row in rows])
    hits = np.array([row[2] for row in rows]).argmax(1) == labels[:, 0]
    reasons = np.array([row[3] for row in rows]).argmax(1) == labels[:, 1]
    items = [VcrItem(f"val-{index}", answer, rationale) for index, (answer, rationale, *_) in enumerate(rows)]
    found = score_vcr(
        items,
        {item.id: row[2] for item, row in zip(items, rows, strict=True)},
        {item.id: row[3] for item, row in zip(items, rows, strict=True)},
    )
    expected = {"Q->A": hits.mean(), "QA->R": reasons.mean(), "Q->AR": (hits & reasons).mean()}
    metrics = found["metrics"]
    assert metrics == pytest.approx({**{name: 100 * value for name, value in expected.items()}, "n": len(rows)})
    assert metrics["Q->AR"] <= min(metrics["Q->A"], metrics["QA->R"]) + 1e-9
    assert metrics["Q->AR"] >= metrics["Q->A"] + metrics["QA->R"] - 100 - 1e-9
    for item, hit, reason in zip(items, hits, reasons, strict=True):
        values = found["per_item"][item.id]
        assert values == {"Q->A": 100.0 * hit, "QA->R": 100.0 * reason, "Q->AR": 100.0 * (hit and reason)}


def test_both_right_is_no_product() -> None:
    items = [VcrItem("a", 0, 0), VcrItem("b", 0, 0)]
    right, wrong = [1.0, 0.0, 0.0, 0.0], [0.0, 1.0, 0.0, 0.0]
    found = score_vcr(items, {"a": right, "b": wrong}, {"a": wrong, "b": right})
    assert found["metrics"] == {"Q->A": 50.0, "QA->R": 50.0, "Q->AR": 0.0, "n": 2}


def test_chance() -> None:
    rng = np.random.default_rng(0)
    items = [VcrItem(str(index), *(int(label) for label in rng.integers(0, 4, 2))) for index in range(20_000)]
    scores = {item.id: rng.random((2, 4)).tolist() for item in items}
    found = score_vcr(items, *({key: value[part] for key, value in scores.items()} for part in (0, 1)))["metrics"]
    # four standard errors of 20,000 items
    assert (found["Q->A"], found["QA->R"]) == (pytest.approx(25, abs=1.3), pytest.approx(25, abs=1.3))
    assert found["Q->AR"] == pytest.approx(6.25, abs=0.7)


@settings(max_examples=60)
@given(st.dictionaries(st.text("abc-,\"' é0", min_size=1, max_size=8), ROWS, max_size=5))
def test_leaderboard_files_come_back(tmp_path_factory: pytest.TempPathFactory, rows: dict[str, LeaderboardRow]) -> None:
    path = tmp_path_factory.mktemp("board") / "submission.csv"
    write_leaderboard(path, rows)
    with open(path, encoding="utf-8", newline="") as handle:
        header, *written = csv.reader(handle)
    assert tuple(header) == COLUMNS and [key for key, *_ in written] == list(rows)
    for row, (_, *values) in zip(rows.values(), written, strict=True):
        assert [float(value) for value in values] == [
            *row.answers,
            *(score for part in row.rationales for score in part),
        ]


def test_columns_are_the_leaderboards(tmp_path: Path) -> None:
    rationales = tuple(tuple(10.0 * answer + choice for choice in range(4)) for answer in range(4))
    write_leaderboard(tmp_path / "out.csv", {"test-0": LeaderboardRow((0.1, 0.2, 0.3, 0.4), rationales)})
    with open(tmp_path / "out.csv", encoding="utf-8", newline="") as handle:
        header, row = csv.reader(handle)
    assert len(header) == 21
    assert header[:6] == ["annot_id", "answer_0", "answer_1", "answer_2", "answer_3", "rationale_conditioned_on_a0_0"]
    assert header[-1] == "rationale_conditioned_on_a3_3"
    assert row[0] == "test-0"
    values = dict(zip(header, row, strict=True))
    assert (values["answer_2"], values["rationale_conditioned_on_a2_1"]) == ("0.3", "21.0")


FLAT = [0.25] * 4


@pytest.mark.parametrize(
    ("items", "answers", "rationales", "message"),
    [
        ([VcrItem("a", 0, 0)], {}, {"a": FLAT}, "1 ids without answer scores"),
        ([VcrItem("a", 0, 0)], {"a": FLAT}, {"a": FLAT, "b": FLAT}, "not in the questions"),
        ([VcrItem("a", 0, 0)] * 2, {"a": FLAT}, {"a": FLAT}, "twice"),
        ([VcrItem("a", 4, 0)], {"a": FLAT}, {"a": FLAT}, "answer_label: label 4"),
        ([VcrItem("a", 0, -1)], {"a": FLAT}, {"a": FLAT}, "rationale_label: label -1"),
        ([VcrItem("a", 0, 0)], {"a": FLAT[:3]}, {"a": FLAT}, "field answer: not 4 finite"),
        ([VcrItem("a", 0, 0)], {"a": FLAT}, {"a": [float("nan")] * 4}, "field rationale: not 4 finite"),
        ([], {}, {}, "nothing to score"),
    ],
)
def test_bad_scores_are_named(items, answers, rationales, message: str) -> None:
    with pytest.raises(InputError, match=message):
        score_vcr(items, answers, rationales)


def test_nothing_is_written_of_bad_rows(tmp_path: Path) -> None:
    path = tmp_path / "out.csv"
    with pytest.raises(InputError, match="finite scores"):
        write_leaderboard(path, {"a": LeaderboardRow((0.0, 0.0, 0.0, float("inf")), (tuple(FLAT),) * 4)})
    with pytest.raises(InputError, match="3 rationale groups"):
        write_leaderboard(path, {"a": LeaderboardRow(tuple(FLAT), (tuple(FLAT),) * 3)})
    assert not path.exists()
