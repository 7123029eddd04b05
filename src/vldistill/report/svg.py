"""Charts as inline SVG: bars with intervals, dot plots and line charts.

Hand-made because the page must open without a network or a script, follow the reader's light or dark theme (colours
are CSS variables of the page) and print sharply. Every mark that carries a value also carries a `<title>`, so that a
pointer shows the number and a screen reader can say it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

CHARACTER = 6.7  # average advance of the chart font at 12 px, in px; only used to size the label column


@dataclass(frozen=True)
class Mark:
    """One value with its interval. ``tone`` is a CSS class: main, control, arm, blind, untrained, reference ..."""

    label: str
    value: float
    low: float | None = None
    high: float | None = None
    tone: str = "main"
    note: str = ""


@dataclass(frozen=True)
class Line:
    """One curve: points (x, y) in data units.

    Attributes:
        band: low and high at each point; none where it has no interval.
        marked: the points are drawn and carry their numbers.
    """

    label: str
    points: Sequence[tuple[float, float]]
    tone: str = "main"
    thin: bool = False
    band: Sequence[tuple[float, float]] = ()
    marked: bool = False


def ticks(low: float, high: float, count: int = 5) -> list[float]:
    """Two or more, about ``count``, round numbers (1, 2, 2.5, 5 times a power of ten) that span [low, high]."""
    span = high - low
    if span < 1e-9 * max(abs(low), abs(high), 1e-3):  # equal but for rounding: an axis needs a length all the same
        span = max(abs(high), 1.0)
    rough = span / max(count, 1)
    exponent = math.floor(math.log10(rough))
    step = next(m * 10.0**exponent for m in (1, 2, 2.5, 5, 10) if m * 10.0**exponent >= rough * 0.999)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [round(index * step, 2 - exponent) for index in range(first, max(last, first + 1) + 1)]


def number(value: float) -> str:
    """A tick label: no trailing zeros, a true minus sign."""
    return f"{value:.6g}".replace("-", "\u2212")


def _frame(width: float, height: float, label: str, body: Sequence[str]) -> str:
    head = (
        f'<svg class="chart" viewBox="0 0 {width:g} {height:g}" width="{width:g}" height="{height:g}" '
        f'role="img" aria-label="{escape(label)}">'
    )
    return head + "".join(body) + "</svg>"


def _text(x: float, y: float, text: str, css: str = "", anchor: str = "start") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" class="{css}" text-anchor="{anchor}">{escape(text)}</text>'


def _segment(x1: float, y1: float, x2: float, y2: float, css: str) -> str:
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" class="{css}"/>'


def _whisker(x1: float, x2: float, y: float, css: str) -> str:
    cap = 3.5
    path = f"M{x1:.1f} {y - cap:.1f}v{2 * cap:g}M{x1:.1f} {y:.1f}H{x2:.1f}M{x2:.1f} {y - cap:.1f}v{2 * cap:g}"
    return f'<path d="{path}" class="{css}"/>'


def _ends(marks: Sequence[Mark], start: float | None) -> tuple[float, float]:
    lows = [mark.value if mark.low is None else mark.low for mark in marks]
    highs = [mark.value if mark.high is None else mark.high for mark in marks]
    return (min(lows) if start is None else min(start, *lows)), max(highs)


def _described(mark: Mark, digits: int) -> str:
    span = "" if mark.low is None or mark.high is None else f" ({mark.low:.{digits}f} to {mark.high:.{digits}f})"
    return f"{mark.label}: {mark.value:.{digits}f}{span}"


def bars(marks: Sequence[Mark], *, label: str, axis: str, digits: int = 1, width: float = 860) -> str:
    """Horizontal bars from zero, with interval whiskers and the value at the end of each row.

    Args:
        marks: top to bottom.
        label: what the chart shows, for screen readers.
        axis: title of the value axis, with its unit.
        digits: decimals of the printed values.
        width: of the drawing, in px.
    """
    row, left = 27.0, 18 + CHARACTER * max(len(mark.label) for mark in marks)
    right, bottom = 62.0, 40.0
    low, high = _ends(marks, 0.0)
    grid = ticks(low, high)
    low, high = grid[0], grid[-1]

    def x(value: float) -> float:
        return left + (value - low) / (high - low) * (width - left - right)

    height = row * len(marks) + bottom
    base = row * len(marks) + 4
    body = [_segment(x(tick), 2, x(tick), base, "zero" if tick == 0 else "grid") for tick in grid]
    body += [_text(x(tick), base + 15, number(tick), "tick", "middle") for tick in grid]
    body.append(_text((left + width - right) / 2, base + 32, axis, "axis", "middle"))
    for index, mark in enumerate(marks):
        middle = row * index + row / 2 + 2
        begin, end = sorted((x(0.0), x(mark.value)))
        body.append(f'<g class="tone-{mark.tone}"><title>{escape(_described(mark, digits))}</title>')
        body.append(_text(left - 10, middle + 4, mark.label, "label", "end"))
        size = f'width="{max(end - begin, 1):.1f}" height="16"'
        body.append(f'<rect x="{begin:.1f}" y="{middle - 8:.1f}" {size} rx="2" class="bar"/>')
        if mark.low is not None and mark.high is not None:
            body.append(_whisker(x(mark.low), x(mark.high), middle, "whisker"))
        body.append(_text(width - right + 50, middle + 4, f"{mark.value:.{digits}f}", "value", "end"))
        body.append("</g>")
    return _frame(width, height, label, body)


def dots(
    rows: Sequence[tuple[str, Sequence[Mark]]], *, label: str, axis: str, digits: int = 1, width: float = 860
) -> str:
    """A dot plot: one line a row, several series on it; the same tone is the same series in every row."""
    row, bottom = 28.0, 40.0
    left, right = 18 + CHARACTER * max(len(name) for name, _ in rows), 18.0
    low, high = _ends([mark for _, marks in rows for mark in marks], 0.0)
    grid = ticks(low, high)
    low, high = grid[0], grid[-1]

    def x(value: float) -> float:
        return left + (value - low) / (high - low) * (width - left - right)

    base = row * len(rows) + 4
    body = [_segment(x(tick), 2, x(tick), base, "zero" if tick == 0 else "grid") for tick in grid]
    body += [_text(x(tick), base + 15, number(tick), "tick", "middle") for tick in grid]
    body.append(_text((left + width - right) / 2, base + 32, axis, "axis", "middle"))
    for index, (name, marks) in enumerate(rows):
        middle = row * index + row / 2 + 2
        body.append(_text(left - 10, middle + 4, name, "label", "end"))
        body.append(_segment(x(min(m.value for m in marks)), middle, x(max(m.value for m in marks)), middle, "reach"))
        for mark in reversed(marks):  # the first series is drawn last, on top
            body.append(f'<g class="tone-{mark.tone}"><title>{escape(f"{name}, {_described(mark, digits)}")}</title>')
            if mark.low is not None and mark.high is not None:
                body.append(_whisker(x(mark.low), x(mark.high), middle, "whisker coloured"))
            body.append(_point(x(mark.value), middle, mark.tone))
            body.append("</g>")
    return _frame(width, base + bottom - 4, label, body)


def _point(x: float, y: float, tone: str) -> str:
    """A marker whose shape differs by series, so that the series are told apart without colour."""
    if tone in ("blind", "no_image"):
        return f'<rect x="{x - 4.2:.1f}" y="{y - 4.2:.1f}" width="8.4" height="8.4" class="point"/>'
    if tone == "shuffled":
        return f'<path d="M{x:.1f} {y - 5.6:.1f}l5.4 9.6h-10.8z" class="point"/>'
    if tone in ("majority", "reference"):
        return f'<path d="M{x:.1f} {y - 6:.1f}l6 6l-6 6l-6 -6z" class="point hollow"/>'
    if tone == "untrained":
        return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4.6" class="point hollow"/>'
    return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="5.2" class="point"/>'


def lines(
    series: Sequence[Line],
    *,
    label: str,
    x_axis: str,
    y_axis: str,
    named: Sequence[tuple[float, str]] = (),
    zero: bool = False,
    width: float = 330,
    height: float = 225,
) -> str:
    """A line chart. The y axis starts at the lowest value, not at zero: losses are read by their shape.

    Args:
        series: the last one lies on top.
        label: what the chart shows, for screen readers.
        x_axis, y_axis: titles.
        named: places on the x axis with their names, instead of round numbers.
        zero: the y axis holds zero, and its line is drawn.
        width, height: of the drawing, in px.
    """
    xs = [x for line in series for x, _ in line.points]
    ys = [y for line in series for y in (*(y for _, y in line.points), *(end for ends in line.band for end in ends))]
    ys += [0.0] if zero else []
    x_grid, y_grid = [x for x, _ in named] or ticks(min(xs), max(xs), 4), ticks(min(ys), max(ys), 4)
    if x_grid[0] == x_grid[-1]:  # a single place stands in the middle
        x_grid = [x_grid[0] - 0.5, x_grid[0] + 0.5]
    names = list(named) or [(tick, number(tick)) for tick in x_grid]
    left, right, top, bottom = 26 + 6.2 * max(len(number(tick)) for tick in y_grid), 22.0 if named else 14.0, 12.0, 42.0

    def x(value: float) -> float:
        return left + (value - x_grid[0]) / (x_grid[-1] - x_grid[0]) * (width - left - right)

    def y(value: float) -> float:
        return top + (y_grid[-1] - value) / (y_grid[-1] - y_grid[0]) * (height - top - bottom)

    body = [_segment(left, y(tick), width - right, y(tick), "grid") for tick in y_grid]
    body += [_text(left - 7, y(tick) + 4, number(tick), "tick", "end") for tick in y_grid]
    body += [_segment(x(tick), y(y_grid[0]), x(tick), y(y_grid[0]) + 4, "zero") for tick, _ in names]
    body += [_text(x(tick), y(y_grid[0]) + 17, name, "tick", "middle") for tick, name in names]
    body += [_segment(left, y(0), width - right, y(0), "zero")] if zero else []
    body.append(_segment(left, y(y_grid[0]), width - right, y(y_grid[0]), "zero"))
    body.append(_text((left + width - right) / 2, height - 5, x_axis, "axis", "middle"))
    middle = (top + height - bottom) / 2
    body.append(
        f'<text x="12" y="{middle:.1f}" class="axis" text-anchor="middle" transform="rotate(-90 12 {middle:.1f})">'
        f"{escape(y_axis)}</text>"
    )
    for line in series:
        path = "M" + "L".join(f"{x(px):.1f} {y(py):.1f}" for px, py in line.points)
        css = "curve thin" if line.thin else "curve"
        body.append(f'<g class="tone-{line.tone}"><title>{escape(line.label)}</title>')
        if line.band:
            there = [(px, *ends) for (px, _), ends in zip(line.points, line.band, strict=True)]
            ends = [(px, low) for px, low, _ in there] + [(px, high) for px, _, high in reversed(there)]
            body.append(f'<path d="M{"L".join(f"{x(px):.1f} {y(py):.1f}" for px, py in ends)}Z" class="band"/>')
        body.append(f'<path d="{path}" class="{css}"/>')
        for at, (px, py) in enumerate(line.points):
            if line.marked:
                mark = Mark(line.label, py, *(line.band[at] if line.band else ()))
                body.append(f"<g><title>{escape(_described(mark, 1))}</title>{_point(x(px), y(py), line.tone)}</g>")
        body.append("</g>")
    return _frame(width, height, label, body)


def key(tone: str) -> str:
    """The legend's sample of a dot series."""
    frame = f'<svg class="key tone-{tone}" viewBox="0 0 14 14" width="14" height="14" aria-hidden="true">'
    return f"{frame}{_point(7, 7, tone)}</svg>"


def swatch(tone: str, *, thin: bool = False) -> str:
    """The legend's sample of a curve."""
    css = "curve thin" if thin else "curve"
    return (
        f'<svg class="key tone-{tone}" viewBox="0 0 22 14" width="22" height="14" aria-hidden="true">'
        f'<path d="M1 7H21" class="{css}"/></svg>'
    )
