"""What stands on the page: the parts that the template lays out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from vldistill.evaluate.summary import MAJORITY, RETRIEVED, UNTRAINED, Bar
from vldistill.report import results, svg
from vldistill.report.curves import Panel
from vldistill.report.gallery import Picture
from vldistill.report.names import Measure, entity, task
from vldistill.report.numbers import Numbers
from vldistill.report.reliability import ReliabilityWarnings
from vldistill.report.table import Table

if TYPE_CHECKING:
    from vldistill.report.mad.part import MadPart

BLIND, SHUFFLED = "no_image", "shuffled"
TONES: dict[tuple[str, str | None], str] = {
    (UNTRAINED, None): "untrained",
    (MAJORITY, None): "majority",
    (RETRIEVED, None): "majority",
}


@dataclass(frozen=True)
class Chart:
    """A figure: inline SVG, its caption, and a legend of (sample, label) pairs."""

    drawing: str
    caption: str
    legend: Sequence[tuple[str, str]] = ()


@dataclass(frozen=True)
class Card:
    """One headline number at the top of the page."""

    what: str
    value: str
    unit: str
    how: str
    against: Sequence[tuple[str, str]] = ()
    bar: Bar | None = None

    @property
    def bar_text(self) -> str:
        """The bar in few words."""
        if self.bar is None or self.bar.value is None:
            return ""
        sign = "above" if self.bar.strict else "at least"
        return f"{self.bar.value:+.1f}, asked: {sign} {self.bar.threshold:g}".replace("-", "\u2212")


@dataclass(frozen=True)
class Page:
    """Everything the template shows; empty parts are left out of the page and of its navigation."""

    facts: dict[str, str]
    warnings: ReliabilityWarnings
    banners: Sequence[str]
    cards: Sequence[Card]
    tables: dict[str, Table]
    charts: dict[str, Chart]
    panels: Sequence[Panel] = ()
    panel_legend: Sequence[tuple[str, str]] = ()
    kind_tables: Sequence[Table] = ()
    galleries: Mapping[str, Sequence[Picture]] = field(default_factory=dict)
    gallery_sentence: str = ""
    identity: dict[str, str] = field(default_factory=dict)
    settings: dict[str, str] = field(default_factory=dict)
    params_text: str = ""
    comparable: bool = False
    reproduced: bool = False
    rendered: bool = False
    retained: str = ""
    headline_name: str = ""
    mad: MadPart | None = None


def _tone(pair: tuple[str, str | None], headline: str) -> str:
    if pair[1] in (BLIND, SHUFFLED):
        return str(pair[1])
    return "main" if pair[0] == headline else TONES.get(pair, "control")


def marks(
    numbers: Numbers, measure: Measure, pairs: Sequence[tuple[str, str | None]], subset: str = "all"
) -> list[svg.Mark]:
    """Chart marks of those ``pairs`` that have a number."""
    found = []
    for pair in pairs:
        estimate = numbers.get(measure, *pair, subset=subset)
        if estimate is not None:
            tone = _tone(pair, numbers.headline)
            found.append(svg.Mark(entity(*pair), estimate.value, estimate.low, estimate.high, tone))
    return found


def contrast_chart(numbers: Numbers, measure: Measure) -> Chart | None:
    """The headline arm above its controls on one measure."""
    others = [pair for pair in numbers.entities if pair[1] is None and pair[0] not in numbers.trained]
    lacking = [pair for pair in numbers.entities if pair[1] is not None and pair[0] == numbers.headline]
    ours: tuple[str, str | None] = (numbers.headline, None)
    pairs = list(dict.fromkeys([ours, (UNTRAINED, None), *others, *lacking]))
    drawn = marks(numbers, measure, pairs)
    if len(drawn) < 2:
        return None
    drawn = drawn[:1] + sorted(drawn[1:], key=lambda mark: -mark.value)
    axis = "accuracy, %" if measure.metric == "accuracy" else f"{measure.metric} (x 100)"
    variant = f", variant {measure.variant}" if measure.variant else ""
    return Chart(
        svg.bars(drawn, label=f"{measure.label} of the model and its controls", axis=axis),
        f"{task(measure.task)}, {axis}{variant}, {measure.split} split, n = {_n(numbers, measure)}. "
        "Whiskers: interval over seeds; of a single number, over images.",
    )


def _n(numbers: Numbers, measure: Measure) -> str:
    estimate = numbers.get(measure)
    return "\u2013" if estimate is None else f"{estimate.n:,}"


def arms_chart(numbers: Numbers, measure: Measure) -> Chart | None:
    """Trained arms on one measure."""
    drawn = [
        svg.Mark(mark.label, mark.value, mark.low, mark.high, "main" if mark.tone == "main" else "arm")
        for mark in marks(numbers, measure, [(arm, None) for arm in numbers.trained])
    ]
    if len(drawn) < 2:
        return None
    axis = f"{measure.label}{', %' if measure.metric == 'accuracy' else ''}"
    return Chart(
        svg.bars(drawn, label=f"{measure.label} of every arm", axis=axis),
        f"{measure.label} by arm, n = {_n(numbers, measure)}. Whiskers: over seeds, with one seed over images.",
    )


def kinds_chart(numbers: Numbers, measure: Measure, prefix: str) -> Chart | None:
    """VQA by question or answer type: the model and what it would be without looking."""
    pairs = results.looking(numbers)
    rows = [
        (name, drawn)
        for name in numbers.subsets(prefix, measure.task)
        if (drawn := marks(numbers, measure, pairs, prefix + name))
    ]
    if not rows:
        return None
    present = {mark.label: mark.tone for _, drawn in rows for mark in drawn}
    ordered = sorted(rows, key=lambda row: -row[1][0].value)
    return Chart(
        svg.dots(ordered, label=f"{measure.label} by {prefix.rstrip(':').replace('_', ' ')}", axis="accuracy, %"),
        f"{task(measure.task)} accuracy by {prefix.rstrip(':').replace('_', ' ')}, sorted by the model\u2019s; "
        "the line spans the series of a row.",
        [(svg.key(tone), label) for label, tone in present.items()],
    )


def domain_chart(numbers: Numbers, measure: Measure) -> Chart | None:
    """One measure by domain of the image."""
    pairs = results.looking(numbers)
    rows = [(name, drawn) for name in results.DOMAINS if (drawn := marks(numbers, measure, pairs, name))]
    if not rows:
        return None
    present = {mark.label: mark.tone for _, drawn in rows for mark in drawn}
    axis = "accuracy, %" if measure.metric == "accuracy" else f"{measure.metric} (x 100)"
    return Chart(
        svg.dots(rows, label=f"{measure.label} by domain", axis=axis, width=450),
        f"{measure.label} by domain of the image.",
        [(svg.key(tone), label) for label, tone in present.items()],
    )


def bar_of(bars: Sequence[Bar], name: str) -> Bar | None:
    """The bar of this name."""
    return next((bar for bar in bars if bar.name == name), None)
