"""Tokens: segments, cutting, words, vocabularies that two processes make alike."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from vldistill.errors import InputError
from vldistill.models.student.tokens import (
    SPECIALS,
    WordPieceTokenizer,
    learn_vocabulary,
    object_names,
    object_tag,
    tagged_object,
    wordpiece,
)


def encode(tokenizer: WordPieceTokenizer, *texts, longest: int = 20):
    return tokenizer.encode(list(texts), longest=longest, segment_types=(0, 2, 3))


def test_segments_types_and_words(tokenizer: WordPieceTokenizer) -> None:
    tokens = encode(tokenizer, ["is the circle red?", "yes", "the circle"], ["a square"])
    assert tokens.ids[0, 0] == tokenizer.cls and (tokens.ids[0] == tokenizer.sep).sum() == 3
    assert tokens.types[0].tolist() == [0] * 7 + [2] * 2 + [3] * 3
    assert tokens.words[0].tolist() == [-1, 0, 1, 2, 3, 3, -1, 4, -1, 5, 6, -1], "red? is one word in two pieces"
    assert tokens.mask.sum(dim=1).tolist() == [12, 4] and (tokens.ids[1, 4:] == 0).all()
    assert not tokens.cut.any()


def test_segments_are_cut_in_their_order_and_the_answer_last(tokenizer: WordPieceTokenizer) -> None:
    tokens = encode(tokenizer, ["is the circle red", "the blue square"], ["a", "yes"], longest=8)
    assert tokens.cut.tolist() == [True, False]
    assert tokens.words[0].tolist() == [-1, 0, 1, -1, 4, 5, 6, -1], "words keep their numbers when others are cut"
    tokens = encode(tokenizer, ["is the", "a circle red", "the blue square"], ["a", "yes"], longest=7)
    assert tokens.words[0].tolist() == [-1, -1, -1, 5, 6, 7, -1], "the last segment is cut when no other is left"
    assert encode(tokenizer, ["is", "the blue square"], longest=5).words[0].tolist() == [-1, -1, 1, 2, -1]
    with pytest.raises(InputError, match=r"record 0: no token of its last segment fits 3"):
        encode(tokenizer, ["is", "the blue square"], longest=3)
    with pytest.raises(InputError, match=r"record train-7: no token"):
        tokenizer.encode([["is", "the"]], longest=3, segment_types=(0,), record=lambda row: f"train-{row + 7}")


def test_batches_lose_columns_that_are_all_padding(tokenizer: WordPieceTokenizer) -> None:
    tokens = encode(tokenizer, ["is the circle red"], ["a"], ["a"])
    batch = tokens.batch(torch.tensor([1, 2]))
    assert batch["ids"].shape == (2, 3) and batch["text_mask"].all()
    assert tokens.batch(torch.tensor([0, 1]))["ids"].shape == (2, 6)


def test_given_words_are_tokens_and_unknown_ones_are_spelled(tokenizer: WordPieceTokenizer) -> None:
    assert len(tokenizer.pieces("crimson")) == 1 and tokenizer.word_id("Crimson") == tokenizer.pieces("crimson")[0]
    assert len(tokenizer.pieces("zebra")) == 5 and tokenizer.unknown not in tokenizer.pieces("zebra")
    with pytest.raises(InputError, match="no token in ''"):
        tokenizer.word_id("")


def test_tags_are_one_token_each(tmp_path: Path) -> None:
    tags = [object_tag(number) for number in range(12)]
    tokenizer = learn_vocabulary(["[0] is [11]"], [], 500, tags)
    tokenizer.save(tmp_path)
    for known in (tokenizer, WordPieceTokenizer.load(tmp_path)):
        tokens = encode(known, ["is [0] above [11] ?"])
        assert tokens.words[0].tolist() == [-1, 0, 1, 2, 2, 2, 2, 2, 3, 4, -1]
        assert known.word_id("[11]") in tokens.ids[0].tolist() and len(known.pieces("[11]")) == 1
    assert len({tokenizer.word_id(tag) for tag in tags}) == 12


def test_objects_are_called_by_first_names_and_classes_and_told_apart() -> None:
    assert object_names(["person", "dog", "person"]) == ["Casey", "dog", "Jessie"]
    assert object_names(["dog", "wine glass", "dog", "dog"]) == ["dog", "wine glass", "dog 2", "dog 3"]
    persons = object_names(["person"] * 32)
    assert persons[1] == "Riley" and persons[15] == "Casey 2" and persons[30] == "Casey 3"
    assert len(set(persons)) == 32, "one name stands twice in r2c's list"
    assert [tagged_object(word) for word in ("[12]", "[²]", "[01]", "12", "[a]")] == [12, None, None, None, None]


def test_a_vocabulary_without_tags_reads_names_in_their_places() -> None:
    words = ["is", "above", "wine", "glass", "the", "[", "]", "0", "1", "2", "3", "casey", "jessie", "dog"]
    plain = wordpiece([*SPECIALS, *words], lowercase=True)
    objects = ("person", "wine glass", "person", "")

    def read(text: str, of: tuple[str, ...] = objects) -> tuple[list[str], list[int]]:
        tokens = plain.encode([[text]], longest=20, segment_types=(0,), objects=[of])
        shown = [plain.backend.id_to_token(int(token)) for token in tokens.ids[0, 1:-1]]
        return shown, tokens.words[0, 1:-1].tolist()

    assert read("[2] is above [1] the") == (["jessie", "is", "above", "wine", "glass", "the"], [0, 1, 2, 3, 3, 4])
    assert read("[0] is [1]", ("dog", "dog")) == (["dog", "is", "dog", "2"], [0, 1, 2, 2])
    # an object without a name, and one that is not there
    assert read("[3] [2]", objects[:2])[0] == ["[", "3", "]", "[", "2", "]"] == read("[3] [2]", ("", "", "", ""))[0]
    # in one call, a segment that two images share is read by each one's objects
    both = plain.encode([["[0]"], ["[0]"]], longest=9, segment_types=(0,), objects=[("dog",), ("person",)])
    assert both.ids[:, 1].tolist() == [plain.word_id("dog"), plain.word_id("casey")]
    known = wordpiece([*SPECIALS, *words, "[0]"], lowercase=True, tags=["[0]"])
    assert known.encode([["[0]"]], longest=9, segment_types=(0,), objects=[("dog",)]).ids[0, 1] == known.word_id("[0]")


def test_the_limit_drops_rare_words_only() -> None:
    small = learn_vocabulary(["rare", "often often"], ["given"], 0)
    exact = learn_vocabulary(["rare", "often often"], ["given"], len(small) + 1)
    assert len(small.pieces("given")) == 1 and len(small.pieces("often")) == 5
    assert len(exact.pieces("often")) == 1 and len(exact.pieces("rare")) == 4


def test_saved_and_loaded_alike(tokenizer: WordPieceTokenizer, tmp_path: Path) -> None:
    tokenizer.save(tmp_path)
    again = WordPieceTokenizer.load(tmp_path)
    assert again.pieces("two crimson zebras?") == tokenizer.pieces("two crimson zebras?")
    (tmp_path / "tokenizer.json").write_text("{", encoding="utf-8")
    with pytest.raises(InputError, match=r"tokenizer\.json: not a tokenizer"):
        WordPieceTokenizer.load(tmp_path)


def test_vocabularies_without_special_tokens_are_refused() -> None:
    with pytest.raises(InputError, match=r"lacks \[MASK\]"):
        wordpiece(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "a"], lowercase=True)
    with pytest.raises(InputError, match=r"\[PAD\] is not the first"):
        wordpiece(["a", *SPECIALS], lowercase=True)
