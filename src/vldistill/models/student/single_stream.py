"""The single-stream encoder in the shape of UNITER (Chen et al., ECCV 2020, arXiv 1909.11740), at any size.

Text embedding LN(word + position + type) and region embedding LN(LN(W f) + LN(W_p box) + type) go through one
transformer encoder of BERT's shape; post-norm as BERT, or pre-norm (our choice, for small models). At the shape of
BERT-base it is the student `uniter` and holds published weights (`vldistill.models.student.published`); small it is
`mini`. Modules are named as UNITER's, but query, key and value are one matrix, which is faster.

Our choice: a region may carry the token that names it in the text (VCR's object tags); that token's word embedding,
normalised to the scale of the other parts, is added to the region's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self

import torch
from torch import Tensor, nn
from torch.nn import functional

from vldistill.models.student.dropout import dropout
from vldistill.models.student.interface import Batch, Student, StudentStates
from vldistill.models.student.tokens import WordPieceTokenizer

EPSILON = 1e-12
BOX_VALUES = 7
REGION_TYPE = 1


@dataclass(frozen=True)
class SingleStreamConfig:
    """The shape; the defaults are UNITER-base's.

    Attributes:
        vocabulary: number of tokens.
        region_width: width F of region features.
        width: width D of all states.
        layers: encoder layers.
        heads: attention heads.
        feedforward: width of the feed-forward layers.
        positions: longest text in tokens.
        types: token types: text 0, region 1 and, if there are four, VCR's answer 2 and rationale 3.
        dropout: of embeddings, attention and layers, in training.
        pre_norm: normalise before attention and feed-forward, and after the last layer.
        init_std: standard deviation of fresh weights.
    """

    vocabulary: int = 28996
    region_width: int = 2048
    width: int = 768
    layers: int = 12
    heads: int = 12
    feedforward: int = 3072
    positions: int = 512
    types: int = 2
    dropout: float = 0.1
    pre_norm: bool = False
    init_std: float = 0.02

    def __post_init__(self) -> None:
        if self.width % self.heads:
            raise ValueError(f"heads ({self.heads}) must divide width ({self.width})")


class SingleStream(Student):
    """Text tokens and image regions in one encoder."""

    kind = "single_stream"
    visual = "regions"

    def __init__(
        self, config: SingleStreamConfig, tokenizer: WordPieceTokenizer, facts: Mapping[str, Any] | None = None
    ) -> None:
        super().__init__(tokenizer, facts)
        self.config = config
        self.embeddings = _TextEmbeddings(config)
        self.img_embeddings = _RegionEmbeddings(config)
        self.encoder = _Encoder(config)
        self.pooler = nn.ModuleDict({"dense": nn.Linear(config.width, config.width)})
        self.apply(self._initialise)

    @property
    def width(self) -> int:
        """Width D of the states."""
        return self.config.width

    @property
    def positions(self) -> int:
        """Longest text in tokens."""
        return self.config.positions

    @property
    def word_embeddings(self) -> Tensor:
        """The embeddings [V, D] of its tokens."""
        return self.embeddings.word_embeddings.weight

    @property
    def segment_types(self) -> tuple[int, ...]:
        """Question, answer and rationale as UNITER marks them for VCR, where there are types for them."""
        return (0, 2, 3) if self.config.types >= 4 else (0,)

    def config_values(self) -> dict[str, Any]:
        """The fields of `SingleStreamConfig`."""
        return asdict(self.config)

    @classmethod
    def from_config(cls, values: dict[str, Any], tokenizer: WordPieceTokenizer, facts: Mapping[str, Any]) -> Self:
        """A student with fresh weights; raises TypeError or ValueError for values that are no `SingleStreamConfig`."""
        return cls(SingleStreamConfig(**values), tokenizer, facts)

    def forward(self, batch: Batch) -> StudentStates:
        """States of a batch; padding takes part in nothing."""
        text_mask, region_mask = batch["text_mask"], batch["region_mask"]
        states = self._encoded(batch)
        length = text_mask.shape[1]
        return StudentStates(states[:, 0], states[:, 1:length], text_mask[:, 1:], states[:, length:], region_mask)

    def states_at(self, batch: Batch, picks: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """As `Student.states_at`; the last layer is computed at these places alone, where none is a mean of states."""
        if any(each.is_floating_point() for each in picks.values()):
            return super().states_at(batch, picks)
        rows, length = batch["ids"].shape
        first = {"token": 1, "region": length}
        at = {"cls": batch["ids"].new_zeros(rows), **{place: first[place] + picks[place] for place in picks}}
        flat = [places.view(rows, -1) for places in at.values()]
        parts = self._encoded(batch, torch.cat(flat, dim=1)).split([places.shape[1] for places in flat], dim=1)
        return {place: part.reshape(*at[place].shape, -1) for place, part in zip(at, parts, strict=True)}

    def pooled(self, cls: Tensor) -> Tensor:
        """BERT's pooler: tanh(W h_0 + b)."""
        return torch.tanh(self.pooler["dense"](cls))

    def _encoded(self, batch: Batch, at: Tensor | None = None) -> Tensor:
        """Last-layer states [B, L + 1 + K + 1, D] of text and regions, or [B, P, D] at the places ``at`` [B, P]."""
        types = self.embeddings.token_type_embeddings.weight
        text = self.embeddings(batch["ids"], batch["types"])
        regions = self.img_embeddings(batch, types[REGION_TYPE], self.embeddings.word_embeddings)
        mask = torch.cat([batch["text_mask"], batch["region_mask"]], dim=1)
        states: Tensor = self.encoder(torch.cat([text, regions], dim=1), mask, at)
        return states

    def _initialise(self, module: nn.Module) -> None:
        if isinstance(module, (nn.Linear, nn.Embedding)):
            nn.init.normal_(module.weight, std=self.config.init_std)
        if isinstance(module, nn.Linear):
            nn.init.zeros_(module.bias)


