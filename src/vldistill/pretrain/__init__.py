"""Stage pretrain: teacher, language model and students, trained here as miniature stand-ins or loaded as published.

Writes results/pretrain/NAME in the formats open_clip and transformers load, whichever way the weights came; a student
in one of its own.
"""

from __future__ import annotations

from pathlib import Path

from vldistill.errors import InputError
from vldistill.params import Params
from vldistill.pretrain.names import NAMES, STUDENTS

__all__ = ["NAMES", "STUDENTS", "run"]


def run(params: Params, root: str | Path, name: str, *, deadline: float | None = None) -> Path:
    """Make the model ``name``; see `vldistill.pretrain.stage.run`.

    Raises:
        InputError: there is no such model; else as there.
    """
    if name not in NAMES:
        raise InputError(f"no model called {name!r}", action=f"Use one of {', '.join(NAMES)}")
    # whoever makes a teacher needs nothing of a student, and the other way round: their code versions are two
    if name in STUDENTS:
        from vldistill.pretrain import stage, student_recipe

        recipe, code = student_recipe.recipe_of(params, Path(root), name), "pretrain_student"
    else:
        from vldistill.pretrain import recipes, stage

        recipe, code = recipes.recipe_of(params, Path(root), name), "pretrain"
    return stage.run(params, Path(root), name, recipe, code, deadline=deadline)
