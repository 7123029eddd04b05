"""Small models with random weights, in the formats that published ones come in."""

from __future__ import annotations

import pytest
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import (
    BartConfig,
    BartForConditionalGeneration,
    PreTrainedTokenizerFast,
    T5Config,
    T5ForConditionalGeneration,
)

from vldistill.models.language_model import T5, Bart

TEXTS = [
    "two red circles on the left",
    "a blue square",
    "question: what does it taste like? answer: sweet",
    "the large green star stands before a striped wall",
    "three small triangles",
]


@pytest.fixture(scope="session")
def texts() -> list[str]:
    return TEXTS


def _bpe(specials: list[str], start: str | None) -> Tokenizer:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=600, special_tokens=specials, initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator(TEXTS, trainer)
    ids = [(token, tokenizer.token_to_id(token)) for token in (start, "</s>") if token]
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{start} $A </s>" if start else "$A </s>", special_tokens=ids
    )
    return tokenizer


@pytest.fixture(scope="session")
def bart() -> Bart:
    """A BART whose random weights prefer varied tokens, so that decoding is worth comparing."""
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=_bpe(["<s>", "<pad>", "</s>", "<unk>", "<mask>"], "<s>"),
        bos_token="<s>", eos_token="</s>", pad_token="<pad>", unk_token="<unk>", mask_token="<mask>",
    )  # fmt: skip
    torch.manual_seed(0)
    config = BartConfig(
        vocab_size=len(tokenizer), d_model=32, encoder_layers=1, decoder_layers=2, encoder_ffn_dim=64,
        decoder_ffn_dim=64, encoder_attention_heads=2, decoder_attention_heads=2, max_position_embeddings=64,
        forced_bos_token_id=0, init_std=0.3,
    )  # fmt: skip
    return Bart(BartForConditionalGeneration(config), tokenizer).eval()


@pytest.fixture(scope="session")
def t5() -> T5:
    """A T5 with four sentinels."""
    sentinels = [f"<extra_id_{number}>" for number in range(4)]
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=_bpe(["<pad>", "</s>", "<unk>", *sentinels], None),
        eos_token="</s>", pad_token="<pad>", unk_token="<unk>", additional_special_tokens=sentinels,
    )  # fmt: skip
    torch.manual_seed(0)
    config = T5Config(
        vocab_size=len(tokenizer), d_model=32, d_kv=16, d_ff=64, num_layers=2, num_decoder_layers=2, num_heads=2,
        pad_token_id=0, eos_token_id=1, decoder_start_token_id=0, initializer_factor=5.0,
        feed_forward_proj="gated-gelu",
    )  # fmt: skip
    return T5(T5ForConditionalGeneration(config), tokenizer).eval()
