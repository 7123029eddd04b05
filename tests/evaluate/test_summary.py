"""Headline numbers and bars from hand-made score rows whose answers can be worked out on paper."""

from __future__ import annotations

from typing import Any

import pytest

from vldistill.errors import InputError
from vldistill.evaluate.summary import bars, headline


def row(task: str, metric: str, arm: str, seed: int | None, value: float | None, **other: Any) -> dict[str, Any]:
    return {
        "method": "vlkd",
        "task": task,
        "split": "test",
        "arm": arm,
        "seed": seed,
        "control": None,
        "metric": metric,
        "variant": None,
        "value": value,
        "unit": "percent",
        "n": 10,
        "subset": "all",
        **other,
    }


def vqa(arm: str, seed: int | None, value: float, **other: Any) -> dict[str, Any]:
    return row("vqav2", "accuracy", arm, seed, value, **{"variant": "official", **other})


@pytest.fixture
def rows() -> list[dict[str, Any]]:
    return [
        vqa("all", 0, 70.0),
        vqa("all", 1, 74.0),
        vqa("all", 0, 99.0, variant="both"),
        vqa("all", 0, 10.0, subset="answer_type:other"),
        vqa("all", 0, 30.0, control="no_image"),
        vqa("all", 1, 34.0, control="no_image"),
        vqa("all", 0, 20.0, control="shuffled"),
        vqa("all", 1, 20.0, control="shuffled"),
        vqa("majority", None, 28.0),
        vqa("untrained_clip", 0, 61.0),
        vqa("untrained_clip", 1, 63.0),
        row("coco", "CIDEr", "all", 0, 3.1, unit="fraction"),
        row("coco", "CIDEr", "all", 1, 3.3, unit="fraction"),
        row("coco", "CIDEr", "clip_retrieval", None, 3.2, unit="fraction"),
        row("coco", "METEOR", "all", 0, None, unit="fraction", reason="Java is missing"),
        row("nocaps", "CIDEr", "all", 0, 1.5, unit="fraction", subset="near-domain"),
        row("reading", "accuracy", "all", 0, 94.0, variant="direct"),
        row("reading", "accuracy", "all", 1, 95.0, variant="direct"),
        row("reading", "accuracy", "plm", None, 96.0, variant="direct"),
        row("corpus", "loss", "all", 0, 0.25, unit="loss"),
        row("corpus", "loss", "plm", None, 0.24, unit="loss"),
        row("retrieval", "R@1", "all", 0, 70.0, variant="text_to_image"),
        row("retrieval", "R@1", "clip_text", None, 72.0, variant="text_to_image"),
    ]


def test_headline(rows: list[dict[str, Any]]) -> None:
    numbers = headline(rows)
    assert numbers["vqa"] == {"accuracy": 72.0, "over_controls": 40.0, "over_untrained": 10.0}
    assert numbers["coco"] == pytest.approx({"CIDEr": 320.0, "over_retrieval": 0.0})
    assert numbers["nocaps"] == {"near": 150.0}
    assert numbers["retention"] == pytest.approx({"reading": -1.5, "text_loss": 0.01})
    assert numbers["retrieval"] == {"text_to_image": 70.0, "over_clip": -2.0}
    assert "okvqa" not in numbers
    assert sum(map(len, numbers.values())) <= 20


def test_bars_hold_at_their_threshold_and_say_what_is_missing(rows: list[dict[str, Any]]) -> None:
    found = {bar.name: bar for bar in bars(rows)}
    assert found["vqa.over_controls"].holds is True
    assert found["vqa.over_controls"].values == (38.0, 42.0)
    assert found["vqa.over_untrained"].holds is True
    assert found["vqa.over_untrained"].values == (9.0, 11.0)
    assert found["retention.reading"].holds is True
    assert found["retention.summary"].holds is None
    assert found["retention.summary"].value is None
    assert "retention.reading_finetuned" not in found


def test_equal_cider_is_not_above_retrieval() -> None:
    numbers = [row("coco", "CIDEr", arm, None, 300.0) for arm in ("all", "clip_retrieval")]
    (bar,) = [bar for bar in bars(numbers) if bar.name == "coco.over_retrieval"]
    assert (bar.value, bar.holds) == (0.0, False)


def test_a_margin_needs_all_three_controls(rows: list[dict[str, Any]]) -> None:
    without = [entry for entry in rows if entry["control"] != "shuffled"]
    assert {bar.name: bar.holds for bar in bars(without)}["vqa.over_controls"] is None


def test_a_failing_margin_fails(rows: list[dict[str, Any]]) -> None:
    worse = [{**entry, "value": 66.0} if entry["control"] == "shuffled" else entry for entry in rows]
    (bar,) = [bar for bar in bars(worse) if bar.name == "vqa.over_controls"]
    assert (bar.value, bar.holds) == (6.0, False)


def test_mixed_splits_are_refused(rows: list[dict[str, Any]]) -> None:
    with pytest.raises(InputError, match="dev and test"):
        headline([*rows, vqa("all", 2, 1.0, split="dev")])
