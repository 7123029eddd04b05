"""A project with tiny random models and a few pairs: everything `distill vlkd` reads. As a script: train one batch."""

from __future__ import annotations

import importlib
import io
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from open_clip.model import CLIP
from PIL import Image
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import BartConfig, BartForConditionalGeneration, PreTrainedTokenizerFast

from vldistill import artifact, features, layout
from vldistill.models.language_model import Bart
from vldistill.models.teacher import save_teacher
from vldistill.params import load
from vldistill.records.types import CaptionRecord, TextRecord, write_records

CLIP_CONFIG = {
    "embed_dim": 24,
    "vision_cfg": {"image_size": 16, "layers": 1, "width": 32, "head_width": 16, "patch_size": 8},
    "text_cfg": {"context_length": 16, "width": 32, "heads": 2, "layers": 1},
}
PREPROCESS = {"mean": [0.5] * 3, "std": [0.5] * 3, "interpolation": "bicubic", "resize_mode": "shortest"}
COLORS, SHAPES, SIDES = ("red", "green", "blue"), ("circle", "square", "star"), ("left", "right")
CAPTIONS = [f"a {color} {shape} on the {side}" for color in COLORS for shape in SHAPES for side in SIDES]
TRAINING = {
    "steps": 12, "batch_size": 8, "warmup": 2, "log_every": 3, "checkpoint_every": 4, "gradient_norms_every": 5,
    "learning_rate": 0.003,
}  # fmt: skip


def params_tree(**vlkd: Any) -> dict[str, Any]:
    """params.yaml of the small project: the arms and options of VLKD given over short training."""
    return {
        "features": {"kinds": {"cc3m": ["pooled", "patch", "text"]}, "max_invalid": 0.1},
        "distill": {"vlkd": {"training": TRAINING, "active": ["all"], "seeds": {"all": 1}} | vlkd},
    }


def write_params(root: Path, **vlkd: Any) -> None:
    (root / "params.yaml").write_text(yaml.safe_dump(params_tree(**vlkd)))


def make_bart(seed: int = 0) -> Bart:
    torch.manual_seed(seed)
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=400, special_tokens=["<s>", "<pad>", "</s>", "<unk>", "<mask>"], show_progress=False,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
    )  # fmt: skip
    tokenizer.train_from_iterator(CAPTIONS, trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", special_tokens=[("<s>", 0), ("</s>", 2)]
    )
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token="<s>", eos_token="</s>", pad_token="<pad>", unk_token="<unk>",
        mask_token="<mask>",
    )  # fmt: skip
    config = BartConfig(
        vocab_size=len(fast), d_model=32, encoder_layers=1, decoder_layers=1, encoder_ffn_dim=48, decoder_ffn_dim=48,
        encoder_attention_heads=2, decoder_attention_heads=2, max_position_embeddings=48, forced_bos_token_id=0,
    )  # fmt: skip
    return Bart(BartForConditionalGeneration(config), fast).eval()


def make_project(root: Path, **vlkd: Any) -> Path:
    """Write params.yaml and all inputs below `root`."""
    write_params(root, **vlkd)
    artifact.publish(layout.download(root, "cc3m"), _pairs)
    artifact.publish(layout.download(root, "corpus"), _corpus)
    for seed, name in enumerate(("clip", "clip_untrained")):
        artifact.publish(layout.pretrain(root, name), lambda folder, seed=seed: _clip(folder, seed))
    for seed, name in enumerate(("bart", "bart_no_direct")):
        artifact.publish(layout.pretrain(root, name), lambda folder, seed=seed: make_bart(seed).save(folder))
    params = load(root / "params.yaml")
    for name in ("clip", "clip_untrained"):
        features.run(params, root, name, "cc3m")
    return root


def _pairs(folder: Path) -> None:
    rng = np.random.default_rng(0)
    records = []
    with zipfile.ZipFile(folder / "images.zip", "w") as archive:
        for at in range(30):
            buffer = io.BytesIO()
            Image.fromarray(rng.integers(0, 256, (16, 16, 3), dtype=np.uint8)).save(buffer, "PNG")
            # one image cannot be read: its pairs must be left out
            archive.writestr(f"{at:02d}.png", b"" if at == 7 else buffer.getvalue())
            captions = [CAPTIONS[at % len(CAPTIONS)], CAPTIONS[(5 * at + 1) % len(CAPTIONS)]]
            records.append(CaptionRecord(str(at), f"{at:02d}.png", captions, "dev" if at % 10 == 9 else "train"))
    write_records(folder, records)


def _corpus(folder: Path) -> None:
    kinds = ("description", "direct")
    write_records(
        folder, [TextRecord(str(at), text, None, kinds[at % 2], "train") for at, text in enumerate(CAPTIONS * 2)]
    )


def _clip(folder: Path, seed: int) -> None:
    torch.manual_seed(seed)
    save_teacher(folder, CLIP(**CLIP_CONFIG), CLIP_CONFIG, PREPROCESS, None)


if __name__ == "__main__":
    from vldistill.distill import vlkd_batch

    project = Path(sys.argv[1])
    experiment = load(project / "params.yaml")
    # the parent kills some time after "ready": imports must be done by then
    importlib.import_module("vldistill.distill.cell")
    print("ready", flush=True)
    vlkd_batch(experiment, project, 0)
    print("done", flush=True)
