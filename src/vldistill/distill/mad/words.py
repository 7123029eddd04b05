"""Content words: what is left of a text without the words that only hold it together (our choice: a closed list)."""

from __future__ import annotations

_FUNCTION_WORDS = """
    a an the this that these those some any each every no all both either neither another other such
    i me my mine you your yours he him his she her hers it its we us our ours they them their theirs
    who whom whose which what where when why how there here someone something anyone anything
    am is are was were be been being do does did doing done have has had having can could may might must shall should
    will would ought
    not n't and or but nor so yet if then than as because while though although since until unless whether
    of in on at by for from to into onto with without about over under between behind before after above below against
    through during near off out up down toward towards upon within along around across beside besides per via
    very too also just only even still again ever never always really quite rather perhaps maybe
    's 're 've 'll 'd 'm
"""
FUNCTION_WORDS = frozenset(_FUNCTION_WORDS.split())


def is_content(word: str) -> bool:
    """Whether a bare word (small letters, no punctuation around it) says something of the picture."""
    return word not in FUNCTION_WORDS and any(letter.isalnum() for letter in word)
