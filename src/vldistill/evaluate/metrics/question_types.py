"""The question types VQA numbers are broken down by: 65 prefixes of the official list."""

from __future__ import annotations

FALLBACK = "none of the above"
PREFIXES = tuple(
    line.strip()
    for line in """
    how many
    is the
    what
    what color is the
    what is the
    is this
    is this a
    what is
    are the
    what kind of
    is there a
    what type of
    is it
    what are the
    where is the
    is there
    does the
    what color are the
    are these
    are there
    which
    is
    what is the man
    is the man
    are
    how
    does this
    what is on the
    what does the
    how many people are
    what is in the
    what is this
    do
    what are
    are they
    what time
    what sport is
    are there any
    is he
    what color is
    why
    where are the
    what color
    who is
    what animal is
    is the woman
    is this an
    do you
    how many people are in
    what room is
    has
    is this person
    what is the woman
    can you
    why is the
    is the person
    what is the color of the
    what is the person
    could
    was
    is that a
    what number is
    what is the name
    what brand
    """.strip().splitlines()
)


def question_type(question: str) -> str:
    """The longest official prefix, in whole words, of a question; else the list's last line."""
    words = " ".join(question.lower().split()).rstrip("?") + " "
    return max((prefix for prefix in PREFIXES if words.startswith(prefix + " ")), key=len, default=FALLBACK)
