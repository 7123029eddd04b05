"""What the teacher chooses of single items, by the function that training calls; imports torch.

It is asked of the items that are shown, as training asks it of its subset: with the tokens of the cell's student, which
tell the words that were cut, and the arm's number of words.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from vldistill import layout
from vldistill.cells import MadCell
from vldistill.distill.mad.data import make_items
from vldistill.distill.mad.inputs import Pictures, texts_of_images
from vldistill.distill.mad.key import CLIP, RECORDS
from vldistill.distill.mad.losses import confidence_weight
from vldistill.distill.mad.targets import content_words, pick, teacher_vectors, text_vectors
from vldistill.evaluate.mad.data import MadRecord
from vldistill.features.sentences import Wording, segments_of
from vldistill.features.store import Store, open_store
from vldistill.models.mad import STUDENT
from vldistill.models.student import load_student
from vldistill.params import Params
from vldistill.params.mad_parts import Confidence
from vldistill.records import ChoiceRecord, RegionsRecord


@dataclass(frozen=True)
class Choice:
    """What is chosen of one text and its image.

    Attributes:
        words: cosine with the image of each content word, by its number in the text's last segment.
        chosen: numbers of the chosen words, best first.
        regions: cosine with the text of the whole image, then of its boxes as far as they are seen.
        region: number of the chosen region.
    """

    words: Mapping[int, float]
    chosen: Sequence[int]
    regions: Sequence[float]
    region: int


def choices(
    params: Params, root: Path, cell: MadCell, records: Sequence[MadRecord], boxes: Mapping[str, RegionsRecord]
) -> list[Choice]:
    """The choice of each record's text; of VCR's it is that of the right answer.

    Args:
        params: the experiment.
        root: project root.
        cell: whose student and options.
        records: of the cell's task.
        boxes: of their images, by key.

    Raises:
        InputError: the cell's student, an image's regions or a text's vector is missing.
    """
    images = RECORDS[cell.task][1]
    pictures = Pictures(layout.download(root, images), open_store(layout.features(root, CLIP, images)), boxes)
    texts = open_store(layout.features(root, CLIP, layout.TEXTS))
    # of VCR the answers come first, its rationales are left out
    items = make_items(cell.task, records, (), Wording.of(params.features)).take(range(len(records)))
    student = load_student(layout.distill_mad(root, cell.task) / cell.name / STUDENT)
    # no more than this: a report may be made where the user's region features are not
    inputs = texts_of_images(items, student, pictures)
    vectors = teacher_vectors(items, inputs, pictures.features, texts, None)
    most = params.distill.mad.options_of(cell.arm, cell.task, cell.fraction).tokens
    picks = pick(items, inputs, vectors, texts, "selected", np.random.default_rng(0), most)
    made = []
    for item, record in enumerate(records):
        right = record.answer_label or 0 if isinstance(record, ChoiceRecord) else 0
        row, image = item * items.choices + right, inputs.image[item : item + 1]
        text, places = items.texts[row], inputs.tokens.words[row, 1:]
        read = segments_of(items.teacher_texts[row])
        first = sum(len(segment.split()) for segment in text[:-read])
        words = _cosines(content_words(text, read), places, vectors.image[image][0], texts)
        regions = (vectors.regions[image][0] @ vectors.text[torch.tensor([row])][0])[inputs.mask[image][0]]
        made.append(
            Choice(
                words={number - first: weight for number, weight in words.items()},
                # where there are fewer words than asked, the best is repeated
                chosen=[number - first for number in dict.fromkeys(places[picks.token[row]].tolist())],
                regions=regions.tolist(),
                region=int(picks.region[row]),
            )
        )
    return made


def _cosines(words: Sequence[tuple[int, str]], places: Tensor, image: Tensor, texts: Store) -> dict[int, float]:
    """Cosine of each content word that has a token with the image, by its number in the text."""
    words = [(number, word) for number, word in words if number in set(places.tolist())]
    if not words:
        return {}
    found = text_vectors([word for _, word in words], texts)[torch.arange(len(words))] @ image
    return dict(zip((number for number, _ in words), found.tolist(), strict=True))


def weight_of(teacher: float, student: float, options: Confidence) -> float | None:
    """The weight w_m by what teacher and student give the right answer; None where it depends on more or on neither."""
    if options.kind in ("constant", "equal_mean") or options.normalise:
        return None
    return float(confidence_weight(torch.tensor(teacher), torch.tensor(student), options, 1.0))
