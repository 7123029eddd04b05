"""Which part of a generated text is the answer.

A denoising language model (BART) answers ``question: Q answer: <mask>`` by writing its whole input again with the mask
filled. What counts as the answer is therefore a rule of its own, stated here and counted in every result.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

MASK = "<mask>"


@dataclass(frozen=True)
class Answer:
    """An extracted answer and the rule that found it.

    Attributes:
        text: the answer, with single spaces.
        rule: ``echo`` (the output began with the prompt), ``marker`` (the output had the words before the mask
            somewhere) or ``whole`` (neither: all of the output is the answer).
    """

    text: str
    rule: str


def fill(template: str, **fields: str) -> str:
    """A prompt from its template. Braces inside the fields stay as they are."""
    for name, value in fields.items():
        template = template.replace("{" + name + "}", value)
    return template


def before_mask(prompt: str) -> str:
    """The part of a prompt that a decoder writes before it fills the mask: what it may be forced to begin with."""
    return prompt.split(MASK, 1)[0].strip()


def marker(template: str) -> str:
    """The fixed words right before the mask (``answer:``), which show where the answer begins."""
    return before_mask(template).rsplit("}", 1)[-1].strip()


def extract(generated: str, prompt: str, template: str, stops: Sequence[str] = ()) -> Answer:
    """The answer inside a generated text.

    Args:
        generated: all that the decoder wrote, without special tokens.
        prompt: the filled prompt, with ``<mask>`` for the mask token.
        template: the prompt's template, from which the marker is taken.
        stops: the answer ends before the first of these strings.

    The comparison with the prompt ignores case and white space, since tokenizers do not keep either.
    """
    text, rule = _after_prompt(generated, before_mask(prompt)), "echo"
    if text is None:
        text, rule = _after_marker(generated, marker(template)), "marker"
    if text is None:
        text, rule = generated, "whole"
    suffix = prompt.split(MASK, 1)[1].strip() if MASK in prompt else ""
    ends = [at for stop in (*stops, suffix) if stop and (at := text.casefold().find(stop.casefold())) >= 0]
    cut = text[: min(ends)] if ends else text
    return Answer(" ".join(cut.split()).removesuffix(".").rstrip(), rule)


def _after_prompt(generated: str, prefix: str) -> str | None:
    """What follows ``prefix`` in ``generated``, or None where it does not begin with it."""
    wanted = "".join(prefix.casefold().split())
    if not wanted:
        return generated
    matched = 0
    for at, letter in enumerate(generated):
        if letter.isspace():
            continue
        folded = letter.casefold()
        if not wanted.startswith(folded, matched):
            return None
        matched += len(folded)
        if matched == len(wanted):
            return generated[at + 1 :]
    return None


def _after_marker(generated: str, words: str) -> str | None:
    at = generated.casefold().find(words.casefold()) if words else -1
    return None if at < 0 else generated[at + len(words) :]
