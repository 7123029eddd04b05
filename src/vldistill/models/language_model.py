"""Encoder-decoder language models behind one adapter: BART and T5 (Flan-T5), published or made here.

What differs between the two, and is settled here once: how a text is corrupted and what the target of infilling is
(`infilling`), which tokens a decoder starts with, where an answer ends, which states may serve as a sentence vector,
and how encoder states are normalised. ``attention_mask`` given together with ``encoder_outputs`` covers the
cross-attention only, so it has one column for every state, image states included.
"""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import AutoConfig, AutoModelForSeq2SeqLM, AutoTokenizer, PreTrainedTokenizerBase
from transformers.modeling_outputs import BaseModelOutput

from vldistill.errors import InputError
from vldistill.files import read_json
from vldistill.models.generation import generate_beams, generate_greedy
from vldistill.models.infilling import Corruption, bart_source, t5_pair, text_spans
from vldistill.models.length_groups import chosen, in_order, length_groups
from vldistill.models.tokenizer_files import save_tokenizer

IGNORED = -100
HELD_OUT = "held_out.json"
"""Beside a model that was trained here: the ids of the documents of its corpus that it has not read."""


@dataclass(frozen=True)
class Corrupted:
    """One batch of text infilling: what the encoder reads and what the decoder shall write.

    Attributes:
        ids: corrupted texts [B, L].
        mask: 1 where ``ids`` is no padding [B, L].
        labels: target ids [B, T], -100 where there is none.
    """

    ids: Tensor
    mask: Tensor
    labels: Tensor


