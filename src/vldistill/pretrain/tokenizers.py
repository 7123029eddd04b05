"""Small tokenizers of the project's own: byte-level BPE as BART's, trained on the texts at hand."""

from __future__ import annotations

from collections.abc import Iterable

from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast

# BART's order: its configuration's ids for <s>, <pad> and </s> are 0, 1, 2
SPECIALS = ("<s>", "<pad>", "</s>", "<unk>", "<mask>")


def train_tokenizer(texts: Iterable[str], vocabulary: int, length: int) -> PreTrainedTokenizerFast:
    """Train a tokenizer that writes ``<s> text </s>`` and can spell any text.

    All 256 bytes are in the vocabulary, so a user's own words become pieces instead of ``<unk>``; frequent words become
    one token each.

    Args:
        texts: what to learn merges from.
        vocabulary: largest vocabulary.
        length: longest text in tokens, for truncation.
    """
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    tokenizer.decoder = decoders.ByteLevel()
    # `<mask>` swallows the space before it, as BART's does: else the space would be a token of its own
    special = [*SPECIALS[:-1], AddedToken(SPECIALS[-1], lstrip=True, special=True)]
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=special,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", special_tokens=[(token, tokenizer.token_to_id(token)) for token in ("<s>", "</s>")]
    )
    start, pad, end, unknown, mask = SPECIALS
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        model_max_length=length,
        bos_token=start,
        pad_token=pad,
        eos_token=end,
        unk_token=unknown,
        mask_token=AddedToken(mask, lstrip=True, special=True),
        clean_up_tokenization_spaces=False,
    )
