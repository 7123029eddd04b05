"""SNLI-VE: ``snli_ve_{train,dev,test}.jsonl``, hypotheses on Flickr30k's images.

Pairs without a majority label (``-``) and pairs about Visual Genome's images (``vg_`` in the pairID) are left out and
counted, as SNLI-VE's own script does.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Container
from pathlib import Path

from vldistill.errors import InputError
from vldistill.files import read_jsonl
from vldistill.records.fields import Row, Unique
from vldistill.records.places import find
from vldistill.records.types import LABELS, SPLITS, EntailmentRecord

FILE = "snli_ve_{split}.jsonl"
# the published files' name, and that which SNLI-VE's own script gives
IMAGE_IDS = ("Flickr30K_ID", "Flikr30kID")
NO_LABEL = "-"
OTHER_IMAGES = "vg_"


def read(folder: Path, images: Container[str]) -> tuple[list[EntailmentRecord], dict[str, int]]:
    """Read the three parts.

    Args:
        folder: where the files are.
        images: keys of the images there are.

    Returns:
        The records in the files' order, and counts {unlabelled, visual_genome} of the pairs left out.

    Raises:
        InputError: a broken file, or a pair whose image is not there; names file, line and field.
    """
    records: list[EntailmentRecord] = []
    left_out = Counter(unlabelled=0, visual_genome=0)
    ids = Unique()
    for split in SPLITS:
        file = find(folder, FILE.format(split=split))
        before = len(records)
        for number, value in enumerate(read_jsonl(file), start=1):
            row = Row(value, file, f"line {number}")
            pair, label = row.text("pairID"), row.choice("gold_label", (*LABELS, NO_LABEL))
            if label == NO_LABEL or OTHER_IMAGES in pair:
                left_out["unlabelled" if label == NO_LABEL else "visual_genome"] += 1
                continue
            ids.add(row, "pairID", pair)
            field = next((name for name in IMAGE_IDS if name in row.value), IMAGE_IDS[0])
            key = f"{row.text(field)}.jpg"
            if key not in images:
                raise row.error(f"the image {key} is missing from flickr30k", field, "Get Flickr30k's images again")
            records.append(EntailmentRecord(pair, key, row.text("sentence2"), label, split))
        if len(records) == before:
            raise InputError("holds no labelled pair", file=file, action="Fetch the file again")
    return records, dict(left_out)