class _TextEmbeddings(nn.Module):
    def __init__(self, config: SingleStreamConfig) -> None:
        super().__init__()
        self.word_embeddings = nn.Embedding(config.vocabulary, config.width)
        self.position_embeddings = nn.Embedding(config.positions, config.width)
        self.token_type_embeddings = nn.Embedding(config.types, config.width)
        self.LayerNorm = nn.LayerNorm(config.width, eps=EPSILON)
        self.dropout = config.dropout

    def forward(self, ids: Tensor, types: Tensor) -> Tensor:
        states = self.word_embeddings(ids) + self.token_type_embeddings(types)
        states = self.LayerNorm(states + self.position_embeddings.weight[: ids.shape[1]])
        return dropout(states, self.dropout) if self.dropout and self.training else states


class _RegionEmbeddings(nn.Module):
    def __init__(self, config: SingleStreamConfig) -> None:
        super().__init__()
        self.img_linear = nn.Linear(config.region_width, config.width)
        self.img_layer_norm = nn.LayerNorm(config.width, eps=EPSILON)
        self.pos_linear = nn.Linear(BOX_VALUES, config.width)
        self.pos_layer_norm = nn.LayerNorm(config.width, eps=EPSILON)
        # stands for masked regions in UNITER's pre-training, which is not done here; its published weights hold it
        self.mask_embedding = nn.Embedding(2, config.region_width)
        self.LayerNorm = nn.LayerNorm(config.width, eps=EPSILON)
        self.dropout = config.dropout

    def forward(self, batch: Batch, region_type: Tensor, words: nn.Embedding) -> Tensor:
        states = self.img_layer_norm(self.img_linear(batch["region_features"])) + region_type
        states = states + self.pos_layer_norm(self.pos_linear(batch["region_boxes"]))
        if "region_tags" in batch:
            tags = batch["region_tags"]
            named = functional.layer_norm(words(tags), (states.shape[-1],))
            states = states + named * (tags > 0).unsqueeze(-1)
        states = self.LayerNorm(states)
        return dropout(states, self.dropout) if self.dropout and self.training else states


