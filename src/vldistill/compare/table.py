"""A comparison as a table (terminal, Markdown, LaTeX) and as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from vldistill.compare.pairs import Comparison, Row
from vldistill.compare.power import MOST_SEEDS
from vldistill.compare.scores import Cell as Compared
from vldistill.report.table import Cell, Table

DIGITS = {"loss": 4}  # others are in percent or points: one decimal
BAR = "\\|"  # a bar that ends no cell
SHOWN = 5  # names of cells listed in a note


def table(comparison: Comparison, title: str) -> Table:
    """The rows as a table; what all of them share stands in no column, what was left out in the notes."""
    rows, choice = comparison.rows, comparison.choice
    cells = [_cells(row) for row in rows]
    labels = {
        "base": "base",
        "other": "compared",
        "method": "method",
        "task": "task",
        "split": "split",
        "arm": "arm",
        "metric": "metric",
        "n": "n",
        "seeds": "seeds",
        "mean_base": _shared([row.base for row in rows]) or "base",
        "mean_other": _shared([row.other for row in rows]) or "compared",
        "difference": "difference",
        "interval": f"{100 * choice.level:g} % interval",
        "wins": "W/T/L",
        "p": "p",
        "holm": "p (Holm)",
    }
    for key in ("base", "other", "method", "split"):
        if len({cell[key].text for cell in cells}) == 1:
            del labels[key]
    if "other" in labels and all(row.other == row.cell.arm for row in rows):
        del labels["other"]  # arms are compared, and the arm has a column
    if choice.power is not None:
        labels["power"] = f"seeds for {choice.power:g}"
    return Table("comparison", title, list(labels.items()), cells, notes=notes(comparison))


def _shared(names: list[str]) -> str | None:
    return names[0] if len(set(names)) == 1 else None


def _cells(row: Row) -> dict[str, Cell]:
    cell, paired, digits = row.cell, row.paired, DIGITS.get(row.measure.unit, 1)
    low, high = (Cell(number=end, digits=digits, signed=True).shown for end in _ends(row))
    return {
        "base": Cell(row.base),
        "other": Cell(row.other),
        "method": Cell(cell.method),
        "task": Cell(cell.task),
        "split": Cell(cell.split),
        "arm": Cell(cell.arm),
        "metric": Cell(row.measure.name),
        "n": Cell(number=paired.items, digits=0),
        "seeds": Cell(number=paired.seeds, digits=0),
        "mean_base": Cell(number=row.mean_base, digits=digits),
        "mean_other": Cell(number=row.mean_other, digits=digits),
        "difference": Cell(number=paired.difference.mean, digits=digits, signed=True),
        "interval": Cell(f"[{low}, {high}]"),
        "wins": Cell(f"{paired.wins}/{paired.ties}/{paired.losses}"),
        "p": Cell(number=paired.p, digits=4),
        "holm": Cell(number=row.holm, digits=4),
        "power": Cell(_seeds(row)),
    }


def _ends(row: Row) -> tuple[float, float]:
    return row.paired.difference.low, row.paired.difference.high


def _seeds(row: Row) -> str:
    """Seeds needed, with the cautious number behind."""
    if row.power is None:
        return "?"
    found = [f"> {MOST_SEEDS}" if seeds is None else str(seeds) for seeds in (row.power.seeds, row.power.cautious)]
    return found[0] if found[0] == found[1] else f"{found[0]} ({found[1]})"


def notes(comparison: Comparison) -> list[str]:
    """What the numbers are, and what was left out."""
    rows, choice = comparison.rows, comparison.choice
    units = {row.measure.unit for row in rows}
    found = [
        "Difference: compared minus base, mean over the seeds and items that both have. n: items of a seed, on average "
        "where seeds have others. W/T/L: items on which the "
        f"compared mean over seeds is higher, equal, lower. Interval and p: bootstrap of seeds and of groups of items "
        f"(images; of VCR movies), {choice.resamples} resamples. p (Holm): corrected over these {len(rows)} rows."
    ]
    if "fraction" in units:
        found.append("Fractions are shown times 100.")
    if "loss" in units:
        found.append("Of a loss, lower is better.")
    if choice.power is not None:
        found.append(
            f"Seeds for {choice.power:g}: how many resolve a true difference of that size with 80 % probability on "
            "these items; in brackets, if seeds vary as much as the present ones do not exclude. "
            f"> {MOST_SEEDS}: it takes more items. ?: one seed does not tell."
        )
    places: dict[str, list[str]] = {}
    for row in rows:
        for text in _left_out(row):
            places.setdefault(f"Left out, {text}", []).append(_place(row.cell))
    for cell, reason in comparison.unpaired:
        places.setdefault(f"Not compared, {reason}", []).append(_place(cell))
    for text, cells in places.items():
        names = list(dict.fromkeys(cells))
        more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
        found.append(f"{text}: {', '.join(names[:SHOWN])}{more}.")
    return found


def _place(cell: Compared) -> str:
    return "/".join(part for part in (cell.task, cell.split, cell.arm) if part)


def _left_out(row: Row) -> list[str]:
    left = row.left_out
    items = (
        (left.items_base, f"only in {row.base}"),
        (left.items_other, f"only in {row.other}"),
        (left.items_changed, "with another target or group"),
    )
    seeds = (
        (left.seeds_base, f"only in {row.base}"),
        (left.seeds_other, f"only in {row.other}"),
        (left.seeds_empty, "without an item in common"),
    )
    found = [f"{count} items {what}" for count, what in items if count]
    return found + [f"seeds {', '.join(map(str, own))} {what}" for own, what in seeds if own]


def to_markdown(made: Table) -> str:
    """A GitHub table with the title above and the notes below."""

    def line(texts: list[str]) -> str:
        return f"| {' | '.join(text.replace('|', BAR) for text in texts)} |"

    ruler = line(["---:" if made.numeric(key) else "---" for key, _ in made.columns])
    body = [line([row[key].shown for key, _ in made.columns]) for row in made.rows]
    head = line([label for _, label in made.columns])
    return "\n".join([f"**{made.title}**", "", head, ruler, *body, "", *made.notes, ""])


def as_json(comparison: Comparison, commits: Mapping[str, str]) -> dict[str, Any]:
    """Everything, unrounded: {commits, level, resamples, rows, unpaired}; ``commits`` by revision."""
    rows = []
    for row in comparison.rows:
        paired = asdict(row.paired)
        interval = paired.pop("difference")
        rows.append(
            {
                "base": row.base,
                "compared": row.other,
                **asdict(row.cell),
                "metric": row.measure.name,
                "unit": row.measure.unit or None,
                "mean_base": row.mean_base,
                "mean_compared": row.mean_other,
                "difference": interval["mean"],
                "low": interval["low"],
                "high": interval["high"],
                **paired,
                "p_holm": row.holm,
                "left_out": asdict(row.left_out),
                "power": None if row.power is None else asdict(row.power),
            }
        )
    unpaired = [{**asdict(cell), "reason": reason} for cell, reason in comparison.unpaired]
    choice = comparison.choice
    head = {"commits": dict(commits), "level": choice.level, "resamples": choice.resamples}
    return {**head, "rows": rows, "unpaired": unpaired}
