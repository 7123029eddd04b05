"""Writing the report: the page, the tables as CSV and LaTeX, the plots for DVC, and metrics.json."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any

from vldistill import __version__, layout
from vldistill.artifact import publish
from vldistill.evaluate.summary import headline
from vldistill.files import write_json, write_text
from vldistill.params import Params
from vldistill.report import collect, dvc_plots
from vldistill.report.mad.found import metrics
from vldistill.report.page import Page
from vldistill.report.table import Cell, to_csv, to_latex

SECTIONS = {
    "headline": "Headline",
    "bars": "Claims and bars",
    "papers": "Beside the paper",
    "controls": "Controls",
    "ablation": "Ablation",
    "domains": "Domains",
    "types": "Question types",
    "retention": "Language skills, before and after",
    "retrieval": "Retrieval",
    "curves": "Training curves",
    "gallery": "Gallery",
    "cost": "Time and memory",
    "provenance": "Provenance",
}
LAST = ("cost", "provenance")
"""Sections about both methods: MAD's stand before them."""


def write(params: Params, root: Path) -> Path:
    """Write results/report/; see `vldistill.report.run`."""
    found = collect.read(params, root)
    page = collect.build(params, root, found)

    def fill(folder: Path) -> None:
        of_mad = page.mad.all_tables if page.mad else ()
        for table in (*page.tables.values(), *page.kind_tables, *of_mad):
            write_text(folder / "tables" / f"{table.name}.csv", to_csv(table))
            write_text(folder / "tables" / f"{table.name}.tex", to_latex(table))
        write_json(folder / "plots" / "losses.json", dvc_plots.curve_records(found.curves))
        write_json(folder / "plots" / "arms.json", dvc_plots.arm_records(found.numbers))
        write_json(folder / "metrics.json", numbers(params, found))
        write_text(folder / "index.html", render(page))

    return publish(layout.report(root), fill) / "index.html"


def numbers(params: Params, found: collect.Collected) -> dict[str, Any]:
    """The headline numbers of both methods."""
    of_vlkd = headline(found.rows, params.evaluate.vlkd.vqa_variant)
    return of_vlkd if found.mad is None else {**of_vlkd, "mad": metrics(found.mad)}


def render(page: Page) -> str:
    """The page as HTML, with its style and all pictures inside."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("vldistill.report"), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    style, _, _ = environment.loader.get_source(environment, "style.css")  # type: ignore[union-attr]
    template = environment.get_template("index.html")
    values = {field.name: getattr(page, field.name) for field in fields(page)}
    return template.render(**values, style=style, contents=contents(page), blank=Cell(), version=__version__)


def contents(page: Page) -> list[tuple[str, str]]:
    """(id, title) of the sections that are on the page."""
    tabled = ("papers", "controls", "ablation", "domains", "retention", "retrieval", "cost")
    absent = {name for name in tabled if name not in page.tables}
    absent |= {name for name, part in _parts(page).items() if not part}
    found = [(name, title) for name, title in SECTIONS.items() if name not in absent]
    before = next((at for at, (name, _) in enumerate(found) if name in LAST), len(found))
    return found[:before] + (page.mad.contents if page.mad else []) + found[before:]


def _parts(page: Page) -> dict[str, object]:
    return {"types": page.kind_tables, "curves": page.panels, "gallery": page.galleries}
