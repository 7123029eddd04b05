"""The stand-in student: a single-stream encoder that is grounded on phrases about images before any task."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from vldistill.features.store import Store, open_store
from vldistill.models.regions import Regions, geometry, intersection_over_union, region_boxes, tag_ids
from vldistill.models.student import SingleStream, SingleStreamConfig, object_tag
from vldistill.models.student.matching import load_matching, save_matching
from vldistill.models.student.single_stream import REGION_TYPE
from vldistill.models.student.tokens import WordPieceTokenizer, learn_vocabulary
from vldistill.params import student as options
from vldistill.pretrain.student_negatives import Negatives
from vldistill.pretrain.student_start import carry_over
from vldistill.pretrain.student_task import Corpus, Grounding, GroundingTask, dev_figures
from vldistill.records import PhraseRecord, RegionsRecord, read_phrases, read_regions
from vldistill.training import Run, seed_everything, train

TYPES = 4
REGION = "region"


@dataclass(frozen=True)
class Phrases:
    """Phrases about images.

    Attributes:
        texts: different phrases.
        pairs: [N, 3] phrase, image and region (0 = the whole image) of each record.
        said: the phrases of each image.
    """

    texts: list[str]
    pairs: np.ndarray
    said: list[set[int]]


def make(
    settings: options.Student,
    data: Path,
    features: Path,
    folder: Path,
    run: Run,
    *,
    words: Collection[str] = (),
    withheld: Collection[str] = (),
    start: Path | None = None,
) -> dict[str, Any]:
    """Train the stand-in on the phrases of ``data`` and save it.

    Args:
        settings: its parameters.
        data: results/download/vg.
        features: results/features/clip/vg; it tells how many regions of an image there are.
        folder: where to save.
        run: where and how to train.
        words: words of the tasks: each becomes a token, whether or not a phrase has it.
        withheld: phrases with one of these words are left out, so that the student does not know them.
        start: the student whose weights it starts from; without one from fresh weights.

    Returns:
        Dev figures on the phrases of held-out images, and how many phrases were left out since their image could not
        be read.

    Raises:
        InputError: the features are not of these images, or of other kinds; ``start`` does not load.
    """
    store = open_store(features)
    records, boxes = read_phrases(data), read_regions(data)
    seen = {key: boxes[key] for key in sorted(boxes) if key not in store.invalid}
    kept = [record for record in records if record.image not in store.invalid]
    regions = stored_regions(store, seen)
    phrases = collect(kept, seen, regions.mask.shape[1], set(withheld))
    figures = ground(settings, phrases, regions, folder, run, words=words, withheld=withheld, start=start)
    return {**figures, "left_out": len(records) - len(kept)}


def stored_regions(store: Store, boxes: Mapping[str, RegionsRecord]) -> Regions:
    """The regions of the images of ``boxes``, in its order, from the teacher's store.

    Raises:
        InputError: the store lacks an image, or has no regions.
    """
    features = torch.from_numpy(store.get(REGION, list(boxes)))
    places, mask, left_out = region_boxes(list(boxes.values()), features.shape[1])
    numbers = torch.from_numpy(geometry(places.flatten(0, 1).numpy())).unflatten(0, mask.shape)
    return Regions(features, numbers, mask, None, left_out)


def ground(
    settings: options.Student,
    phrases: Phrases,
    regions: Regions,
    folder: Path,
    run: Run,
    *,
    words: Collection[str],
    withheld: Collection[str] = (),
    start: Path | None = None,
) -> dict[str, Any]:
    """`make`, from phrases and regions that are at hand; the tag of object i names box i."""
    most = regions.mask.shape[1]
    names = [object_tag(index) for index in range(most - 1)]
    tokenizer = learn_vocabulary(phrases.texts, words, settings.model.vocabulary, names)
    ids = {name: tokenizer.word_id(name) for name in names}
    seed_everything(settings.seed)
    student = SingleStream(shape_of(settings.model, len(tokenizer), regions.features.shape[-1]), tokenizer)
    if start is None:
        standardise(student, regions)
    else:
        carry_over(SingleStream.load(start), student)
    corpus = Corpus(
        tokens=student.tokenize([[text] for text in phrases.texts]),
        regions=regions,
        tags=tag_ids([names[: int(count) - 1] for count in regions.mask.sum(dim=1)], most, ids),
        negatives=Negatives(phrases.texts, phrases.said),
    )
    fit, dev = cut(phrases, settings.held_out)
    module = Grounding(student, corpus.tokens.ids.unique())
    if start is not None:
        # the head of masked words is learnt anew: it is not kept
        module.match = load_matching(start, student.width)
    metrics = train(GroundingTask(module, corpus, fit, settings), settings.training, run)
    module.cpu().eval()
    start_types(student)
    # what it was kept from is told, so that others can find the phrases that it knows
    student.facts.update(source="train", seen=[], withheld=sorted(withheld), new_tokens=unmet(corpus, tokenizer))
    student.save(folder)
    save_matching(module.match, folder)
    return {"train_loss": metrics["loss"], "phrases": len(fit), **dev_figures(module, corpus, dev)}


def unmet(corpus: Corpus, tokenizer: WordPieceTokenizer) -> list[int]:
    """Ids of the words and pieces that no phrase has and that name no region of one."""
    met = torch.zeros(len(tokenizer), dtype=torch.bool)
    met[corpus.tokens.ids.flatten()] = True
    met[corpus.tags.flatten()] = True
    met[[tokenizer.pad, tokenizer.unknown, tokenizer.cls, tokenizer.sep, tokenizer.mask]] = True
    found: list[int] = (~met).nonzero().flatten().tolist()
    return found


def shape_of(model: options.StudentShape, vocabulary: int, region_width: int) -> SingleStreamConfig:
    """The encoder's shape; types for answers and rationales are there from the start."""
    shape = model.model_dump() | {"vocabulary": vocabulary}
    return SingleStreamConfig(**shape, region_width=region_width, types=TYPES)


