"""The stand-in teacher: open_clip's CLIP at small size, trained on the cc3m pairs.

Loss (Radford et al. 2021, arXiv 2103.00020): symmetric InfoNCE over the batch, with a learned temperature.
"""

from __future__ import annotations

import math
import zipfile
from collections.abc import Sequence
from copy import deepcopy
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from open_clip.model import CLIP
from open_clip.transform import PreprocessCfg, image_transform_v2
from torch import Tensor, nn
from torch.nn import functional
from transformers import PreTrainedTokenizerFast

from vldistill.models.images import open_image
from vldistill.models.teacher import load_teacher, save_teacher
from vldistill.params import pretrain as options
from vldistill.pretrain.tokenizers import train_tokenizer
from vldistill.records import CaptionRecord, read_captions
from vldistill.training import Run, Sampler, gather_rows, seed_everything, train
from vldistill.training.temperature import limited_scale

MEAN = STD = (0.5, 0.5, 0.5)


class ClipTask:
    """Images with one of their captions each; term ``contrastive``.

    Args:
        model: learns.
        pixels: images [N, 3, H, W] uint8.
        captions: token ids [N, C, L] of C captions an image (repeated where an image has fewer).
        batch_size: pairs in one step.
        seed: order of the images.
    """

    weights: dict[str, float] = {}

    def __init__(self, model: CLIP, pixels: Tensor, captions: Tensor, batch_size: int, seed: int) -> None:
        self.module = model
        self.sampler = Sampler(len(pixels), batch_size, seed)
        self._pixels, self._captions = pixels, captions

    def collate(self, indices: np.ndarray, rng: np.random.Generator) -> dict[str, Tensor]:
        """Pixels [B, 3, H, W] and the ids [B, L] of one caption of each image."""
        which = torch.from_numpy(rng.integers(0, self._captions.shape[1], size=len(indices)))
        rows = torch.from_numpy(indices)
        # a resnet's convolutions run half as fast again on a CPU when their input has channels last
        pixels = normalised(self._pixels[rows]).contiguous(memory_format=torch.channels_last)
        return {"pixels": pixels, "ids": self._captions[rows, which]}

    def sizes(self, batch: dict[str, Tensor]) -> dict[str, float]:
        """The loss is a mean over pairs."""
        return {"contrastive": float(len(batch["ids"]))}

    def loss(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        """Symmetric InfoNCE, negatives from all ranks."""
        images = self.module.encode_image(batch["pixels"], normalize=True)
        texts = self.module.encode_text(batch["ids"], normalize=True)
        return {"contrastive": contrastive(images, texts, self.module.logit_scale)}

    def shared_parameters(self) -> Sequence[nn.Parameter]:
        """There is one term only."""
        return ()


def contrastive(images: Tensor, texts: Tensor, log_scale: Tensor) -> Tensor:
    """Symmetric InfoNCE of unit vectors [B, d]; the temperature is limited as CLIP does."""
    all_images, first = gather_rows(images)
    all_texts, _ = gather_rows(texts)
    scale = limited_scale(log_scale)
    own = torch.arange(first, first + len(images), device=images.device)
    to_text = functional.cross_entropy(scale * images @ all_texts.T, own)
    to_image = functional.cross_entropy(scale * texts @ all_images.T, own)
    return 0.5 * (to_text + to_image)


def make(clip: options.Clip, data: Path, folder: Path, run: Run, *, trained: bool) -> dict[str, Any]:
    """Train the stand-in on the records of ``data`` and save it in open_clip's local-dir format.

    Args:
        clip: its parameters.
        data: results/download/cc3m.
        folder: where to save.
        run: where and how to train.
        trained: False saves the same initial weights without training: a control.

    Returns:
        Dev figures on held-out pairs: retrieval and loss.
    """
    records = [record for record in read_captions(data) if record.split == "train"]
    dev_count = max(1, round(clip.held_out * len(records)))
    fit, dev = records[:-dev_count], records[-dev_count:]
    tokenizer = train_tokenizer(
        (caption for record in fit for caption in record.captions), clip.model.vocabulary, clip.model.context_length
    )
    config = model_config(clip.model, tokenizer)
    seed_everything(clip.seed)
    model = CLIP(**deepcopy(config))
    metrics: dict[str, Any] = {}
    if trained:
        pixels, kept = load_pixels(data, fit, clip.model.image_size)
        ids = caption_ids(tokenizer, kept, clip.model)
        task = ClipTask(model, pixels, ids, clip.training.batch_size, clip.seed)
        metrics = {"train_loss": train(task, clip.training, run)["loss"]}
    save_teacher(folder, model.cpu().eval(), config, preprocess(), tokenizer)
    return {**metrics, **dev_figures(folder, data, dev)}


def model_config(shape: options.ClipModel, tokenizer: PreTrainedTokenizerFast) -> dict[str, Any]:
    """open_clip's ``model_cfg``; pooling at ``eos``, since ``argmax`` is made for CLIP's own vocabulary."""
    vit = {"layers": shape.image_layers, "patch_size": shape.patch_size}
    # four stages, as open_clip tells a ModifiedResNet from a transformer by a list of depths
    tower = vit if shape.tower == "vit" else {"layers": [shape.image_layers] * 4}
    return {
        "embed_dim": shape.embed_dim,
        "quick_gelu": False,
        "vision_cfg": {
            "image_size": shape.image_size,
            "width": shape.image_width,
            "head_width": shape.head_width,
            **tower,
        },
        "text_cfg": {
            "context_length": shape.context_length,
            "vocab_size": len(tokenizer),
            "hf_tokenizer_name": "local",
            "tokenizer_kwargs": {"clean": "whitespace"},
            "width": shape.text_width,
            "heads": shape.text_width // shape.head_width,
            "layers": shape.text_layers,
            "pool_type": "eos",
            "eos_id": tokenizer.eos_token_id,
            "pad_id": tokenizer.pad_token_id,
        },
    }


def preprocess() -> dict[str, Any]:
    """open_clip's ``preprocess_cfg``."""
    return {"mean": list(MEAN), "std": list(STD), "interpolation": "bicubic", "resize_mode": "shortest"}


def load_pixels(data: Path, records: Sequence[CaptionRecord], size: int) -> tuple[Tensor, list[CaptionRecord]]:
    """All images [N, 3, size, size] as uint8, resized by the teacher's own rule, in memory: stand-ins are small."""
    rule = PreprocessCfg(
        **{**asdict(PreprocessCfg()), **preprocess(), "size": size, "mean": (0.0,) * 3, "std": (1.0,) * 3}
    )
    prepare = image_transform_v2(rule, is_train=False)
    pixels = torch.empty(len(records), 3, size, size, dtype=torch.uint8)
    with zipfile.ZipFile(data / "images.zip") as archive:
        for row, record in enumerate(records):
            image = open_image(archive.read(record.image), name=f"{data / 'images.zip'}: {record.image}")
            pixels[row] = (prepare(image) * 255).round().to(torch.uint8)
    return pixels, list(records)


def normalised(pixels: Tensor) -> Tensor:
    """uint8 pixels as the towers see them; `MEAN` and `STD` are equal for all channels."""
    return (pixels.float() / 255 - MEAN[0]) / STD[0]


def caption_ids(
    tokenizer: PreTrainedTokenizerFast, records: Sequence[CaptionRecord], shape: options.ClipModel
) -> Tensor:
    """Ids [N, C, context_length]; images with fewer than C captions repeat theirs."""
    most = max(len(record.captions) for record in records)
    texts = [record.captions[at % len(record.captions)] for record in records for at in range(most)]
    ids = tokenizer(texts, padding="max_length", truncation=True, max_length=shape.context_length)["input_ids"]
    return torch.tensor(ids).view(len(records), most, -1)


def dev_figures(folder: Path, data: Path, records: Sequence[CaptionRecord]) -> dict[str, float]:
    """Retrieval among held-out pairs (first caption each) through the loader that everybody uses.

    R@1 in percent in both directions, the InfoNCE loss over all of them, and how many pairs there are. Captions tell
    only a part of a picture, so 100 % is out of reach.
    """
    teacher = load_teacher(folder)
    with zipfile.ZipFile(data / "images.zip") as archive:
        images = [open_image(archive.read(record.image), name=record.image) for record in records]
    pooled = torch.cat([teacher.encode_images(images[at : at + 64])[0] for at in range(0, len(images), 64)])
    texts = teacher.encode_text([record.captions[0] for record in records])
    pooled, texts = functional.normalize(pooled, dim=-1), functional.normalize(texts, dim=-1)
    similar = pooled @ texts.T
    own = torch.arange(len(records))
    loss = contrastive(pooled, texts, torch.tensor(math.log(teacher.logit_scale)))
    return {
        "dev_image_to_text_r1": round(100 * (similar.argmax(dim=1) == own).float().mean().item(), 3),
        "dev_text_to_image_r1": round(100 * (similar.argmax(dim=0) == own).float().mean().item(), 3),
        "dev_loss": round(loss.item(), 5),
        "dev_pairs": len(records),
    }
