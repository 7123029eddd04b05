"""Decoding from given encoder states, batched and cached.

Greedy decoding is written out here, because evaluation writes about ten thousand short answers a model: rows that have
ended leave the batch, and nothing but the decoder runs. Beam search is transformers' own.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from transformers import DynamicCache, EncoderDecoderCache
from transformers.modeling_outputs import BaseModelOutput


def generate_greedy(model: Any, states: Tensor, mask: Tensor, begin: Tensor, *, max_new_tokens: int) -> list[list[int]]:
    """The most probable token after token, for every row until its ``</s>``.

    Args:
        model: a transformers encoder-decoder.
        states: encoder states [B, S, D].
        mask: [B, S].
        begin: decoder input to start from [B, P], of equal length for all rows.
        max_new_tokens: upper limit.

    Returns:
        For each row the new ids, neither ``begin`` nor the final ``</s>`` among them. A ``</s>`` inside ``begin``
        (where BART starts) ends nothing.
    """
    cache = EncoderDecoderCache(DynamicCache(), DynamicCache())
    outputs: list[list[int]] = [[] for _ in range(len(states))]
    rows = torch.arange(len(states), device=states.device)
    unfinished = torch.ones(len(states), dtype=torch.bool, device=states.device)
    ends = _end_ids(model).to(states.device)
    step = begin
    for _ in range(max_new_tokens):
        chosen = (
            model(
                encoder_outputs=BaseModelOutput(last_hidden_state=states),
                attention_mask=mask,
                decoder_input_ids=step,
                past_key_values=cache,
                use_cache=True,
            )
            .logits[:, -1]
            .argmax(dim=-1)
        )
        unfinished &= ~torch.isin(chosen, ends)
        for row, token in zip(rows[unfinished].tolist(), chosen[unfinished].tolist(), strict=True):
            outputs[row].append(token)
        left = int(unfinished.sum())
        if left == 0:
            break
        # shrinking the batch copies the cache: worth it only once a good part of the rows has ended
        if left <= 0.75 * len(chosen):
            keep = unfinished.nonzero().squeeze(1)
            rows, states, mask, chosen, unfinished = (x[keep] for x in (rows, states, mask, chosen, unfinished))
            cache.batch_select_indices(keep)
        step = chosen.unsqueeze(1)
    return outputs


def generate_beams(
    model: Any, states: Tensor, mask: Tensor, begin: Tensor, *, max_new_tokens: int, num_beams: int
) -> list[list[int]]:
    """Beam search by transformers; arguments and result as in `generate_greedy`."""
    ends = set(_end_ids(model).tolist())
    found = model.generate(
        encoder_outputs=BaseModelOutput(last_hidden_state=states),
        attention_mask=mask,
        decoder_input_ids=begin,
        # of its own, since transformers sizes one by the encoder's depth, which may differ from the decoder's
        past_key_values=EncoderDecoderCache(DynamicCache(), DynamicCache()),
        num_beams=num_beams,
        max_new_tokens=max_new_tokens,
        min_length=0,
        no_repeat_ngram_size=0,
        do_sample=False,
        early_stopping=True,
        # `begin` already holds the forced first token, and cutting a text short needs no forced </s>
        forced_bos_token_id=None,
        forced_eos_token_id=None,
    )
    outputs = []
    for ids in found[:, begin.shape[1] :].tolist():
        stop = next((at for at, token in enumerate(ids) if token in ends), len(ids))
        outputs.append(ids[:stop])
    return outputs


def _end_ids(model: Any) -> Tensor:
    eos = model.config.eos_token_id
    return torch.tensor(eos if isinstance(eos, list) else [eos])
