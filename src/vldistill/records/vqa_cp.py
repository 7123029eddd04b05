"""VQA-CP v2: VQAv2's questions on COCO's train and val images, dealt anew so that answer priors change.

The files are bare lists. There is no dev part; images may stand in both parts, as published.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from vldistill.records import vqa
from vldistill.records.types import QuestionRecord

FILES = {
    "train": ("vqacp_v2_train_questions.json", "vqacp_v2_train_annotations.json"),
    "test": ("vqacp_v2_test_questions.json", "vqacp_v2_test_annotations.json"),
}


def read(folder: Path, images: Mapping[int, str]) -> list[QuestionRecord]:
    """Read VQA-CP v2; ``images``: COCO image id -> key. Raises as `vqa.read`."""
    return vqa.read(folder, FILES, "coco", images, bare=True)
