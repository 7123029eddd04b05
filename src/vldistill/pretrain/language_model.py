"""The stand-in language model: transformers' BART at small size, trained by text infilling on the corpus."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from transformers import BartConfig, BartForConditionalGeneration, PreTrainedTokenizerFast

from vldistill.files import write_json
from vldistill.models.language_model import HELD_OUT, IGNORED, Bart, LanguageModel, load_language_model
from vldistill.params import pretrain as options
from vldistill.pretrain.tokenizers import train_tokenizer
from vldistill.records import TextRecord, read_captions, read_texts
from vldistill.training import Run, Sampler, seed_everything, train

DIRECT = "direct"
ANSWER = " answer: "


class InfillingTask:
    """Corrupted texts, to be restored; term ``infilling``.

    Args:
        model: learns.
        texts: documents.
        infilling: how they are corrupted.
        batch_size: documents in one step; they are of similar length.
        seed: order of the documents.
    """

    weights: dict[str, float] = {}

    def __init__(
        self, model: LanguageModel, texts: Sequence[str], infilling: options.Infilling, batch_size: int, seed: int
    ) -> None:
        self.module = model
        self._ids = model.ids(texts)
        self._infilling = infilling
        self.sampler = Sampler(len(texts), batch_size, seed, lengths=[len(row) for row in self._ids])

    def collate(self, indices: np.ndarray, rng: np.random.Generator) -> dict[str, Tensor]:
        """Corrupted ids, their mask and the labels of the documents ``indices``."""
        batch = self.module.corrupt_ids([self._ids[at] for at in indices], rng, **self._infilling.model_dump())
        return {"ids": batch.ids, "mask": batch.mask, "labels": batch.labels}

    def sizes(self, batch: dict[str, Tensor]) -> dict[str, float]:
        """The loss is a mean over target tokens."""
        return {"infilling": float((batch["labels"] != IGNORED).sum())}

    def loss(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        """Mean cross-entropy of the restored tokens."""
        states = self.module.encode(batch["ids"], batch["mask"])
        return {"infilling": self.module.decode_loss(states, batch["mask"], batch["labels"])}

    def shared_parameters(self) -> Sequence[nn.Parameter]:
        """There is one term only."""
        return ()


def make(
    language: options.LanguageModel, folders: Mapping[str, Path], folder: Path, run: Run, *, direct: bool
) -> dict[str, Any]:
    """Train the stand-in and save it as ``from_pretrained`` reads it.

    Args:
        language: its parameters.
        folders: results/download/corpus, and cc3m, whose captions enter the vocabulary but no training.
        folder: where to save.
        run: where and how to train.
        direct: False leaves out the documents that ask and answer without a description: a control.

    Returns:
        Dev figures on held-out documents.
    """
    records = [record for record in read_texts(folders["corpus"]) if record.split == "train"]
    fit, dev = records[: -language.held_out], records[-language.held_out :]
    texts = [record.text for record in fit if direct or record.kind != DIRECT]
    captions = [caption for record in read_captions(folders["cc3m"]) for caption in record.captions]
    # both language models share one vocabulary, so that the control differs in its training texts only
    vocabulary = [*(record.text for record in fit), *captions]
    tokenizer = train_tokenizer(vocabulary, language.model.vocabulary, language.model.positions)
    seed_everything(language.seed)
    model = build(language.model, tokenizer)
    task = InfillingTask(model, texts, language.infilling, language.training.batch_size, language.seed)
    metrics = train(task, language.training, run)
    model.cpu().eval().save(folder)
    write_json(folder / HELD_OUT, [record.id for record in dev])
    return {"train_loss": metrics["loss"], **dev_figures(folder, dev, language.infilling)}


def build(shape: options.LanguageModelShape, tokenizer: PreTrainedTokenizerFast) -> Bart:
    """A BART of the given shape with fresh weights from torch's global generator."""
    config = BartConfig(
        vocab_size=len(tokenizer),
        d_model=shape.width,
        encoder_layers=shape.encoder_layers,
        decoder_layers=shape.decoder_layers,
        encoder_attention_heads=shape.heads,
        decoder_attention_heads=shape.heads,
        encoder_ffn_dim=shape.feedforward,
        decoder_ffn_dim=shape.feedforward,
        max_position_embeddings=shape.positions,
        dropout=shape.dropout,
        init_std=shape.init_std,
        bos_token_id=tokenizer.bos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        eos_token_id=tokenizer.eos_token_id,
        decoder_start_token_id=tokenizer.eos_token_id,
    )
    model = BartForConditionalGeneration(config)
    # BART's second decoder token is always <s>; published configurations say so too
    model.generation_config.forced_bos_token_id = tokenizer.bos_token_id
    return Bart(model, tokenizer)


@torch.inference_mode()
def dev_figures(folder: Path, records: Sequence[TextRecord], infilling: options.Infilling) -> dict[str, float]:
    """Held-out documents through the loader that everybody uses.

    ``dev_loss`` restores corrupted documents; ``dev_KIND_match`` is the percentage of documents of a kind whose end
    after ``answer:`` is written exactly when it is replaced by a mask. Where the answer stands in no text (kind
    ``direct``) it can be matched by chance only; see that it has the form of an answer.
    """
    model = load_language_model(folder)
    batch = model.corrupt([record.text for record in records], np.random.default_rng(0), **infilling.model_dump())
    total, count = 0.0, 0
    for at in range(0, len(records), 100):
        ids, mask, labels = (part[at : at + 100] for part in (batch.ids, batch.mask, batch.labels))
        tokens = int((labels != IGNORED).sum())
        total += tokens * model.decode_loss(model.encode(ids, mask), mask, labels).item()
        count += tokens
    figures = {"dev_loss": round(total / count, 5), "dev_documents": float(len(records))}
    for kind in sorted({record.kind for record in records if ANSWER in record.text}):
        asked = [record.text.rpartition(ANSWER) for record in records if record.kind == kind and ANSWER in record.text]
        answers = answer_prompts(model, [before + ANSWER.rstrip() for before, _, _ in asked])
        hits = sum(given == right for given, (_, _, right) in zip(answers, asked, strict=True))
        figures[f"dev_{kind}_match"] = round(100 * hits / len(asked), 3)
    return figures


def answer_prompts(model: LanguageModel, prompts: Sequence[str], *, batch: int = 100) -> list[str]:
    """What the model writes in the place of a mask behind each prompt."""
    answers: list[str] = []
    for at in range(0, len(prompts), batch):
        part = list(prompts[at : at + batch])
        ids, mask = model.tokenize([f"{prompt} {model.mask_token}" for prompt in part])
        answers += model.generate(model.encode(ids, mask), mask, prefix=part, max_new_tokens=8)
    return answers
