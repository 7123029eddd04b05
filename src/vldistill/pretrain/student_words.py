"""Words for the student's vocabulary, and words that it is kept from."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from vldistill.errors import InputError
from vldistill.records import read_choices, read_entailments, read_questions
from vldistill.records.synsets import SYNSETS, read_synsets, synonyms
from vldistill.split.lists import first, order


def _hypotheses(folder: Path) -> Iterable[str]:
    return (record.hypothesis for record in read_entailments(folder) if record.split == "train")


def _choices(folder: Path) -> Iterable[str]:
    for record in read_choices(folder):
        if record.split == "train":
            texts = (record.question, *record.answers, *record.rationales)
            yield from (token for text in texts for token in text if isinstance(token, str))


def _questions(folder: Path) -> Iterable[str]:
    # `dev` is the official train part
    return (record.question for record in read_questions(folder) if record.split == "dev")


TASK_SETS: dict[str, Callable[[Path], Iterable[str]]] = {"snli_ve": _hypotheses, "vcr": _choices, "vqav2": _questions}
"""The sets of the tasks, and how their official training texts are read."""


def task_words(folders: Mapping[str, Path]) -> list[str]:
    """The words of the tasks' official training texts, sorted: each becomes a token, and nothing is learnt of it.

    All of these texts are read, and none of their labels, as those of a published vocabulary are: the student is one
    for all subsets, and what its tokens are comes from more than a subset (our choice). In the rendered world that
    tells next to nothing: the words that Visual Genome's phrases and synsets do not have are no synonyms, and one
    percent of the texts of SNLI-VE and VQA hold them all, of VCR's it takes five (one percent may lack a word).

    Args:
        folders: artifact of each set, of `TASK_SETS`.
    """
    return sorted(
        {word for name, folder in folders.items() for text in TASK_SETS[name](folder) for word in text.split()}
    )


def withheld_words(folder: Path, percent: int) -> list[str]:
    """The synonyms that a student is kept from, sorted: all those of the first ``percent`` of the synsets.

    The order is by hash, so that a student who is kept from fewer knows more of the same words.

    Args:
        folder: results/download/vg.
        percent: share of the synsets that have synonyms.

    Raises:
        InputError: words are to be withheld, and no synset has a synonym.
    """
    if not percent:
        return []
    groups = synonyms(read_synsets(folder))
    if not groups:
        raise InputError("no synonyms", file=folder / SYNSETS, action="Download the set vg with its synsets, again")
    return sorted(word for synset in first(order(groups, 0), percent / 100) for word in groups[synset])