class _Encoder(nn.Module):
    def __init__(self, config: SingleStreamConfig) -> None:
        super().__init__()
        self.layer = nn.ModuleList(_Layer(config) for _ in range(config.layers))
        if config.pre_norm:
            self.LayerNorm = nn.LayerNorm(config.width, eps=EPSILON)
        self.pre_norm = config.pre_norm

    def forward(self, states: Tensor, mask: Tensor, at: Tensor | None) -> Tensor:
        # an additive mask is what the fused kernel of a CPU takes without making one in every layer
        bias = torch.zeros(mask.shape, dtype=states.dtype, device=states.device).masked_fill_(~mask, float("-inf"))
        bias = bias[:, None, None, :]
        for layer in self.layer[:-1]:
            states = layer(states, bias, None)
        states = self.layer[-1](states, bias, at)
        return self.LayerNorm(states) if self.pre_norm else states


class _Layer(nn.Module):
    def __init__(self, config: SingleStreamConfig) -> None:
        super().__init__()
        self.attention = _Attention(config)
        self.intermediate = nn.ModuleDict({"dense": nn.Linear(config.width, config.feedforward)})
        self.output = _Output(config.feedforward, config.width)
        self.dropout, self.pre_norm = config.dropout, config.pre_norm

    def forward(self, states: Tensor, bias: Tensor, at: Tensor | None) -> Tensor:
        attention, output = self.attention, self.output
        asked = states if at is None else _taken(states, at)
        if self.pre_norm:
            mixed = attention(attention.output.LayerNorm(states), bias, at)
            asked = asked + self._drop(attention.output.dense(mixed))
            return asked + self._drop(output.dense(self._hidden(output.LayerNorm(asked))))
        asked = attention.output.LayerNorm(asked + self._drop(attention.output.dense(attention(states, bias, at))))
        return output.LayerNorm(asked + self._drop(output.dense(self._hidden(asked))))

    def _hidden(self, states: Tensor) -> Tensor:
        return functional.gelu(self.intermediate["dense"](states))

    def _drop(self, states: Tensor) -> Tensor:
        return dropout(states, self.dropout) if self.dropout and self.training else states


class _Attention(nn.Module):
    def __init__(self, config: SingleStreamConfig) -> None:
        super().__init__()
        self.add_module("self", nn.ModuleDict({"qkv": nn.Linear(config.width, 3 * config.width)}))
        self.output = _Output(config.width, config.width)
        self.heads, self.dropout = config.heads, config.dropout

    def forward(self, states: Tensor, bias: Tensor, at: Tensor | None) -> Tensor:
        """What each state attends to, [B, L, D]; with ``at`` [B, P] what those do that ask, [B, P, D]."""
        qkv: nn.Linear = self._modules["self"]["qkv"]  # type: ignore[index, assignment]
        width = states.shape[-1]
        if at is None:
            query, key, value = self._by_head(qkv(states), 3)
        else:
            (query,) = self._by_head(functional.linear(_taken(states, at), qkv.weight[:width], qkv.bias[:width]), 1)
            key, value = self._by_head(functional.linear(states, qkv.weight[width:], qkv.bias[width:]), 2)
        mixed = functional.scaled_dot_product_attention(
            query, key, value, attn_mask=bias, dropout_p=self.dropout if self.training else 0.0
        )
        return mixed.transpose(1, 2).flatten(2)

    def _by_head(self, projected: Tensor, parts: int) -> tuple[Tensor, ...]:
        """``parts`` tensors [B, heads, L, D / heads] of one [B, L, parts D]."""
        rows, length, width = projected.shape
        return projected.view(rows, length, parts, self.heads, width // parts // self.heads).transpose(1, 3).unbind(2)


class _Output(nn.Module):
    def __init__(self, inputs: int, width: int) -> None:
        super().__init__()
        self.dense = nn.Linear(inputs, width)
        self.LayerNorm = nn.LayerNorm(width, eps=EPSILON)


def _taken(states: Tensor, at: Tensor) -> Tensor:
    """States [B, P, D] of the places ``at`` [B, P] among [B, L, D]."""
    return states.gather(1, at[:, :, None].expand(-1, -1, states.shape[-1]))
