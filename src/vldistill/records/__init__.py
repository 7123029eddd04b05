"""Records: what every data set becomes, and the readers of the official formats.

A data set's artifact holds ``records.jsonl``, one record a line, and ``images.zip`` where it has images of its own.
Images and features are looked up by key (the member name in ``images.zip``), never by row position.
"""

from vldistill.records.types import (
    SPLITS,
    CaptionRecord,
    QuestionRecord,
    Record,
    TextRecord,
    read_captions,
    read_questions,
    read_texts,
    write_records,
)

__all__ = [
    "SPLITS",
    "CaptionRecord",
    "QuestionRecord",
    "Record",
    "TextRecord",
    "read_captions",
    "read_questions",
    "read_texts",
    "write_records",
]
