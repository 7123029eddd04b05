"""A student of a chosen gap starts from the usual one, which was kept from all synonyms, and goes on with them."""

from __future__ import annotations

import torch

from vldistill.errors import InputError
from vldistill.models.student import SingleStream

WORDS = "embeddings.word_embeddings.weight"


@torch.no_grad()
def carry_over(start: SingleStream, student: SingleStream) -> None:
    """Give ``student`` the weights of ``start``, and of its embeddings those of the tokens that ``start`` has met.

    Args:
        start: of the same shape; `facts["new_tokens"]` tells what it has not met.
        student: may have other tokens; those that ``start`` has not met stay as they are.

    Raises:
        InputError: ``start`` has another shape, or does not tell what it has met.
    """
    shapes = [{**each.config_values(), "vocabulary": None} for each in (start, student)]
    if shapes[0] != shapes[1] or "new_tokens" not in start.facts:
        raise InputError(
            "the student to go on from is of another shape or of an older version",
            field="pretrain.student.model",
            action="Make it first (vldistill pretrain student)",
        )
    new = set(start.facts["new_tokens"])
    known = {token: row for token, row in start.tokenizer.backend.get_vocab().items() if row not in new}
    pairs = [(row, known[token]) for token, row in student.tokenizer.backend.get_vocab().items() if token in known]
    rows, sources = torch.tensor(pairs).T
    words = student.word_embeddings.clone()
    words[rows] = start.word_embeddings[sources]
    student.load_state_dict({**start.state_dict(), WORDS: words})
