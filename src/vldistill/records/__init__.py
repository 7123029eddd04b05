"""Records: what every data set becomes, and the readers of the official formats.

A data set's artifact holds ``records.jsonl``, one record a line, and ``images.zip`` and ``regions.jsonl`` (the images'
boxes) where it has images of its own. Images and features are looked up by key (the member name in ``images.zip``),
never by row position.
"""

from vldistill.records.fields import Token
from vldistill.records.regions import RegionsRecord, read_regions, write_regions
from vldistill.records.types import (
    CHOICES,
    LABELS,
    SPLITS,
    UNLABELLED,
    CaptionRecord,
    ChoiceRecord,
    EntailmentRecord,
    PhraseRecord,
    QuestionRecord,
    Record,
    TextRecord,
    read_captions,
    read_choices,
    read_entailments,
    read_phrases,
    read_questions,
    read_texts,
    write_records,
)

__all__ = [
    "CHOICES",
    "LABELS",
    "SPLITS",
    "UNLABELLED",
    "CaptionRecord",
    "ChoiceRecord",
    "EntailmentRecord",
    "PhraseRecord",
    "QuestionRecord",
    "Record",
    "RegionsRecord",
    "TextRecord",
    "Token",
    "read_captions",
    "read_choices",
    "read_entailments",
    "read_phrases",
    "read_questions",
    "read_regions",
    "read_texts",
    "write_records",
    "write_regions",
]