@torch.no_grad()
def standardise(student: SingleStream, regions: Regions) -> None:
    """Let the student's first projection begin as one of standardised features.

    A teacher's features have a large mean that all regions share, and the norm that follows would keep mostly that.
    """
    found = regions.features[regions.mask]
    mean, std = found.mean(dim=0), found.std(dim=0) + 1e-3 * found.std()
    linear = student.img_embeddings.img_linear
    linear.weight.div_(std)
    linear.bias.sub_(linear.weight @ mean)


@torch.no_grad()
def start_types(student: SingleStream) -> None:
    """Let answers and rationales start as plain text, as UNITER does where it learns VCR."""
    types = student.embeddings.token_type_embeddings.weight
    types[REGION_TYPE + 1 :] = types[0].clone()


def collect(
    records: Sequence[PhraseRecord], boxes: Mapping[str, RegionsRecord], most: int, withheld: Collection[str]
) -> Phrases:
    """Phrases about the images of ``boxes``, in its order, without those that hold a withheld word."""
    rows = {key: row for row, key in enumerate(boxes)}
    numbers: dict[str, int] = {}
    said: list[set[int]] = [set() for _ in rows]
    pairs = []
    for record in records:
        text = " ".join(record.phrase.lower().split())
        if set(text.split()) & set(withheld):
            continue
        number = numbers.setdefault(text, len(numbers))
        said[rows[record.image]].add(number)
        pairs.append((number, rows[record.image], region_of(record.box, boxes[record.image], most)))
    return Phrases(list(numbers), np.asarray(pairs, dtype=np.int64).reshape(-1, 3), said)


def region_of(box: Sequence[float], image: RegionsRecord, most: int) -> int:
    """The region that a phrase's box overlaps most, by intersection over union; 0 = the whole image."""
    regions = np.asarray([[0, 0, image.width, image.height], *image.boxes[: most - 1]], dtype=np.float64)
    return int(intersection_over_union(regions, np.asarray(box, dtype=np.float64)).argmax())


def cut(phrases: Phrases, held_out: float) -> tuple[np.ndarray, np.ndarray]:
    """The pairs of the first images, and those of the last share of the images."""
    first = len(phrases.said) - max(1, round(held_out * len(phrases.said)))
    held = phrases.pairs[:, 1] >= first
    return phrases.pairs[~held], phrases.pairs[held]
