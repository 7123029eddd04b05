"""Types of command line arguments that more than one command takes."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import click

FILE = click.Path(path_type=Path, dir_okay=False)
FOLDER = click.Path(path_type=Path, file_okay=False)


class Finite(click.FloatRange):
    """A number in a range; nan lies in none, though no comparison says so, and inf is no number to compute with."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        number: float = super().convert(value, param, ctx)
        if not math.isfinite(number):
            self.fail(f"{value} is no finite number", param, ctx)
        return number


def elsewhere(out: Path, *inputs: Path | None) -> None:
    """Refuse to write over what is read.

    Raises:
        click.BadParameter: ``out`` is one of ``inputs``.
    """
    if any(path is not None and path.resolve() == out.resolve() for path in inputs):
        raise click.BadParameter(f"{out} is what is read: name another file", param_hint="'--out'")
