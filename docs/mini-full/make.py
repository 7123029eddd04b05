"""Write the tables of docs/mini-full.md from MAD's finished scores: python docs/mini-full/make.py [PROJECT].

PROJECT is the checkout that holds the run of the preset `mini-full`, by default this one. The tables stand between two
marks of the page, what is said about them around these; every number with its interval is in the CSV files beside this
script, which are the report's own tables. accuracy.png and gap.png are charts of the report. Needs Chromium.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from jinja2 import Environment, PackageLoader

from vldistill import params as parameters
from vldistill.errors import InputError
from vldistill.evaluate.mad.chief import CHIEF
from vldistill.evaluate.mad.statistics import IN_DOMAIN, SHIFTED, Difference
from vldistill.evaluate.mad.summary import Summary
from vldistill.files import write_text
from vldistill.report.mad import charts, difference_tables, found, names, score_tables
from vldistill.report.page import Chart
from vldistill.report.table import to_csv

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path.insert(0, str(ROOT))
from tests.report.browser import Browser  # noqa: E402

PAGE = HERE.parent / "mini-full.md"
BEGIN, END = "<!-- tables: written by docs/mini-full/make.py -->", "<!-- end of tables -->"
WIDTH = 1080
SIDES = (("in domain", IN_DOMAIN), ("under shift", SHIFTED))


def main(root: Path) -> None:
    """Write the tables of the run below ``root``."""
    params = parameters.load(root / "params.yaml")
    read = found.read(params, root)
    if read is None:
        raise InputError(
            "MAD is not in this experiment", file=root / "params.yaml", action="vldistill preset mini-full"
        )
    summary = read.summary
    parts = [
        _bars(summary),
        *(_task(summary, task) for task in read.tasks),
        _matched(summary),
        _effects(summary),
        _gap(summary),
    ]
    text = PAGE.read_text(encoding="utf-8")
    before, after = text.partition(BEGIN)[0], text.partition(END)[2]
    write_text(PAGE, f"{before}{BEGIN}\n\n" + "\n\n".join(parts) + f"\n\n{END}{after}")
    for table in (
        score_tables.everything(summary),
        difference_tables.controls(summary, params.evaluate.mad.level, params.distill.mad),
        difference_tables.bars(summary.bars),
    ):
        write_text(HERE / f"{table.name}.csv", to_csv(table))
    # the first two charts of a task are of the chief arms
    _picture("accuracy.png", [chart for task in read.tasks for chart in charts.accuracy(summary, task)[:2]])
    _picture("gap.png", charts.gap(summary))


def _picture(name: str, shown: Sequence[Chart]) -> None:
    """Charts in pairs, as the report shows them."""
    environment = Environment(loader=PackageLoader("vldistill.report"), autoescape=True, trim_blocks=True)
    style, _, _ = environment.loader.get_source(environment, "style.css")  # type: ignore[union-attr]
    html = environment.from_string(
        '{% from "macros.html" import chart with context %}<!DOCTYPE html><meta charset="utf-8">'
        "<style>{{ style | safe }}</style>"
        '<main style="padding: 12px; max-width: 1040px">'
        '<div class="pair">{% for c in shown %}{{ chart(c) }}{% endfor %}</div></main>'
    ).render(style=style, shown=shown)
    with tempfile.TemporaryDirectory() as folder, Browser() as browser:
        page = Path(folder) / "page.html"
        page.write_text(html, encoding="utf-8")
        browser.open(page, width=WIDTH)
        height = browser.evaluate("document.querySelector('main').getBoundingClientRect().bottom")
        browser.screenshot(HERE / name, height=round(height))


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] + ["---:"] * (len(head) - 1), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _signed(value: float) -> str:
    return f"{value:+.1f}".replace("-", "\u2212")


def _interval(one: Difference) -> str:
    return f"{_signed(one.value)} ({_signed(one.low)} to {_signed(one.high)})"


def _bars(summary: Summary) -> str:
    said = {True: "shown", False: "not shown", None: "not measured"}
    rows = [
        [
            names.where_asked(bar.name),
            bar.requirement.replace(" -", " \u2212"),
            "\u2013" if bar.value is None else _signed(bar.value),
            "\u2013" if bar.low is None or bar.high is None else f"{_signed(bar.low)} to {_signed(bar.high)}",
            said[bar.met],
        ]
        for bar in summary.bars
    ]
    held = sum(bar.met is True for bar in summary.bars)
    table = _table(["where", "asked", "points", "interval", ""], rows)
    return f"### Bars\n\n{held} of {len(summary.bars)} hold.\n\n{table}"


def _task(summary: Summary, task: str) -> str:
    parts = [f"### {names.chief_label(task)}"]
    for side, subsets in SIDES:
        means = {
            (mean.arm, mean.place.fraction): mean.value
            for mean in summary.means
            if mean.place.task == task and mean.place.subset == subsets[task] and mean.place.metric == CHIEF[task]
        }
        gains = {
            one.place.fraction: one
            for one in summary.differences
            if one.family == "gain" and one.place.task == task and one.place.subset == subsets[task]
        }
        sizes = sorted({size for _, size in means})
        arms = sorted({arm for arm, _ in means}, key=names.place_of)
        rows = [
            [names.arm(arm), *(f"{means[arm, size]:.1f}" if (arm, size) in means else "\u2013" for size in sizes)]
            for arm in arms
        ]
        rows.append(
            ["**MAD minus baseline**", *(_interval(gains[size]) if size in gains else "\u2013" for size in sizes)]
        )
        title = f"{side.capitalize()} ({names.subset(subsets[task])}), percent by the size of the training subset:"
        parts.append(f"{title}\n\n{_table(['arm', *(f'{size} %' for size in sizes)], rows)}")
    return "\n\n".join(parts)


def _matched(summary: Summary) -> str:
    rows = [
        [
            f"{names.task(one.task)}, {one.fraction} %",
            f"{one.in_domain:.1f}",
            f"{one.shifted:.1f}",
            f"{one.line:.1f}",
            f"{_signed(one.value)} ({_signed(one.low)} to {_signed(one.high)})",
            "shown" if one.low > 0 else "not shown",
            "extrapolated" if one.extrapolated else "",
        ]
        for one in summary.matched
    ]
    head = ["where", "MAD unshifted", "MAD shifted", "baseline of that accuracy", "above it", "", ""]
    return f"### Under shift, above the matched baseline\n\n{_table(head, rows)}"


def _effects(summary: Summary) -> str:
    found = [one for one in summary.differences if one.family == "effects"]
    parts = ["### Parts and controls"]
    for side, subsets in SIDES:
        here = [one for one in found if one.place.subset == subsets[one.place.task]]
        pairs = list(dict.fromkeys((one.arm, one.other) for one in here))
        places = sorted({(list(CHIEF).index(one.place.task), one.place.task, one.place.fraction) for one in here})
        by = {(one.arm, one.other, one.place.task, one.place.fraction): one for one in here}
        rows = []
        for arm, other in pairs:
            cells = [by.get((arm, other, task, size)) for _, task, size in places]
            rows.append([f"`{arm}` \u2212 `{other}`", *(_effect(cell) for cell in cells)])
        head = ["", *(f"{names.task(task)} {size} %" for _, task, size in places)]
        parts.append(f"{side.capitalize()}, points:\n\n{_table(head, rows)}")
    return "\n\n".join(parts)


def _effect(one: Difference | None) -> str:
    """Bold where its interval leaves 0 out and p, corrected over all rows of the report's table, is below 0.05."""
    if one is None:
        return "\u2013"
    sure: Callable[[Difference], bool] = lambda each: each.holm < 0.05 and (each.low > 0 or each.high < 0)  # noqa: E731
    return f"**{_signed(one.value)}**" if sure(one) else _signed(one.value)


def _gap(summary: Summary) -> str:
    ones = [(share, one) for share, found in summary.gap.items() for one in found]
    places = sorted(
        {(list(CHIEF).index(one.place.task), one.place.fraction, one.place.task, one.place.subset) for _, one in ones}
    )
    by = {(share, one.place.task, one.place.fraction, one.place.subset): one for share, one in ones}
    shares = sorted(summary.gap)
    rows = []
    for _, size, task, subset in places:
        cells = [by.get((share, task, size, subset)) for share in shares]
        rows.append(
            [
                f"{names.task(task)}, {size} %, {names.subset(subset)}",
                *(_interval(cell) if cell else "\u2013" for cell in cells),
            ]
        )
    head = ["MAD minus baseline, by the share of synonyms unseen", *(f"{share} %" for share in shares)]
    return f"### Gap\n\n{_table(head, rows)}"


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT)
