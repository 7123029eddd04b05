"""Errors that a user can act on; the command line prints them without a traceback and exits with code 2."""

from __future__ import annotations

from os import PathLike


class VldistillError(Exception):
    """Something the user can mend: the message says what is wrong and what to do."""


class InputError(VldistillError, ValueError):
    """Bad input. The message names the file, the record and the field, and says what to do.

    Args:
        problem: what is wrong, in one sentence without a final period.
        file: the file (or folder) it is wrong in.
        record: which record: a line number, an index or an id.
        field: which field of the record.
        action: what to do about it.
    """

    def __init__(
        self,
        problem: str,
        *,
        file: str | PathLike[str] | None = None,
        record: str | int | None = None,
        field: str | None = None,
        action: str | None = None,
    ) -> None:
        self.problem, self.file, self.record, self.field, self.action = problem, file, record, field, action
        where = [
            f"{name} {value}"
            for name, value in (("file", file), ("record", record), ("field", field))
            if value is not None
        ]
        text = f"{', '.join(where)}: {problem}" if where else problem
        super().__init__(f"{text}. {action}" if action else text)
