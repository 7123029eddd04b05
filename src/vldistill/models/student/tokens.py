"""WordPiece tokens of texts with segments: ``[CLS] question [SEP] answer [SEP]``.

Where a text is too long, segments are cut at their ends, the first one first: the last is what is judged, and loses
tokens only when nothing else is left. How many texts were cut is reported.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, NamedTuple, cast

import torch
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers
from torch import Tensor

from vldistill.errors import InputError
from vldistill.files import write_text

TOKENIZER = "tokenizer.json"
PAD, UNK, CLS, SEP, MASK = SPECIALS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
NO_WORD = -1
ASCII = [chr(code) for code in range(33, 127) if not chr(code).isupper()]
PERSON = "person"
FIRST_NAMES = (
    "Casey", "Riley", "Jessie", "Jackie", "Avery", "Jaime", "Peyton", "Kerry", "Jody", "Kendall",
    "Peyton", "Skyler", "Frankie", "Pat", "Quinn",
)  # fmt: skip
"""The names that r2c (github.com/rowanz/r2c, dataloaders/vcr.py) calls persons by; one stands there twice."""


@dataclass(frozen=True)
class Tokens:
    """Tokens of N texts, padded to the longest.

    Attributes:
        ids: [N, L + 1] int64, [CLS] first, 0 = padding.
        mask: [N, L + 1] bool.
        types: [N, L + 1] int64.
        words: [N, L + 1] int64: number of the white-space separated word a token belongs to, counted over all segments
            of the text as given; -1 for special tokens and padding. Words that were cut have no token.
        cut: [N] bool, texts that were shortened.
    """

    ids: Tensor
    mask: Tensor
    types: Tensor
    words: Tensor
    cut: Tensor

    def __len__(self) -> int:
        return len(self.ids)

    def batch(self, rows: Tensor) -> dict[str, Tensor]:
        """The text entries of a batch [B], without the columns that are padding in all of its rows."""
        mask = self.mask[rows]
        length = int(mask.sum(dim=1).max())
        return {
            "ids": self.ids[rows, :length],
            "text_mask": mask[:, :length],
            "types": self.types[rows, :length],
        }


class WordPieceTokenizer:
    """A WordPiece vocabulary with BERT's special tokens.

    Attributes:
        backend: the tokenizer of the library.
        pad, unknown, cls, sep, mask: ids of the special tokens.
    """

    def __init__(self, tokenizer: Tokenizer) -> None:
        self.backend = tokenizer
        self._tags: dict[str, bool] = {}
        ids = {token: tokenizer.token_to_id(token) for token in SPECIALS}
        if missing := [token for token, number in ids.items() if number is None]:
            raise InputError(f"the vocabulary lacks {', '.join(missing)}", action="Use a vocabulary of BERT's kind")
        if ids[PAD] != 0:
            raise InputError("[PAD] is not the first token", action="Use a vocabulary of BERT's kind")
        self.pad, self.unknown, self.cls, self.sep, self.mask = (cast(int, ids[token]) for token in SPECIALS)

    def __len__(self) -> int:
        return self.backend.get_vocab_size()

    def pieces(self, text: str) -> list[int]:
        """Ids of one text without special tokens."""
        return self.backend.encode(text, add_special_tokens=False).ids

    def token_of(self, word: str) -> int | None:
        """Id of a word that is one token; None where it is several, or unknown."""
        pieces = self.pieces(word)
        return pieces[0] if len(pieces) == 1 and pieces[0] != self.unknown else None

    def word_id(self, word: str) -> int:
        """Id of a word's first piece: a region's tag, say.

        Raises:
            InputError: the word has no piece.
        """
        pieces = self.pieces(word)
        if not pieces:
            raise InputError(f"no token in {word!r}", action="Give a word")
        return pieces[0]

    def encode(
        self,
        texts: Sequence[Sequence[str]],
        *,
        longest: int,
        segment_types: Sequence[int],
        objects: Sequence[tuple[str, ...]] | None = None,
        record: Callable[[int], str | int] = int,
    ) -> Tokens:
        """Tokens of texts, each a list of segments.

        Args:
            texts: the texts.
            longest: most tokens of a text, special ones included.
            segment_types: token type of the first, second, ... segment; the last one holds for all further ones.
            objects: for each text the classes of the objects that its tags mean. A tag that is no token of its own is
                read as the object's name (`object_names`), whose tokens all belong to the tag.
            record: what errors call the text of a number.

        Raises:
            InputError: no token of a text's last segment fits; names the text.
        """
        # choices share their question, and questions their answers: each segment is cut into pieces once
        pieces_of = cache(self._pieces)
        rows = [
            self._encode(text, objects[number] if objects else (), number, longest, segment_types, pieces_of, record)
            for number, text in enumerate(texts)
        ]
        lengths = torch.tensor([len(row.ids) for row in rows], dtype=torch.long)
        return Tokens(
            ids=_padded([row.ids for row in rows], self.pad),
            mask=torch.arange(int(lengths.max()) if rows else 1) < lengths[:, None],
            types=_padded([row.types for row in rows], 0),
            words=_padded([row.words for row in rows], NO_WORD),
            cut=torch.tensor([row.cut for row in rows], dtype=torch.bool),
        )

    def _pieces(self, segment: str, objects: tuple[str, ...]) -> _Pieces:
        words = segment.split()
        shown = [(part, number) for number, word in enumerate(words) for part in self._shown(word, objects)]
        found = self.backend.encode([part for part, _ in shown], is_pretokenized=True, add_special_tokens=False)
        return _Pieces(found.ids, [shown[part][1] for part in cast(list[int], found.word_ids)], len(words))

    def _shown(self, word: str, objects: tuple[str, ...]) -> list[str]:
        """The words that a word is read as: itself, or the name of the object whose tag it is."""
        index = tagged_object(word)
        if index is None or index >= len(objects) or not objects[index] or self._knows_tag(word):
            return [word]
        return _names_of(objects)[index].split()

    def _knows_tag(self, tag: str) -> bool:
        if tag not in self._tags:
            self._tags[tag] = self.token_of(tag) is not None
        return self._tags[tag]

    def _encode(
        self,
        text: Sequence[str],
        objects: tuple[str, ...],
        number: int,
        longest: int,
        segment_types: Sequence[int],
        pieces_of: Callable[[str, tuple[str, ...]], _Pieces],
        record: Callable[[int], str | int],
    ) -> _Row:
        first_word, parts = 0, []
        for segment in text:
            found = pieces_of(segment, objects)
            parts.append((found.ids, [first_word + word for word in found.words]))
            first_word += found.word_count
        over = 1 + sum(len(pieces) + 1 for pieces, _ in parts) - longest
        cut = over > 0
        for at, (pieces, words_here) in enumerate(parts):
            kept = len(pieces) - min(len(pieces), max(over, 0))
            over -= len(pieces) - kept
            parts[at] = (pieces[:kept], words_here[:kept])
        if cut and not parts[-1][0]:
            raise InputError(
                f"no token of its last segment fits {longest}",
                record=record(number),
                action="Take a student that reads longer texts, or leave the record out",
            )
        ids, types, words_of = [self.cls], [segment_types[0]], [NO_WORD]
        for at, (pieces, words_here) in enumerate(parts):
            ids += [*pieces, self.sep]
            types += [segment_types[min(at, len(segment_types) - 1)]] * (len(pieces) + 1)
            words_of += [*words_here, NO_WORD]
        return _Row(ids, types, words_of, cut)

    def save(self, folder: Path) -> None:
        """Write tokenizer.json into ``folder``."""
        write_text(folder / TOKENIZER, self.backend.to_str(pretty=True) + "\n")

    @classmethod
    def load(cls, folder: Path) -> WordPieceTokenizer:
        """Read what `save` wrote.

        Raises:
            InputError: the file is missing or broken.
        """
        file = folder / TOKENIZER
        try:
            return cls(Tokenizer.from_str(file.read_text(encoding="utf-8")))
        except Exception as error:  # the library raises plain Exception
            raise InputError(f"not a tokenizer: {error}", file=file, action="Make the student again") from None


def object_tag(index: int) -> str:
    """The word that stands for object ``index`` of an image (counted from 0, as in VCR) in a text."""
    return f"[{index}]"


def tagged_object(word: str) -> int | None:
    """The object whose tag a word is; None for any other word."""
    number = word[1:-1]
    return int(number) if number.isdecimal() and word == object_tag(int(number)) else None


def object_names(objects: Sequence[str]) -> list[str]:
    """What the objects of an image are called for students whose vocabulary has no tags.

    After r2c: a person has one of 15 gender-neutral first names by its index, any other object its class. The second
    and further objects of a name also get their place among these ("dog", "dog 2"; "Casey 2" for person 15 beside
    person 0), or two that a text tells apart would be one (our choice). Names follow from the image alone and not from
    what its texts mention, so that they give no choice away.

    Args:
        objects: class of each object.
    """
    names: list[str] = []
    counts: Counter[str] = Counter()
    for index, kind in enumerate(objects):
        name = FIRST_NAMES[index % len(FIRST_NAMES)] if kind == PERSON else kind
        counts[name] += 1
        names.append(name if counts[name] == 1 else f"{name} {counts[name]}")
    return names


@lru_cache(maxsize=64)
def _names_of(objects: tuple[str, ...]) -> list[str]:
    return object_names(objects)


def wordpiece(vocabulary: Sequence[str], *, lowercase: bool, tags: Sequence[str] = ()) -> WordPieceTokenizer:
    """A tokenizer with the given tokens in the order of their ids.

    Args:
        vocabulary: the tokens.
        lowercase: whether texts are put in small letters.
        tags: tokens of the vocabulary that are looked for before a text is split at punctuation.

    Raises:
        InputError: a special token is missing, or [PAD] is not the first.
    """
    ids = {token: number for number, token in enumerate(vocabulary)}
    if missing := [token for token in SPECIALS if token not in ids]:
        raise InputError(f"the vocabulary lacks {', '.join(missing)}", action="Use a vocabulary of BERT's kind")
    tokenizer = Tokenizer(models.WordPiece(ids, unk_token=UNK, max_input_chars_per_word=100))
    tokenizer.normalizer = cast(Any, normalizers.BertNormalizer(lowercase=lowercase))
    tokenizer.pre_tokenizer = cast(Any, pre_tokenizers.BertPreTokenizer())
    tokenizer.add_special_tokens(list(SPECIALS))
    tokenizer.add_tokens(list(tags))
    return WordPieceTokenizer(tokenizer)


def learn_vocabulary(
    texts: Iterable[str], words: Iterable[str], largest: int, tags: Sequence[str] = ()
) -> WordPieceTokenizer:
    """A small vocabulary: tags, single characters, the given words, and the most frequent words of the texts.

    Other words are spelled. Merged pieces between characters and words, as BERT has them, would be of no use for a few
    hundred words, and the trainer of ``tokenizers`` numbers them differently in each process.

    Args:
        texts: what to count words in.
        words: must be tokens of their own, even where no text has them: the words of the tasks.
        largest: largest vocabulary; the special tokens, tags, characters and given words are in it in any case.
        tags: words that shall be one token each though they hold punctuation (`object_tag`).
    """
    cut = pre_tokenizers.BertPreTokenizer()
    counts = Counter(word for text in texts for word, _ in cut.pre_tokenize_str(text.lower()))
    given = sorted({piece for word in words for piece, _ in cut.pre_tokenize_str(word.lower())})
    characters = sorted({letter for word in (*counts, *given) for letter in word} | set(ASCII))
    base = list(dict.fromkeys([*SPECIALS, *tags, *characters, *(f"##{letter}" for letter in characters), *given]))
    known = set(base)
    frequent = sorted((word for word in counts if word not in known), key=lambda word: (-counts[word], word))
    return wordpiece([*base, *frequent[: max(0, largest - len(base))]], lowercase=True, tags=tags)


class _Pieces(NamedTuple):
    """Ids of a segment's pieces, the word that each is of, and how many words there are."""

    ids: list[int]
    words: list[int]
    word_count: int


class _Row(NamedTuple):
    ids: list[int]
    types: list[int]
    words: list[int]
    cut: bool


def _padded(rows: Sequence[list[int]], fill: int) -> Tensor:
    length = max(map(len, rows), default=1)
    return torch.tensor([row + [fill] * (length - len(row)) for row in rows], dtype=torch.long)
