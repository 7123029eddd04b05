"""Tables as CSV and LaTeX, and what a cell prints."""

from __future__ import annotations

import csv
import io
import re

from hypothesis import given
from hypothesis import strategies as st

from vldistill.report.scores import Estimate
from vldistill.report.table import Cell, Table, escaped, of, to_csv, to_latex

ESTIMATE = Estimate(74.25, 72.0, 76.5, (74.0, 74.5), (0, 1), 2400)


def test_cells_print_signs_intervals_and_marks() -> None:
    assert (of(ESTIMATE).shown, of(ESTIMATE).reach, of(ESTIMATE).mark) == ("74.2", "2.2", "")
    one = Estimate(-1.0, None, None, (-1.0,), (0,), 10)
    assert (of(one, signed=True).shown, of(one).mark, of(one).reach) == ("\u22121.0", "\u2020", "")
    control = Estimate(28.0, None, None, (28.0,), (None,), 10)
    assert of(control).mark == ""
    assert of(None).shown == "\u2013"
    assert Cell(number=3.0, signed=True).shown == "+3.0"


def test_csv_gives_interval_columns_and_full_precision() -> None:
    table = Table("t", "T", [("a", "arm"), ("v", "value")], [{"a": Cell("x, y"), "v": of(ESTIMATE)}, {"a": Cell("z")}])
    lines = list(csv.reader(io.StringIO(to_csv(table))))
    assert lines[0] == ["arm", "value", "value low", "value high"]
    assert lines[1] == ["x, y", "74.25", "72", "76.5"]
    assert lines[2] == ["z", "", "", ""]


def test_latex_is_booktabs_with_numbers_flush_right() -> None:
    rows = [{"a": Cell("50 % & <mask>"), "v": of(ESTIMATE)}, {"a": Cell("b_c"), "v": Cell(number=1.0, tone="best")}]
    text = to_latex(Table("t_1", "Scores", [("a", "arm"), ("v", "value")], rows, notes=("\u2020 one",)))
    assert r"\begin{tabular}{lr}" in text
    assert r"50 \% \& \textless{}mask\textgreater{} & 74.2 $\pm$ 2.2 \\" in text
    assert r"b\_c & \textbf{1.0}" in text
    assert all(rule in text for rule in (r"\toprule", r"\midrule", r"\bottomrule", r"\label{tab:t-1}"))


@given(st.text())
def test_escaped_text_leaves_no_active_character(text: str) -> None:
    left = re.sub(r"\\[a-zA-Z]+(\{\})?|\\[&%$#_{}]|\$\\?[a-z^-]*(\\[a-z]+)?\$|\$-\$", "", escaped(text))
    assert not re.search(r"[\\&%#_{}~^<>]", left)
