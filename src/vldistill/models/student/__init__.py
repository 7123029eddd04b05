"""Students: the cross-modal encoders that MAD distils into, behind one interface."""

from __future__ import annotations

from pathlib import Path

from vldistill.errors import InputError
from vldistill.files import read_json
from vldistill.models.student.interface import CONFIG, Batch, Student, StudentStates, refuse_seen
from vldistill.models.student.single_stream import SingleStream, SingleStreamConfig
from vldistill.models.student.tokens import Tokens, WordPieceTokenizer, object_tag, tagged_object

__all__ = [
    "Batch",
    "SingleStream",
    "SingleStreamConfig",
    "Student",
    "StudentStates",
    "Tokens",
    "WordPieceTokenizer",
    "load_student",
    "object_tag",
    "refuse_seen",
    "tagged_object",
]


def load_student(folder: str | Path) -> Student:
    """Load a student of any kind from the folder that its `save` wrote, in evaluation mode.

    Raises:
        InputError: as `Student.load`.
    """
    config = read_json(Path(folder) / CONFIG)
    kind = config.get("kind") if isinstance(config, dict) else None
    if kind == SingleStream.kind:
        return SingleStream.load(folder)
    if kind == "vilt":
        # transformers' ViLT takes a second to import; the small students do without
        from vldistill.models.student.vilt import Vilt

        return Vilt.load(folder)
    raise InputError(
        f"no student of kind {kind!r}", file=Path(folder) / CONFIG, field="kind", action="Pre-train the student again"
    )
