"""Places of MAD: its tasks, sizes of the training subset, and grids of both."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Annotated, Any, Literal

from pydantic import Field

from vldistill.params.base import Section

Task = Literal["snli_ve", "vcr", "vqa"]
TASKS: tuple[Task, ...] = ("snli_ve", "vcr", "vqa")
Percent = Annotated[int, Field(ge=1, le=100)]
PERCENT = "([1-9][0-9]?|100)"
OF_TASK = f"({'|'.join(TASKS)})"


class Grid(Section):
    """Arms that are run on tasks and sizes of the training subset, each with each."""

    arms: list[str] = Field(description="The arms that are run in it; none switches it off.")
    tasks: list[Task] = Field(default_factory=lambda: [TASKS[0]], description="On these tasks.")
    fractions: list[Percent] = Field(
        default_factory=lambda: [10], description="And these training subsets, in percent."
    )


def keys_as_text(value: Any) -> Any:
    """A mapping with text for keys: YAML reads a bare 1 as a number."""
    return {str(key): each for key, each in value.items()} if isinstance(value, dict) else value


def check_places(keys: Iterable[str], within: str = "") -> None:
    """Refuse what is not TASK-FRACTION; ``within`` stands before its name."""
    for key in keys:
        if not re.fullmatch(f"{OF_TASK}-{PERCENT}", key):
            raise ValueError(f"{within}{key} is not TASK-FRACTION ({', '.join(TASKS)})")
