"""Affine maps between student states and teacher vectors, fitted by ridge regression and frozen (our choice).

They are fitted on what the student knows already: the phrases and images of its own pre-training, passed through the
student as it is before any task. So P says where a teacher's vector lies among the states of a student that
understands the text; distillation then asks the same of texts it does not understand. Trainable projections can take
up the alignment themselves and teach nothing (docs/fidelity.md).

Maps are named TEACHER.PLACE: the place is ``cls`` h_0, ``token`` the state of the chosen word, ``region`` that of the
chosen region. ``input.text`` and ``input.image`` go the other way, from teacher vectors to region features, for the
control that sees the teachers; only a student that sees the teacher's regions has them. ``words.text`` goes from CLIP's
vectors of words to the student's word embeddings.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping, Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from vldistill.distill.mad.inputs import Inputs, Pictures, make_inputs
from vldistill.distill.mad.items import Items
from vldistill.distill.mad.lookup import whole
from vldistill.distill.mad.targets import (
    CLIP_IMAGE,
    Picks,
    of_parts,
    of_teacher,
    pick,
    teacher_vectors,
    text_vectors,
)
from vldistill.distill.mad.visual_inputs import StoredRegions
from vldistill.errors import InputError
from vldistill.features.sentences import bare, untagged
from vldistill.features.store import Store
from vldistill.models.student import Student
from vldistill.params.mad import MadOptions
from vldistill.params.mad_parts import Projections as Options
from vldistill.records import PhraseRecord, RegionsRecord

AT_ONCE = 256
CLS = "cls"
INPUT_TEXT, INPUT_IMAGE = "input.text", "input.image"
WORDS = "words.text"
LEAST_WORDS = 8


def places_of(teacher: str, target: str) -> tuple[str, ...]:
    """Where a teacher's vector is imposed: on h_0, or on the chosen token (text) or region (image), or on both."""
    own = "region" if teacher == CLIP_IMAGE else "token"
    return {"cls": (CLS,), "both": (CLS, own)}.get(target, (own,))


def map_name(teacher: str, place: str, scope: str) -> str:
    """The map from a state to a teacher's vector, of the whole or of the part itself; [CLS] has no part."""
    return f"{teacher}.{place}" + (".part" if scope == "part" and place != CLS else "")


def phrase_items(
    records: Sequence[PhraseRecord],
    boxes: Mapping[str, RegionsRecord],
    withheld: Collection[str],
    most: int,
    tagged_as: str = "",
) -> Items:
    """The student's own pre-training pairs as items: ``most`` of them, in the order of the hashes of their ids.

    Args:
        records: phrases of Visual Genome.
        boxes: of their images.
        withheld: words that the student was kept from; phrases with one of them are left out.
        most: how many pairs.
        tagged_as: as `features.sentences.untagged`.

    Raises:
        InputError: no phrase is left.
    """
    kept = [record for record in records if not set(record.phrase.lower().split()) & set(withheld)]
    if not kept:
        raise InputError("no phrase without a withheld word", action="Download the set vg again")
    kept = sorted(kept, key=lambda record: hashlib.sha256(record.id.encode()).hexdigest())[:most]
    return Items(
        task="vg",
        ids=[record.id for record in kept],
        groups=[record.image for record in kept],
        images=[record.image for record in kept],
        texts=[[record.phrase] for record in kept],
        teacher_texts=[untagged(record.phrase, boxes[record.image].names, tagged_as) for record in kept],
        choices=1,
        targets=torch.full((len(kept),), -1),
        objects=[tuple(boxes[record.image].names) for record in kept],
    )


@torch.no_grad()
def fit(
    student: Student,
    items: Items,
    pictures: Pictures,
    texts: Store,
    language_model: Store | None,
    options: Options,
) -> dict[str, Tensor]:
    """All maps, by name, each [inputs + 1, outputs], the last row added as it is.

    Args:
        student: as it was pre-trained, in evaluation mode.
        items: of `phrase_items`.
        pictures: their images, with features of the kind `region_pooled`.
        texts: CLIP's store of texts.
        language_model: the language model's store of texts; without it there are no maps to it.
        options: of the fit.
    """
    inputs = make_inputs(items, student, pictures)
    vectors = teacher_vectors(items, inputs, pictures.features, texts, language_model)
    best = pick(items, inputs, vectors, texts, "selected", np.random.default_rng(0))
    states = _states(student, items, inputs, best)
    target = of_teacher(vectors, inputs)
    maps = {
        f"{teacher}.{place}": ridge(states[place], whole(target[teacher]), options.alpha)
        for teacher in target
        for place in places_of(teacher, "both")
    }
    # single words and regions: any, for a map that knew only the best would not know what the others are
    picked = pick(items, inputs, vectors, texts, "random", np.random.default_rng(0))
    states, parts = _states(student, items, inputs, picked), of_parts(picked, vectors, inputs, texts, language_model)
    for teacher, of_part in parts.items():
        [place] = places_of(teacher, "selected")
        maps[map_name(teacher, place, "part")] = ridge(states[place], whole(of_part).flatten(0, -2), options.alpha)
    if isinstance(inputs.visual, StoredRegions):
        shown = whole(inputs.visual.features).float()
        maps[INPUT_IMAGE] = ridge(whole(vectors.regions)[inputs.mask], shown[inputs.mask], options.alpha)
        maps[INPUT_TEXT] = ridge(whole(vectors.text), shown[inputs.image, best.region], options.alpha)
    if hasattr(student, "embeddings"):
        maps |= _of_words(student, items, texts, options.alpha)
    return maps


