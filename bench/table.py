"""What a race returns, and how it is written."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Row:
    """One contestant: who, how long it took in wall seconds, and anything worth knowing."""

    who: str
    seconds: float
    note: str = ""


@dataclass(frozen=True)
class Race:
    """One race: contestants on the same input in the same run; the first row is what the others are compared with."""

    title: str
    task: str
    rows: list[Row] = field(default_factory=list)

    def markdown(self) -> str:
        """The race as a section with a table."""
        base = self.rows[0].seconds
        lines = [f"## {self.title}", "", self.task, "", "| who | seconds | speed | note |", "|---|---|---|---|"]
        lines += [f"| {row.who} | {row.seconds:.2f} | {base / row.seconds:.2f}x | {row.note} |" for row in self.rows]
        return "\n".join(lines) + "\n"
