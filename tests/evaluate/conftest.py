"""A small project, all of it real: a rendered world, models of random weights, a few steps of distillation."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pytest
import torch
from open_clip.model import CLIP
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import BartConfig, BartForConditionalGeneration, PreTrainedTokenizerFast

from tests.tiny_world import TINY
from vldistill import artifact, distill, evaluate, layout
from vldistill.download import stage as download
from vldistill.features import extract as features
from vldistill.models.language_model import Bart
from vldistill.models.teacher import save_teacher
from vldistill.params import Params
from vldistill.records import read_texts
from vldistill.split import stage as split

SIZES = TINY.model_dump() | {
    "cc3m": 60, "captions": 2, "coco_train": 20, "coco_val": 20, "coco_test": 24, "questions": 2, "okvqa_test": 12,
    "nocaps": 6, "nocaps_references": 3, "references": 3, "corpus": 200, "text_train": 40,
    "text_dev": 10, "text_test": 16,
}  # fmt: skip
TREE = {
    "world": {"image_size": 32, "sizes": SIZES},
    "features": {"splits": {"cc3m": ["train"], "coco": ["train", "dev", "test"], "nocaps": ["test"]}},
    "distill": {
        "vlkd": {
            "active": ["all", "untrained_clip", "pooled"],
            "seeds": {"all": 2},
            "training": {"steps": 4, "batch_size": 8, "warmup": 1},
        }
    },
    "evaluate": {
        "vlkd": {
            "finetuning": {"steps": 3, "warmup": 1, "batch_size": 8},
            "resamples": 50,
            "spice": {"mode": "off"},
        }
    },
    "compute": {"runs_per_job": 3},
}
CLIP_CONFIG = {
    "embed_dim": 24,
    "vision_cfg": {"image_size": 32, "layers": 1, "width": 32, "head_width": 16, "patch_size": 16},
    "text_cfg": {"context_length": 16, "width": 32, "heads": 2, "layers": 1},
}
PREPROCESS = {"mean": [0.5] * 3, "std": [0.5] * 3, "interpolation": "bicubic", "resize_mode": "shortest"}
SPECIALS = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]


def publish_clip(root: Path, name: str, seed: int) -> None:
    def build(folder: Path) -> None:
        torch.manual_seed(seed)
        save_teacher(folder, CLIP(**CLIP_CONFIG), CLIP_CONFIG, PREPROCESS, None)

    artifact.publish(layout.pretrain(root, name), build)


def publish_bart(root: Path, name: str, texts: Iterable[str]) -> None:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=500, special_tokens=SPECIALS, initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator(texts, trainer)
    ends = [(token, tokenizer.token_to_id(token)) for token in ("<s>", "</s>")]
    tokenizer.post_processor = processors.TemplateProcessing(single="<s> $A </s>", special_tokens=ends)
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token="<s>", eos_token="</s>", pad_token="<pad>", unk_token="<unk>",
        mask_token="<mask>",
    )  # fmt: skip
    torch.manual_seed(0)
    config = BartConfig(
        vocab_size=len(fast), d_model=32, encoder_layers=1, decoder_layers=1, encoder_ffn_dim=64, decoder_ffn_dim=64,
        encoder_attention_heads=2, decoder_attention_heads=2, max_position_embeddings=96, forced_bos_token_id=0,
        init_std=0.2,
    )  # fmt: skip
    model = Bart(BartForConditionalGeneration(config), fast)
    artifact.publish(layout.pretrain(root, name), model.save)


@pytest.fixture(scope="session")
def weights(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Folders in the published formats of teacher and language model."""
    root = tmp_path_factory.mktemp("weights")
    publish_clip(root, "clip", 0)
    publish_bart(root, "bart", ["a red circle on the left", "question: what color is it? answer: red"] * 20)
    return {name: layout.pretrain(root, name) for name in ("clip", "bart")}


@pytest.fixture(scope="session")
def params() -> Params:
    return Params.model_validate(TREE)


@pytest.fixture(scope="session")
def project(tmp_path_factory: pytest.TempPathFactory, params: Params) -> Path:
    """A project up to and including distillation: five cells."""
    root = tmp_path_factory.mktemp("project")
    for dataset in ("cc3m", "coco", "nocaps", "vqav2", "okvqa", "domains", "corpus", "reading", "summary"):
        download.run(params, root, dataset)
    for task in split.TASKS:
        split.run(params, root, task)
    publish_clip(root, "clip", 0)
    publish_clip(root, "clip_untrained", 1)
    publish_bart(root, "bart", [record.text for record in read_texts(layout.download(root, "corpus"))])
    for encoder in ("clip", "clip_untrained"):
        for dataset in ("cc3m", "coco", "nocaps"):
            features.run(params, root, encoder, dataset)
    for batch in range(2):
        distill.vlkd_batch(params, root, batch)
    distill.vlkd_gather(params, root)
    return root


@pytest.fixture(scope="session")
def predicted(project: Path, params: Params) -> Path:
    """The project's gathered predictions."""
    for batch in range(2):
        evaluate.vlkd_predict_batch(params, project, batch)
    return evaluate.vlkd_predict_gather(params, project)
