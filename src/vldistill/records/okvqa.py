"""OK-VQA: VQAv2's format with stemmed answers (``answer``) beside the raw ones (``raw_answer``).

The member names equal VQA v1's, so the files need a folder of their own. Five annotators, each counted twice.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from vldistill.records import vqa
from vldistill.records.types import QuestionRecord

FILES = {
    "dev": ("OpenEnded_mscoco_train2014_questions.json", "mscoco_train2014_annotations.json"),
    "test": ("OpenEnded_mscoco_val2014_questions.json", "mscoco_val2014_annotations.json"),
}


def read(folder: Path, images: Mapping[int, str]) -> list[QuestionRecord]:
    """Read OK-VQA with its stemmed answers; ``images``: COCO image id -> key. Raises as `vqa.read`."""
    return vqa.read(folder, FILES, "coco", images)