def ridge(inputs: Tensor, outputs: Tensor, alpha: float) -> Tensor:
    """The affine map [D + 1, d] of least squared error, with a penalty of alpha times the number of rows.

    Args:
        inputs: [n, D].
        outputs: [n, d].
        alpha: the penalty; the constant, too, is penalised, by which it changes no more than the rest.
    """
    # in double precision: the normal equations square the condition number
    rows = functional.pad(inputs.double(), (0, 1), value=1.0)
    penalty = alpha * len(rows) * torch.eye(rows.shape[1], dtype=torch.float64)
    return torch.linalg.solve(rows.T @ rows + penalty, rows.T @ outputs.double()).float()


def used_maps(options: MadOptions, teachers: Collection[str]) -> list[str]:
    """Names of the maps that distillation needs from `teachers`."""
    return [
        map_name(teacher, place, options.scope) for teacher in teachers for place in places_of(teacher, options.target)
    ]


def random_maps(names: Sequence[str], width: int, widths: Mapping[str, int]) -> dict[str, Tensor]:
    """Fresh maps of states of `width`, to be trained; drawn from torch's global generator as `nn.Linear` does.

    Args:
        names: of the maps.
        width: of the states.
        widths: of each teacher's vectors.
    """
    found = {}
    for name in names:
        layer = torch.nn.Linear(width, widths[name.split(".")[0]])
        found[name] = torch.cat([layer.weight.detach().T, layer.bias.detach()[None]]).contiguous()
    return found


def teachers_of(options: MadOptions) -> list[str]:
    """The teachers that give a target, in a fixed order."""
    return options.teachers.taught if options.weight else []


def _states(student: Student, items: Items, inputs: Inputs, picked: Picks) -> dict[str, Tensor]:
    """Place -> states [N, D] of all items."""
    parts: dict[str, list[Tensor]] = {"cls": [], "token": [], "region": []}
    device = next(student.parameters()).device
    for rows in torch.arange(len(items)).split(AT_ONCE):
        batch = inputs.batch(rows)
        picks = {"token": picked.token[rows], "region": inputs.align(batch, rows, picked.region[rows])}
        batch, picks = ({name: of.to(device) for name, of in entries.items()} for entries in (batch, picks))
        for place, states in student.states_at(batch, picks).items():
            parts[place].append(states.cpu())
    return {place: torch.cat(found).flatten(0, -2) for place, found in parts.items()}


def _of_words(student: Student, items: Items, texts: Store, alpha: float) -> dict[str, Tensor]:
    """The map of CLIP's vectors of words to word embeddings, fitted on the words of the phrases."""
    found = token_words(student, items.teacher_texts)
    if len(found) < LEAST_WORDS:
        return {}
    table = student.word_embeddings
    return {WORDS: ridge(whole(text_vectors(list(found), texts)), table[list(found.values())], alpha)}


def token_words(student: Student, texts: Sequence[str]) -> dict[str, int]:
    """The words of texts that are one token to the student -> that token."""
    words = sorted({bare(word) for text in texts for word in text.split()} - {""})
    return {word: token for word in words if (token := student.tokenizer.token_of(word)) is not None}


@torch.no_grad()
def embed_unknown(student: Student, items: Items, known: Items, texts: Store, matrix: Tensor) -> int:
    """Start the embeddings of the words of ``items`` that no phrase of ``known`` has from CLIP's vectors of them.

    Args:
        student: changed in place.
        items: of the training subset.
        known: the student's own pre-training pairs.
        texts: CLIP's store of texts.
        matrix: the map `WORDS`.

    Returns:
        The number of words.
    """
    met = set(token_words(student, known.teacher_texts).values())
    new = {word: token for word, token in token_words(student, items.teacher_texts).items() if token not in met}
    if new:
        vectors = whole(text_vectors(list(new), texts))
        table = student.word_embeddings
        table[list(new.values())] = vectors @ matrix[:-1] + matrix[-1]
    return len(new)
