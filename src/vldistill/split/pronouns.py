"""Rule-Singular and Rule-Plural: rewritten answers that punish matching tags between question and answer (VCR).

After Ye and Kovashka, *A Case Study of the Shortcut Effects in Visual Commonsense Reasoning*, AAAI 2021: right answers
repeat the question's person tag more often than wrong ones do, so a model may choose by that alone. The rules turn it
round: the right answer's tag becomes a pronoun, and the wrong answers' tags and pronouns become the question's tag.

Reported: the idea and the two names; from the official val.jsonl the authors keep 16,154 and 3,657 items. Their exact
rules are not known here, so counts differ. Our choices:

- An item fits Rule-Singular where question and right answer each name one person and it is the same, by a tag of one
  object; Rule-Plural where they name one and the same group, by tags of several objects. All else is left out, since a
  pronoun would change what the right answer says.
- Only answers are rewritten; rationales stay.
- The pronoun's gender is the one that question, right answer and right rationale use; where they use none or both, it
  is settled by the id's hash, half and half. Other classes than `person`, where they are asked for, become "it".
- The pronoun's case follows its neighbours (`_role`); a possessive mark goes with it ("[0] 's hat" -> "his hat").
- Wrong answers: tags of the same number and the rule's pronouns are replaced; a possessive pronoun gets a possessive
  mark. Reflexives stay. Tags of the other number stay, for their verb would not agree.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Collection, Sequence
from typing import Literal

from vldistill.records import ChoiceRecord, Token

Rule = Literal["singular", "plural"]
RULES: tuple[Rule, ...] = ("singular", "plural")
PERSON = "person"
Role = Literal["subject", "object", "possessive"]

PRONOUNS: dict[str, dict[Role, str]] = {
    "he": {"subject": "he", "object": "him", "possessive": "his"},
    "she": {"subject": "she", "object": "her", "possessive": "her"},
    "it": {"subject": "it", "object": "it", "possessive": "its"},
    "they": {"subject": "they", "object": "them", "possessive": "their"},
}
HE, SHE = frozenset({"he", "him", "his", "himself"}), frozenset({"she", "her", "hers", "herself"})
# pronoun -> whether it is possessive; "her" may be either
REPLACED: dict[str, dict[str, bool]] = {
    "he": {"he": False, "him": False, "his": True, "she": False, "her": True, "hers": True},
    "it": {"it": False, "its": True},
    "they": {"they": False, "them": False, "their": True, "theirs": True},
}
MARKS = ("'s", "’s", "'")
APOSTROPHES = ("'", "’")


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


VERBS = _words(
    "is was are were am be been has have had do does did can could will would shall should may might must "
    "'s 're 'll 'd 've isn't wasn't aren't hasn't doesn't didn't can't won't just also seems looks wants"
)
# a clause may begin after these
OPENERS = _words(
    ", ; : . and but or because that if when while as since so where then though although before after until "
    "what why how which whether think thinks thinking believe believes believing know knows knowing"
)
# what may follow a "her" that is no possessive
AFTER_OBJECT = _words(
    "to in on at for with from by about as and or but because that if when while a an the of up down out over is was "
    "into back away off right now before after not so very too , . ; : ? !"
)
# before these, "'s" is a verb: "[0] 's going", "[0] 's a waiter"
AFTER_IS = _words("a an the not in on at about very so too just going trying being")


def rewrite(record: ChoiceRecord, rule: Rule, classes: Collection[str] = (PERSON,)) -> ChoiceRecord | None:
    """The item with its answers rewritten; None where the rule does not fit it, or its label is not public.

    Args:
        record: the item.
        rule: singular or plural.
        classes: classes of objects whose tags count; tags of others are left alone. Empty means every class.
    """
    if record.answer_label is None:
        return None
    counted = {index for index, name in enumerate(record.objects) if not classes or name in classes}
    right = record.answers[record.answer_label]
    asked = {tag for token in record.question if (tag := _tag(token, counted))}
    if len(asked) != 1 or {tag for token in right if (tag := _tag(token, counted))} != asked:
        return None
    (tag,) = asked
    if (len(tag) > 1) != (rule == "plural"):
        return None
    pronoun = "they" if rule == "plural" else _pronoun(record, tag[0])
    answers = [_with_tag(answer, tag, counted, pronoun) for answer in record.answers]
    answers[record.answer_label] = _with_pronoun(right, counted, PRONOUNS[pronoun], _capitals(record.question))
    return dataclasses.replace(record, answers=answers)


def _tag(token: Token, counted: Collection[int]) -> tuple[int, ...]:
    """The objects a token names, in order; empty for a word and for a tag that does not count."""
    if isinstance(token, str) or any(index not in counted for index in token):
        return ()
    return tuple(sorted(set(token)))


def _pronoun(record: ChoiceRecord, index: int) -> str:
    if record.objects[index] != PERSON:
        return "it"
    texts = [record.question, record.answers[record.answer_label or 0]]
    if record.rationale_label is not None:
        texts.append(record.rationales[record.rationale_label])
    words = {token.lower() for text in texts for token in text if isinstance(token, str)}
    if bool(words & HE) != bool(words & SHE):
        return "he" if words & HE else "she"
    return "he" if hashlib.sha256(record.id.encode()).digest()[0] % 2 else "she"


def _capitals(question: Sequence[Token]) -> bool:
    """Whether sentences begin with a capital letter here."""
    return bool(question) and isinstance(question[0], str) and question[0][:1].isupper()


def _with_pronoun(
    answer: Sequence[Token], counted: Collection[int], forms: dict[Role, str], capitals: bool
) -> list[Token]:
    made: list[Token] = []
    skip = 0
    for at, token in enumerate(answer):
        if skip:
            skip -= 1
            continue
        if not _tag(token, counted):
            made.append(token)
            continue
        role = _role(answer, at)
        skip = _mark(answer, at + 1) if role == "possessive" else 0
        begins = not made or made[-1] in (".", "!", "?")
        made.append(forms[role].capitalize() if capitals and begins else forms[role])
    return made


def _role(tokens: Sequence[Token], at: int) -> Role:
    """What the tag at ``at`` is in its clause, by its neighbours.

    Possessive before a possessive mark, unless that is a verb; object at the end of a clause; subject before a verb, at
    the beginning, and where a clause may begin; object elsewhere.
    """
    length = _mark(tokens, at + 1)
    if length:
        after = _word(tokens, at + 1 + length)
        return "subject" if after in AFTER_IS or after.endswith("ing") else "possessive"
    after, before = _word(tokens, at + 1), _word(tokens, at - 1)
    if at == 0 or after in VERBS:
        return "subject"
    if not any(letter.isalnum() for letter in after) and not _is_tag(tokens, at + 1):
        return "object"
    return "subject" if before in OPENERS else "object"


def _mark(tokens: Sequence[Token], at: int) -> int:
    """How many tokens at ``at`` make up a possessive mark: "'s", or "'" and "s"; 0 for none."""
    if _word(tokens, at) in APOSTROPHES and _word(tokens, at + 1) == "s":
        return 2
    return int(_word(tokens, at) in MARKS)


def _word(tokens: Sequence[Token], at: int) -> str:
    token = tokens[at] if 0 <= at < len(tokens) else ""
    return token.lower() if isinstance(token, str) else ""


def _is_tag(tokens: Sequence[Token], at: int) -> bool:
    return at < len(tokens) and not isinstance(tokens[at], str)


def _with_tag(answer: Sequence[Token], tag: tuple[int, ...], counted: Collection[int], pronoun: str) -> list[Token]:
    """A wrong answer in which tags and pronouns of the rule's number name ``tag``."""
    replaced = REPLACED["he" if pronoun == "she" else pronoun]
    made: list[Token] = []
    for at, token in enumerate(answer):
        other, word = _tag(token, counted), _word(answer, at)
        if other and (len(other) > 1) == (len(tag) > 1):
            made.append(list(tag))
        elif word in replaced:
            possessive = replaced[word]
            if word == "her":
                after = _word(answer, at + 1)
                possessive = after != "" and after not in AFTER_OBJECT
            made += [list(tag), "'s"] if possessive else [list(tag)]
        else:
            made.append(token)
    return made
