"""Generation: batched, cached greedy decoding with rows leaving as they end, against transformers' `generate`.

The model is a stand-in of the default size with random weights, tilted so that texts end after a few tokens, as
answers do. All contestants must write the same texts.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import torch
from table import Race, Row
from torch import Tensor
from transformers.modeling_outputs import BaseModelOutput

from vldistill.models.language_model import LanguageModel
from vldistill.params.pretrain import LanguageModelShape
from vldistill.pretrain.language_model import build
from vldistill.pretrain.tokenizers import train_tokenizer

TEXTS = 512
TOKENS = 12
BATCH = 128


def race() -> Race:
    """The same 512 prompts, written by everybody."""
    torch.set_num_threads(1)
    model = _model()
    prompts = [f"word{row % 331} word{row % 97} {model.mask_token}" for row in range(TEXTS)]
    ids, mask = model.tokenize(prompts)
    with torch.inference_mode():
        states = model.encode(ids, mask)
    contestants: dict[str, Callable[[], list[str]]] = {
        "transformers generate, one by one": lambda: _stock(model, states, mask, 1, cached=True),
        f"transformers generate, batches of {BATCH}, no cache": lambda: _stock(
            model, states, mask, BATCH, cached=False
        ),
        f"transformers generate, batches of {BATCH}": lambda: _stock(model, states, mask, BATCH, cached=True),
        f"vldistill, batches of {BATCH}": lambda: _ours(model, states, mask),
    }
    rows, written = [], []
    for who, run in contestants.items():
        began = time.monotonic()
        written.append(run())
        rows.append(Row(who, time.monotonic() - began))
    agree = [sum(a == b for a, b in zip(written[0], texts, strict=True)) for texts in written]
    rows = [Row(row.who, row.seconds, f"{same} of {TEXTS} texts equal") for row, same in zip(rows, agree, strict=True)]
    return Race("Generation", f"{TEXTS} answers of at most {TOKENS} tokens from given encoder states, greedy.", rows)


def _model() -> LanguageModel:
    torch.manual_seed(0)
    shape = LanguageModelShape.model_validate({"init_std": 0.3})
    words = " ".join(f"word{number}" for number in range(400))
    model = build(shape, train_tokenizer([words], 1500, shape.positions)).eval()
    # random weights seldom choose </s>: without a push every text would run to the limit, as answers do not
    model.model.final_logits_bias[0, model.tokenizer.eos_token_id] = 14.0
    return model


def _stock(model: LanguageModel, states: Tensor, mask: Tensor, batch: int, *, cached: bool) -> list[str]:
    texts: list[str] = []
    with torch.inference_mode():
        for at in range(0, len(states), batch):
            part = states[at : at + batch]
            begin = torch.tensor([model.decoder_start] * len(part))
            found = model.model.generate(
                encoder_outputs=BaseModelOutput(last_hidden_state=part),
                attention_mask=mask[at : at + batch],
                decoder_input_ids=begin,
                do_sample=False,
                num_beams=1,
                max_new_tokens=TOKENS,
                use_cache=cached,
                forced_bos_token_id=None,
                forced_eos_token_id=None,
            )
            texts += model.tokenizer.batch_decode(found, skip_special_tokens=True)
    return [text.strip() for text in texts]


def _ours(model: LanguageModel, states: Tensor, mask: Tensor) -> list[str]:
    texts: list[str] = []
    for at in range(0, len(states), BATCH):
        texts += model.generate(states[at : at + BATCH], mask[at : at + BATCH], max_new_tokens=TOKENS)
    return texts
