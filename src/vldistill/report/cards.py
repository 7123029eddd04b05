"""The headline cards at the top of the page."""

from __future__ import annotations

from collections.abc import Sequence

from vldistill.evaluate.summary import MAJORITY, RETRIEVED, UNTRAINED, Bar
from vldistill.report.names import Measure, entity
from vldistill.report.numbers import Numbers
from vldistill.report.page import BLIND, SHUFFLED, Card, bar_of
from vldistill.report.table import of


def cards(numbers: Numbers, bars: Sequence[Bar]) -> list[Card]:
    """VQA, captions, knowledge questions and retention, each with its control and its bar, where measured."""
    headline = numbers.headline
    found = [
        _card(
            numbers,
            numbers.measure("vqav2", "accuracy"),
            "Zero-shot VQA accuracy",
            "%",
            [(MAJORITY, None), (headline, BLIND), (headline, SHUFFLED), (UNTRAINED, None)],
            bar_of(bars, "vqa.over_controls"),
        ),
        _card(
            numbers,
            numbers.measure("coco", "CIDEr"),
            "Zero-shot captions, CIDEr \u00d7 100",
            "",
            [(RETRIEVED, None), (UNTRAINED, None), (headline, SHUFFLED)],
            bar_of(bars, "coco.over_retrieval"),
        ),
        _card(
            numbers,
            numbers.measure("okvqa", "accuracy"),
            "OK-VQA: needs a learnt fact",
            "%",
            [(MAJORITY, None), (headline, BLIND)],
            None,
        ),
        _retention(numbers, bars),
    ]
    return [card for card in found if card is not None]


def _card(
    numbers: Numbers,
    measure: Measure | None,
    what: str,
    unit: str,
    against: Sequence[tuple[str, str | None]],
    bar: Bar | None,
) -> Card | None:
    estimate = numbers.get(measure)
    if measure is None or estimate is None:
        return None
    cell = of(estimate, mark="")
    reach = f" \u00b1 {cell.reach}" if cell.reach else ""
    seeds = f"{len(estimate.seeds)} seed{'' if len(estimate.seeds) == 1 else 's'}"
    variant = f"variant {measure.variant}, " if measure.variant else ""
    lines = [
        (entity(*pair), f"{other.value:.1f}") for pair in against if (other := numbers.get(measure, *pair)) is not None
    ]
    return Card(
        what, cell.shown, f"{unit}{reach}".strip(), f"{measure.split}, {variant}n = {estimate.n:,}, {seeds}", lines, bar
    )


def _retention(numbers: Numbers, bars: Sequence[Bar]) -> Card | None:
    """The worst of the text tasks: what distillation cost the language model."""
    measured = [bar for bar in bars if bar.name.startswith("retention.") and bar.value is not None]
    if not measured:
        return None
    worst = min(measured, key=lambda bar: bar.value if bar.value is not None else 0.0)
    value = worst.value or 0.0
    shown = f"{value:+.1f}".replace("-", "\u2212")
    lines = [(_short(bar.name), f"{bar.value or 0.0:+.1f}".replace("-", "\u2212")) for bar in measured]
    return Card("Text tasks, worst change", shown, "points", "after minus before distillation", lines, worst)


def _short(name: str) -> str:
    return name.removeprefix("retention.").replace("_", ", ")