class LanguageModel(nn.Module, ABC):
    """A trainable encoder-decoder with its tokenizer.

    Attributes:
        model: transformers' conditional-generation model.
        tokenizer: its tokenizer.
        width: width D of encoder states.
        pools: the ways to pool that this model has.
    """

    pools: ClassVar[tuple[str, ...]]

    def __init__(self, model: Any, tokenizer: PreTrainedTokenizerBase) -> None:
        super().__init__()
        self.model = model
        self.tokenizer = tokenizer
        self.width = int(model.config.d_model)
        limit = getattr(model.config, "max_position_embeddings", None)
        self.max_length = int(limit) if limit else None

    @property
    def device(self) -> torch.device:
        """The device of the weights."""
        return next(self.model.parameters()).device

    @property
    @abstractmethod
    def mask_token(self) -> str:
        """What stands for a missing span in a prompt."""

    @property
    @abstractmethod
    def decoder_start(self) -> list[int]:
        """Ids every decoder input begins with, forced ones included."""

    @abstractmethod
    def state_norm(self) -> nn.Module:
        """A fresh norm that gives foreign states (such as projected image tokens) the scale of this encoder's."""

    @abstractmethod
    def corrupt_ids(self, ids: Sequence[Sequence[int]], rng: np.random.Generator, **how: float) -> Corrupted:
        """As `corrupt`, for texts that are already ids without special tokens (see `ids`)."""

    @abstractmethod
    def read_output(self, ids: Sequence[int]) -> str:
        """The text that generated ids (without the decoder's start) stand for."""

    def ids(self, texts: Sequence[str]) -> list[list[int]]:
        """Token ids without special tokens, each cut so that the special ones still fit."""
        room = {"truncation": True, "max_length": self.max_length - 2} if self.max_length else {}
        return self.tokenizer(list(texts), add_special_tokens=False, **room)["input_ids"]  # type: ignore[return-value]

    def tokenize(self, texts: Sequence[str]) -> tuple[Tensor, Tensor]:
        """Ids and mask, both [B, L], with special tokens, padded on the right."""
        return self.pad([self.with_specials(row) for row in self.ids(texts)])

    def pad(self, rows: Sequence[Sequence[int]]) -> tuple[Tensor, Tensor]:
        """Ids and mask [B, L] of rows of unequal length, padded on the right, on the model's device."""
        ids = _padded(rows, int(self.tokenizer.pad_token_id))  # type: ignore[arg-type]
        mask = _padded([[1] * len(row) for row in rows], 0)
        return ids.to(self.device), mask.to(self.device)

    @abstractmethod
    def with_specials(self, ids: Sequence[int]) -> list[int]:
        """``ids`` as the encoder expects them, with the special tokens around."""

    def labels(self, texts: Sequence[str]) -> Tensor:
        """Decoder targets [B, T] that spell the texts in full, -100 where padded."""
        return _padded([self.with_specials(row) for row in self.ids(texts)], IGNORED).to(self.device)

    def encode(self, ids: Tensor, mask: Tensor) -> Tensor:
        """Encoder states [B, L, D] of ids [B, L]; what they are under padding is of no use."""
        encoder, found = self.model.get_encoder(), []
        groups = length_groups(mask.sum(dim=1).tolist())
        for rows, longest in groups:
            own, own_mask = (chosen(table[:, :longest], rows) for table in (ids, mask))
            states = encoder(input_ids=own, attention_mask=own_mask).last_hidden_state
            found.append(functional.pad(states, (0, 0, 0, ids.shape[1] - longest)))
        return in_order(found, groups)

    def decode_loss(self, states: Tensor, states_mask: Tensor, labels: Tensor, *, per_token: bool = False) -> Tensor:
        """Cross-entropy of ``labels`` [B, T] given encoder states [B, S, D] and their mask [B, S].

        Returns:
            The mean over all target tokens of the batch, or with ``per_token`` a tensor [B, T], 0 where ignored.
        """
        targets, found = labels != IGNORED, []
        groups = length_groups(targets.sum(dim=1).tolist())
        for rows, longest in groups:
            own, own_mask = chosen(labels[:, :longest], rows), chosen(states_mask, rows)
            last = int(own_mask.any(dim=0).nonzero().max()) + 1
            logits = self.model(
                encoder_outputs=BaseModelOutput(last_hidden_state=chosen(states[:, :last], rows)),
                attention_mask=own_mask[:, :last],
                decoder_input_ids=self.model.prepare_decoder_input_ids_from_labels(own),
                use_cache=False,
            ).logits
            losses = functional.cross_entropy(
                logits.float().flatten(0, 1), own.flatten(), ignore_index=IGNORED, reduction="none"
            )
            found.append(functional.pad(losses.view(own.shape), (0, labels.shape[1] - longest)))
        loss = in_order(found, groups)
        return loss if per_token else loss.sum() / targets.sum()

    def corrupt(self, texts: Sequence[str], rng: np.random.Generator, **how: float) -> Corrupted:
        """Corrupt texts by infilling in this model's own scheme.

        Args:
            texts: B texts.
            rng: the only source of chance.
            how: fields of `vldistill.models.infilling.Corruption`.
        """
        return self.corrupt_ids(self.ids(texts), rng, **how)

    @torch.inference_mode()
    def generate(
        self,
        states: Tensor,
        mask: Tensor,
        *,
        prefix: Sequence[str] | None = None,
        num_beams: int = 1,
        max_new_tokens: int = 32,
    ) -> list[str]:
        """Write a text for each row of encoder states.

        Args:
            states: [B, S, D], image states included.
            mask: [B, S], one column for every state.
            prefix: a text for each row that its output is forced to begin with; it is not part of what is returned.
            num_beams: 1 decodes greedily.
            max_new_tokens: upper limit of tokens after the prefix.
        """
        starts = self._starts(len(states), prefix)
        texts = [""] * len(states)
        # a padded prefix would shift positions and be attended to: rows of equal prefix length go together
        for length in sorted({len(start) for start in starts}):
            rows = [row for row, start in enumerate(starts) if len(start) == length]
            begin = torch.tensor([starts[row] for row in rows], device=states.device)
            run = generate_greedy if num_beams == 1 else generate_beams
            extra = {} if num_beams == 1 else {"num_beams": num_beams}
            outputs = run(self.model, states[rows], mask[rows], begin, max_new_tokens=max_new_tokens, **extra)
            for row, ids in zip(rows, outputs, strict=True):
                texts[row] = self.read_output(ids)
        return texts

    def _starts(self, count: int, prefix: Sequence[str] | None) -> list[list[int]]:
        if prefix is None:
            return [self.decoder_start] * count
        if len(prefix) != count:
            raise ValueError(f"{len(prefix)} prefixes for {count} rows")
        return [self.decoder_start + ids for ids in self.ids(prefix)]

    def pool(self, states: Tensor, mask: Tensor, how: str) -> Tensor:
        """One vector [B, D] for each text: its ``<s>`` state, its ``</s>`` state, or the ``mean`` of its states.

        Raises:
            InputError: this model has no such state.
        """
        if how not in self.pools:
            raise InputError(
                f"a {self.model.config.model_type} model cannot pool by {how!r}",
                field="pool",
                action=f"Use one of {', '.join(self.pools)}",
            )
        if how == "<s>":
            return states[:, 0]
        if how == "</s>":
            return states[torch.arange(len(states), device=states.device), mask.sum(dim=1) - 1]
        weights = mask.unsqueeze(-1).to(states.dtype)
        return (states * weights).sum(dim=1) / weights.sum(dim=1)

    def save(self, folder: str | Path) -> None:
        """Write model and tokenizer as ``from_pretrained`` reads them."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        self.model.save_pretrained(folder)
        save_tokenizer(self.tokenizer, folder)


class Bart(LanguageModel):
    """BART: ``<s> text </s>``, one ``<mask>`` a span, the target is the whole text."""

    pools = ("<s>", "</s>", "mean")

    @property
    def mask_token(self) -> str:
        return str(self.tokenizer.mask_token)

    @property
    def decoder_start(self) -> list[int]:
        # BART starts with </s> and then <s>: published configurations leave the second to forced_bos_token_id
        return [int(self.model.config.decoder_start_token_id), int(self.tokenizer.bos_token_id)]  # type: ignore[arg-type]

    def state_norm(self) -> nn.Module:
        return nn.LayerNorm(self.width)

    def with_specials(self, ids: Sequence[int]) -> list[int]:
        return [int(self.tokenizer.bos_token_id), *ids, int(self.tokenizer.eos_token_id)]  # type: ignore[arg-type]

    def corrupt_ids(self, ids: Sequence[Sequence[int]], rng: np.random.Generator, **how: float) -> Corrupted:
        mask_id, corruption = int(self.tokenizer.mask_token_id), Corruption(**how)  # type: ignore[arg-type]
        sources = []
        for row in ids:
            spans = text_spans(len(row), rng, corruption, empty=True)
            sources.append(self.with_specials(bart_source(row, spans, mask_id)))
        labels = _padded([self.with_specials(row) for row in ids], IGNORED).to(self.device)
        return Corrupted(*self.pad(sources), labels)

    def read_output(self, ids: Sequence[int]) -> str:
        return str(self.tokenizer.decode(list(ids), skip_special_tokens=True)).strip()


class T5(LanguageModel):
    """T5: ``text </s>``, a sentinel of its own for each span, the target lists sentinels and spans."""

    pools = ("</s>", "mean")

    def __init__(self, model: Any, tokenizer: PreTrainedTokenizerBase) -> None:
        super().__init__(model, tokenizer)
        vocabulary = tokenizer.get_vocab()
        names = [f"<extra_id_{number}>" for number in range(100)]
        self.sentinels = [vocabulary[name] for name in names if name in vocabulary]
        if len(self.sentinels) < 2:
            raise InputError(
                "the tokenizer has no sentinels <extra_id_0>, <extra_id_1>, ...", action="Use a T5 tokenizer"
            )

    @property
    def mask_token(self) -> str:
        return "<extra_id_0>"

    @property
    def decoder_start(self) -> list[int]:
        return [int(self.model.config.decoder_start_token_id)]

    def state_norm(self) -> nn.Module:
        # T5 ends its encoder with a scale-only norm whose learned scale the decoder is used to: start from that one
        norm = nn.RMSNorm(self.width, eps=self.model.config.layer_norm_epsilon)
        norm.weight.data.copy_(self.model.get_encoder().final_layer_norm.weight.data)
        return norm

    def with_specials(self, ids: Sequence[int]) -> list[int]:
        return [*ids, int(self.tokenizer.eos_token_id)]  # type: ignore[arg-type]

    def corrupt_ids(self, ids: Sequence[Sequence[int]], rng: np.random.Generator, **how: float) -> Corrupted:
        corruption = Corruption(**how)
        sources, targets = [], []
        for row in ids:
            spans = text_spans(len(row), rng, corruption, empty=False)
            source, target = t5_pair(row, spans, self.sentinels)
            sources.append(self.with_specials(source))
            targets.append(self.with_specials(target))
        return Corrupted(*self.pad(sources), _padded(targets, IGNORED).to(self.device))

    def read_output(self, ids: Sequence[int]) -> str:
        # infilling output is "<extra_id_0> answer <extra_id_1>": the answer is what the first sentinel stands for
        rest = list(ids)
        if rest and rest[0] in self.sentinels:
            rest = rest[1:]
        stop = next((at for at, token in enumerate(rest) if token in self.sentinels), len(rest))
        return str(self.tokenizer.decode(rest[:stop], skip_special_tokens=True)).strip()


FAMILIES: dict[str, type[LanguageModel]] = {"bart": Bart, "t5": T5}


def load_language_model(source: str | Path, *, device: str = "cpu") -> LanguageModel:
    """Load an encoder-decoder from a folder or by its name on the Hugging Face hub, in evaluation mode.

    Raises:
        InputError: the folder is incomplete, the weights are neither cached nor reachable, or the architecture is none
            of those that have an adapter.
    """
    source = str(source)
    try:
        config = AutoConfig.from_pretrained(source)
        if config.model_type in FAMILIES:
            model = AutoModelForSeq2SeqLM.from_pretrained(source, dtype=torch.float32)
            tokenizer = AutoTokenizer.from_pretrained(source)
    except (OSError, ValueError, KeyError) as error:
        offline = " (HF_HUB_OFFLINE is set, so only the local cache was searched)" if _offline() else ""
        raise InputError(
            f"the language model does not load{offline}: {str(error).splitlines()[0]}",
            file=source,
            action="For published weights run once on a machine with network and without HF_HUB_OFFLINE, or copy the "
            "Hugging Face cache ($HF_HOME) from one, or give a folder as save_pretrained writes it",
        ) from error
    if config.model_type not in FAMILIES:
        raise InputError(
            f"no adapter for {config.model_type!r} models",
            file=source,
            field="model_type",
            action=f"Use an encoder-decoder of one of these types: {', '.join(FAMILIES)}",
        )
    return FAMILIES[config.model_type](model, tokenizer).to(device).eval()


def held_out(folder: Path) -> set[str]:
    """Ids of the documents that the model of `folder` was not to read; none where its weights are published ones."""
    path = folder / HELD_OUT
    return set(read_json(path)) if path.is_file() else set()


def _offline() -> bool:
    return os.environ.get("HF_HUB_OFFLINE", "").lower() in ("1", "true", "yes", "on")


def _padded(rows: Sequence[Sequence[int]], value: int) -> Tensor:
    width = max((len(row) for row in rows), default=0)
    table = np.full((len(rows), width), value, dtype=np.int64)
    for at, row in enumerate(rows):
        table[at, : len(row)] = row
    return torch.from_numpy(table)
