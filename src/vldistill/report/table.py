"""Tables: built once, written as HTML (by the page's template), CSV and LaTeX."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass

from vldistill.report.scores import Estimate

LATEX = {
    "\\": r"\textbackslash{}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "\u2212": r"$-$",
    "\u00b1": r"$\pm$",
    "\u0394": r"$\Delta$",
    "\u2020": r"$^\dagger$",
    "\u00a7": r"\S{}",
    "\u00b6": r"\P{}",
    "\u2021": r"$^\ddagger$",
    "\u2013": "--",
    "\u2014": "---",
    "\u2192": r"$\to$",
    "\u2265": r"$\ge$",
    "\u2264": r"$\le$",
    "\u00b7": r"$\cdot$",
}


@dataclass(frozen=True)
class Cell:
    """One cell: a text, or a number with its interval.

    Attributes:
        text: what is shown when there is no number.
        number: the value, with ``low`` and ``high`` where there is an interval.
        digits: decimals shown.
        signed: show a plus sign (differences).
        mark: a short footnote sign, such as a dagger for one seed.
        tone: CSS class: best, faint, good, bad; "pill good", "pill bad" or "pill plain" for a verdict.
        title: longer explanation, shown by the pointer.
    """

    text: str = "\u2013"
    number: float | None = None
    low: float | None = None
    high: float | None = None
    digits: int = 1
    signed: bool = False
    mark: str = ""
    tone: str = ""
    title: str = ""

    @property
    def shown(self) -> str:
        """The number as printed, with a true minus sign; the text if there is no number."""
        if self.number is None:
            return self.text
        sign = "+" if self.signed and self.number > 0 else ""
        return sign + f"{self.number:.{self.digits}f}".replace("-", "\u2212")

    @property
    def is_hash(self) -> bool:
        """A checksum or run folder, to be set in a fixed-width font."""
        tail = self.text.rsplit("/", 1)[-1]
        return len(tail) >= 32 and set(tail) <= set("0123456789abcdef")

    @property
    def reach(self) -> str:
        """Half the interval's width, as in 74.2 \u00b1 1.3; empty without an interval."""
        if self.low is None or self.high is None:
            return ""
        return f"{(self.high - self.low) / 2:.{self.digits}f}"


@dataclass(frozen=True)
class Table:
    """A table: ``columns`` are (key, label) pairs; ``rows`` map keys to cells; ``head`` names the row-label columns."""

    name: str
    title: str
    columns: Sequence[tuple[str, str]]
    rows: Sequence[dict[str, Cell]]
    head: Sequence[str] = ()
    notes: Sequence[str] = ()
    emphasised: Sequence[int] = ()

    def numeric(self, key: str) -> bool:
        """Whether the column holds numbers and is set flush right."""
        return any(row[key].number is not None for row in self.rows if key in row)

    def slot(self, key: str) -> str:
        """What any number of the column has beside it, hence what all keep a slot for: reach, mark or nothing."""
        cells = [row[key] for row in self.rows if key in row]
        if any(cell.reach for cell in cells):
            return "reach"
        return "mark" if any(cell.mark for cell in cells) else ""


def of(estimate: Estimate | None, *, digits: int = 1, signed: bool = False, mark: str | None = None) -> Cell:
    """The cell of an estimate. One trained seed is marked with a dagger unless another ``mark`` is given."""
    if estimate is None:
        return Cell()
    alone = len(estimate.values) == 1 and estimate.seeds[0] is not None
    seeds = ", ".join("none" if seed is None else str(seed) for seed in estimate.seeds)
    return Cell(
        number=estimate.value,
        low=estimate.low,
        high=estimate.high,
        digits=digits,
        signed=signed,
        mark=mark if mark is not None else ("\u2020" if alone else ""),
        title=f"n = {estimate.n}, seeds: {seeds}",
    )


def to_csv(table: Table) -> str:
    """Comma-separated: every numeric column is followed by its interval's ends where any row has an interval."""
    spans = {key for key, _ in table.columns for row in table.rows if row.get(key, Cell()).low is not None}
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    header: list[str] = []
    for key, label in table.columns:
        header += [label, f"{label} low", f"{label} high"] if key in spans else [label]
    writer.writerow(header)
    for row in table.rows:
        line: list[str] = []
        for key, _ in table.columns:
            cell = row.get(key, Cell())
            line.append(_plain(cell))
            if key in spans:
                line += ["" if end is None else f"{end:.6g}" for end in (cell.low, cell.high)]
        writer.writerow(line)
    return out.getvalue()


def _plain(cell: Cell) -> str:
    if cell.number is not None:
        return f"{cell.number:.6g}"
    return "" if cell.text == "\u2013" else cell.text


def escaped(text: str) -> str:
    """``text`` with every character that LaTeX would read as a command made harmless."""
    return "".join(LATEX.get(character, character) for character in text)


def to_latex(table: Table) -> str:
    """A booktabs table with caption and notes; needs the package ``booktabs`` only."""
    layout = "".join("r" if table.numeric(key) else "l" for key, _ in table.columns)
    lines = [
        r"\begin{table}",
        r"\centering",
        rf"\caption{{{escaped(table.title)}}}",
        rf"\label{{tab:{table.name.replace('_', '-')}}}",
        rf"\begin{{tabular}}{{{layout}}}",
        r"\toprule",
        " & ".join(escaped(label) for _, label in table.columns) + r" \\",
        r"\midrule",
    ]
    lines += [" & ".join(_latex_cell(row.get(key, Cell())) for key, _ in table.columns) + r" \\" for row in table.rows]
    lines += [r"\bottomrule", r"\end{tabular}"]
    lines += [rf"\par\smallskip\footnotesize {escaped(note)}" for note in table.notes]
    return "\n".join([*lines, r"\end{table}", ""])


def _latex_cell(cell: Cell) -> str:
    if cell.number is None:
        return escaped(cell.text)
    value = escaped(cell.shown) + (rf" $\pm$ {cell.reach}" if cell.reach else "")
    return (rf"\textbf{{{value}}}" if cell.tone == "best" else value) + escaped(cell.mark)
