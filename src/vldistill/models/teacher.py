"""CLIP-like teachers behind one adapter: any open_clip model, published or in a local folder.

A source is a folder in open_clip's local-dir format (``open_clip_config.json``, safetensors weights, tokenizer files),
``NAME/PRETRAINED`` as open_clip lists them (``ViT-B-16/openai``), or ``hf-hub:ORGANISATION/REPOSITORY``.
Three things silently lower a CLIP and are therefore part of its fingerprint: the activation (QuickGELU or GELU), the
resize rule, and the number type.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import open_clip
import torch
from open_clip.model import _build_vision_tower
from open_clip.transform import PreprocessCfg, image_transform_v2
from PIL import Image
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torchvision.transforms import Compose

from vldistill.errors import InputError
from vldistill.files import read_json, write_json
from vldistill.models.tokenizer_files import save_tokenizer

CONFIG = "open_clip_config.json"
WEIGHTS = "open_clip_model.safetensors"
TOWER_CONFIG = "image_tower.json"
TOWER_WEIGHTS = "image_tower.safetensors"
DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}


class ImageTower:
    """The image half of a teacher, frozen; it is all of CLIP that a distilled model needs.

    Attributes:
        visual: open_clip's vision module.
        config: ``embed_dim``, ``vision_cfg``, ``quick_gelu`` and ``preprocess``: enough to build it again.
        dim: width d of the joint space.
        patches: number P of patch tokens.
        patch_width: width w of a patch token.
    """

    def __init__(self, visual: nn.Module, config: dict[str, Any], *, device: str = "cpu", dtype: str = "fp32") -> None:
        self.dtype = DTYPES[dtype]
        self.device = torch.device(device)
        self.visual = visual.to(self.device, self.dtype).eval().requires_grad_(False)
        self.config = config
        # open_clip's last two steps, to a tensor and to the mean, are taken for all images at once: `prepare`
        rule = image_transform_v2(PreprocessCfg(**config["preprocess"]), is_train=False)
        *frame, _, self._normalise = rule.transforms
        self._frame = Compose(frame)
        size = config["preprocess"]["size"]
        height, width = (size, size) if isinstance(size, int) else size
        pooled, patch = self.encode_tensors(torch.zeros(1, 3, height, width))
        self.dim, self.patches, self.patch_width = pooled.shape[1], patch.shape[1], patch.shape[2]

    def prepare(self, images: Sequence[Image.Image]) -> Tensor:
        """Resize and normalise RGB images with the teacher's own rule: [N, 3, H, W] fp32, channels last in memory."""
        pixels = torch.from_numpy(np.stack([np.asarray(self._frame(image)) for image in images]))
        prepared: Tensor = self._normalise(pixels.permute(0, 3, 1, 2).float().div(255))
        return prepared

    @torch.inference_mode()
    def encode_tensors(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """Pooled [N, d] and final-norm patch tokens [N, P, w] of prepared pixels [N, 3, H, W]; both fp32, not unit.

        Patch tokens come from ``forward_intermediates``: the flag ``output_tokens`` breaks ``encode_image``, and
        towers without a class token have no such flag.
        """
        # a ResNet takes a quarter less time with this layout, and a ViT as much as with the other
        pixels = pixels.to(self.device, self.dtype, memory_format=torch.channels_last)
        out = self.visual.forward_intermediates(pixels, indices=1, normalize_intermediates=True)  # type: ignore[operator]
        patch = out["image_intermediates"][-1].flatten(2).transpose(1, 2)
        return out["image_features"].float().cpu(), patch.float().cpu().contiguous()

    def encode_images(self, images: Sequence[Image.Image]) -> tuple[Tensor, Tensor]:
        """Pooled [N, d] and patch [N, P, w] features, fp32, as the tower gives them (not unit length)."""
        return self.encode_tensors(self.prepare(images))

    def save(self, folder: str | Path) -> None:
        """Write ``image_tower.json`` and ``image_tower.safetensors``; read them with `load_image_tower`."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        write_json(folder / TOWER_CONFIG, self.config)
        save_file(
            {name: value.contiguous() for name, value in self.visual.state_dict().items()}, folder / TOWER_WEIGHTS
        )


class Teacher:
    """A frozen CLIP: image tower, text tower, tokenizer.

    Attributes:
        images: the image tower.
        model: open_clip's model.
        tokenizer: texts -> ids [N, context_length], padded as this model was trained.
        logit_scale: the factor (already exponentiated) on cosine similarities.
        logit_bias: the bias of sigmoid-loss models, else None.
        fingerprint: sha256 of the weights, activation, resize rule, number type.
    """

    def __init__(self, model: nn.Module, tokenizer: Any, quick_gelu: bool, config: dict[str, Any], dtype: str) -> None:
        self.images = ImageTower(model.visual, config, device=str(next(model.parameters()).device), dtype=dtype)  # type: ignore[arg-type]
        self.model = model.to(DTYPES[dtype]).eval().requires_grad_(False)
        self.tokenizer = tokenizer
        self.logit_scale = float(model.logit_scale.detach().exp())  # type: ignore[operator]
        bias = getattr(model, "logit_bias", None)
        self.logit_bias = None if bias is None else float(bias.detach())
        self.fingerprint = {
            "weights": weights_sha256(model.state_dict()),
            "activation": "quick_gelu" if quick_gelu else "gelu",
            "resize": {**config["preprocess"]},
            "dtype": dtype,
        }

    @property
    def dim(self) -> int:
        """Width d of the joint space."""
        return self.images.dim

    @property
    def patches(self) -> int:
        """Number of patch tokens an image has."""
        return self.images.patches

    @property
    def patch_width(self) -> int:
        """Width of a patch token."""
        return self.images.patch_width

    def encode_images(self, images: Sequence[Image.Image]) -> tuple[Tensor, Tensor]:
        """Pooled [N, d] and patch [N, P, w] features, fp32, not unit length."""
        return self.images.encode_images(images)

    @torch.inference_mode()
    def encode_text(self, texts: Sequence[str]) -> Tensor:
        """Text features [N, d], fp32, not unit length; longer texts are cut at the model's context length."""
        ids = self.tokenizer(list(texts)).to(self.images.device)
        return self.model.encode_text(ids).float().cpu()  # type: ignore[operator]

    def filled(self, texts: Sequence[str]) -> list[bool]:
        """Whether a text fills all positions: it is cut, or just as long."""
        ids = self.tokenizer(list(texts))
        pad = int(getattr(getattr(self.tokenizer, "tokenizer", None), "pad_token_id", 0) or 0)
        # the last position alone: "!" has the number that open_clip's own tokenizer pads with
        filled: list[bool] = (ids[:, -1] != pad).tolist()
        return filled


@dataclass(frozen=True)
class _Parts:
    model: nn.Module
    tokenizer: Any
    config: dict[str, Any]


def load_teacher(source: str | Path, *, device: str = "cpu", dtype: str = "fp32") -> Teacher:
    """Load a teacher, frozen and in evaluation mode.

    Args:
        source: a folder, ``NAME/PRETRAINED``, or ``hf-hub:...``.
        device: torch device.
        dtype: ``fp32`` or ``bf16``; features are returned as fp32 in any case.

    Raises:
        InputError: no such folder or model, or its weights are neither cached nor reachable.
    """
    parts = _open(str(source), device)
    cfg = parts.config
    return Teacher(parts.model, parts.tokenizer, bool(cfg.get("quick_gelu")), _tower_config(parts.model, cfg), dtype)


def load_image_tower(folder: str | Path, *, device: str = "cpu", dtype: str = "fp32") -> ImageTower:
    """Load what `ImageTower.save` wrote, without any text tower or tokenizer.

    Raises:
        InputError: the files are missing or do not fit each other.
    """
    folder = Path(folder)
    config = read_json(folder / TOWER_CONFIG)
    vision = {**deepcopy(config["vision_cfg"]), "timm_model_pretrained": False}
    visual = _build_vision_tower(config["embed_dim"], vision, config["quick_gelu"])
    try:
        visual.load_state_dict(load_file(folder / TOWER_WEIGHTS))
    except (OSError, RuntimeError, SafetensorError) as error:
        raise InputError(
            f"the image tower does not load: {error}", file=folder / TOWER_WEIGHTS, action="Save the model again"
        ) from None
    return ImageTower(visual, config, device=device, dtype=dtype)


def save_teacher(
    folder: str | Path, model: nn.Module, model_cfg: Mapping[str, Any], preprocess: Mapping[str, Any], tokenizer: Any
) -> None:
    """Write a model in open_clip's local-dir format, so that open_clip loads it as it loads a published one.

    Args:
        folder: where to; made if missing.
        model: an open_clip model.
        model_cfg: its ``model_cfg`` (embed_dim, vision_cfg, text_cfg, quick_gelu, ...).
        preprocess: mean, std, interpolation, resize_mode.
        tokenizer: anything with ``save_pretrained``; None for open_clip's built-in tokenizer, which needs no files.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    save_file({name: value.contiguous() for name, value in model.state_dict().items()}, folder / WEIGHTS)
    if tokenizer is not None:
        save_tokenizer(tokenizer, folder)
    write_json(folder / CONFIG, {"model_cfg": dict(model_cfg), "preprocess_cfg": dict(preprocess)})


def import_published(source: str, folder: str | Path) -> None:
    """Save a published teacher into ``folder``; afterwards it is loaded like one that was trained here.

    Raises:
        InputError: as `load_teacher`.
    """
    parts = _open(source, "cpu")
    kept = ("mean", "std", "interpolation", "resize_mode", "fill_color")
    preprocess = {key: value for key, value in _preprocess(parts.model).items() if key in kept}
    saves = parts.tokenizer if hasattr(parts.tokenizer, "save_pretrained") else None
    save_teacher(folder, parts.model, parts.config, preprocess, saves)


def weights_sha256(state: Mapping[str, Tensor]) -> str:
    """Hex sha256 over names, types, shapes and bytes of a state dict: equal in whatever file it was stored."""
    digest = hashlib.sha256()
    for name in sorted(state):
        value = state[name].detach().cpu().contiguous()
        digest.update(json.dumps([name, str(value.dtype), list(value.shape)]).encode())
        digest.update(value.reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def _open(source: str, device: str) -> _Parts:
    if Path(source).is_dir():
        return _open_folder(Path(source), device)
    if source.startswith("hf-hub:"):
        return _create(source, None, {}, device)
    name, _, tag = source.rpartition("/")
    config = open_clip.get_model_config(name) if name else None
    if config is None or tag not in open_clip.list_pretrained_tags_by_model(name):
        raise InputError(
            f"{source!r} is neither a folder nor a model that open_clip knows",
            action="Give a folder with open_clip_config.json, or NAME/PRETRAINED out of open_clip.list_pretrained()",
        )
    # open_clip only warns where a tag was trained with QuickGELU and the named model has GELU: the tag decides here
    config["quick_gelu"] = bool(open_clip.get_pretrained_cfg(name, tag).get("quick_gelu", False))
    return _create(name, tag, config, device)


def _open_folder(folder: Path, device: str) -> _Parts:
    config = read_json(folder / CONFIG)
    if not isinstance(config, dict) or not isinstance(config.get("model_cfg"), dict):
        raise InputError("missing", file=folder / CONFIG, field="model_cfg", action="Save the model again")
    if not any(folder.glob("*.safetensors")):
        raise InputError("no safetensors weights in the folder", file=folder, action="Save or fetch the model again")
    return _create(f"local-dir:{folder}", None, config["model_cfg"], device)


def _create(name: str, tag: str | None, config: dict[str, Any], device: str) -> _Parts:
    override = {"quick_gelu": config["quick_gelu"]} if tag else {}
    try:
        model = open_clip.create_model(name, pretrained=tag, device=device, require_pretrained=True, **override)
        tokenizer = open_clip.get_tokenizer(name)
        config = config or open_clip.get_model_config(name)
    except Exception as error:  # open_clip and the hub raise a dozen unrelated types here
        offline = " (HF_HUB_OFFLINE is set, so only the local cache was searched)" if _offline() else ""
        where = f"{name}/{tag}" if tag else name.removeprefix("local-dir:")
        raise InputError(
            f"the teacher does not load{offline}: {error}",
            file=where,
            action="For published weights run once on a machine with network and without HF_HUB_OFFLINE, or copy the "
            "Hugging Face cache ($HF_HOME) from one, or give a folder in open_clip's local-dir format",
        ) from error
    return _Parts(model, tokenizer, config)


def _offline() -> bool:
    return os.environ.get("HF_HUB_OFFLINE", "").lower() in ("1", "true", "yes", "on")


def _preprocess(model: nn.Module) -> dict[str, Any]:
    cfg = PreprocessCfg(**model.visual.preprocess_cfg)  # type: ignore[union-attr,arg-type]
    return {key: list(value) if isinstance(value, tuple) else value for key, value in asdict(cfg).items()}


def _tower_config(model: nn.Module, config: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "embed_dim": config["embed_dim"],
        "vision_cfg": {**config["vision_cfg"]},
        "quick_gelu": bool(config.get("quick_gelu", False)),
        "preprocess": _preprocess(model),
    }
