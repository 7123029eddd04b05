"""A student's training step: the miniature's single-stream encoder against transformers' BERT of the same shape.

Both get 32 sequences of 25 positions, a third of them padding, with dropout 0.1; BERT gets states in place of regions,
which saves it their embedding. Forward and backward, without an optimiser.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import torch
from table import Race, Row
from torch import Tensor, nn
from transformers import BertConfig, BertModel

from vldistill.models.student import SingleStream, SingleStreamConfig
from vldistill.models.student.tokens import learn_vocabulary
from vldistill.training.dropout import set_dropout

STEPS, ROUNDS = 40, 5
ROWS, TOKENS, REGIONS = 32, 20, 5
WIDTH, LAYERS, HEADS, FEEDFORWARD, FEATURES = 64, 3, 2, 128, 256
RATE = 0.1


def race() -> Race:
    """The fastest of some rounds of as many steps each, rounds of all contestants in turn."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    batch = _batch()
    contestants: dict[str, Callable[[], Tensor]] = {
        "transformers BertModel": _bert(batch),
        "vldistill, dropout of attention, too": _ours(batch, attention=RATE),
        "vldistill": _ours(batch, attention=0.0),
    }
    best = dict.fromkeys(contestants, float("inf"))
    for _ in range(ROUNDS):
        for who, step in contestants.items():
            began = time.perf_counter()
            for _ in range(STEPS):
                step().sum().backward()
            best[who] = min(best[who], time.perf_counter() - began)
    rows = [Row(who, seconds, f"{1000 * seconds / STEPS:.1f} ms a step") for who, seconds in best.items()]
    return Race("Student", f"{STEPS} training steps of {ROWS} sequences on one core, the fastest of {ROUNDS}.", rows)


def _batch() -> dict[str, Tensor]:
    lengths = torch.randint(TOKENS // 3, TOKENS + 1, (ROWS, 1))
    boxes = torch.randint(2, REGIONS + 1, (ROWS, 1))
    return {
        "ids": torch.randint(4, 60, (ROWS, TOKENS)),
        "text_mask": torch.arange(TOKENS) < lengths,
        "types": torch.zeros(ROWS, TOKENS, dtype=torch.long),
        "region_features": torch.randn(ROWS, REGIONS, FEATURES),
        "region_boxes": torch.rand(ROWS, REGIONS, 7),
        "region_mask": torch.arange(REGIONS) < boxes,
    }


def _ours(batch: dict[str, Tensor], *, attention: float) -> Callable[[], Tensor]:
    tokenizer = learn_vocabulary(["a red circle"], [f"word{number}" for number in range(80)], 500)
    config = SingleStreamConfig(
        vocabulary=len(tokenizer), region_width=FEATURES, width=WIDTH, layers=LAYERS, heads=HEADS,
        feedforward=FEEDFORWARD, positions=64,
    )  # fmt: skip
    student: nn.Module = SingleStream(config, tokenizer).train()
    set_dropout(student, RATE, attention)
    return lambda: student.states_at(batch, {})["cls"]


def _bert(batch: dict[str, Tensor]) -> Callable[[], Tensor]:
    config = BertConfig(
        vocab_size=100, hidden_size=WIDTH, num_hidden_layers=LAYERS, num_attention_heads=HEADS,
        intermediate_size=FEEDFORWARD, max_position_embeddings=64, hidden_dropout_prob=RATE,
        attention_probs_dropout_prob=RATE,
    )  # fmt: skip
    model = BertModel(config, add_pooling_layer=False).train()
    mask = torch.cat([batch["text_mask"], batch["region_mask"]], dim=1).long()
    states = torch.randn(ROWS, TOKENS + REGIONS, WIDTH)
    return lambda: model(inputs_embeds=states, attention_mask=mask).last_hidden_state[:, 0]
