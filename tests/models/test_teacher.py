"""The teacher adapter against open_clip itself."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import open_clip
import pytest
import torch
from open_clip.model import CLIP, CustomTextCLIP
from PIL import Image
from safetensors.torch import load_file, save_file

from vldistill.errors import InputError
from vldistill.models.teacher import import_published, load_image_tower, load_teacher, save_teacher

VISION = {"image_size": 32, "layers": 2, "width": 64, "head_width": 32, "patch_size": 8}
TEXT = {"context_length": 12, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 1}
PREPROCESS = {"mean": [0.5] * 3, "std": [0.5] * 3, "interpolation": "bicubic", "resize_mode": "shortest"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A CLIP of the published shape: QuickGELU, open_clip's built-in tokenizer."""
    torch.manual_seed(0)
    config = {"embed_dim": 24, "vision_cfg": VISION, "text_cfg": TEXT, "quick_gelu": True}
    save_teacher(tmp_path / "clip", CLIP(**config), config, PREPROCESS, None)
    return tmp_path / "clip"


@pytest.fixture
def sigmoid_folder(tmp_path: Path) -> Path:
    """A SigLIP-like one: timm tower without a class token, attention pooling, logit bias, `last` text pooling."""
    torch.manual_seed(0)
    config = {
        "embed_dim": 96,
        "init_logit_bias": -10,
        "custom_text": True,
        "vision_cfg": {
            "image_size": 160, "timm_model_name": "test_vit3", "timm_model_pretrained": False,
            "timm_pool": "map", "timm_proj": "none",
        },
        "text_cfg": {**TEXT, "no_causal_mask": True, "pool_type": "last", "proj_bias": True},
    }  # fmt: skip
    model = CustomTextCLIP(**{key: value for key, value in config.items() if key != "custom_text"})
    save_teacher(tmp_path / "siglip", model, config, PREPROCESS, None)
    return tmp_path / "siglip"


def pictures(count: int, size: tuple[int, int] = (40, 32)) -> list[Image.Image]:
    rng = np.random.default_rng(0)
    return [Image.fromarray(rng.integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)) for _ in range(count)]


@pytest.mark.parametrize("kind", ["folder", "sigmoid_folder"])
def test_equals_open_clip(kind: str, request: pytest.FixtureRequest) -> None:
    source = request.getfixturevalue(kind)
    teacher = load_teacher(source)
    model, _, preprocess = open_clip.create_model_and_transforms(f"local-dir:{source}")
    model.eval()
    tokenizer = open_clip.get_tokenizer(f"local-dir:{source}")
    texts = ["a red circle", "many words " * 20]
    with torch.inference_mode():
        pixels = torch.stack([preprocess(image) for image in pictures(3)])
        images, words = model.encode_image(pixels), model.encode_text(tokenizer(texts))
    pooled, patch = teacher.encode_images(pictures(3))
    torch.testing.assert_close(pooled, images)
    torch.testing.assert_close(teacher.encode_text(texts), words)
    assert patch.shape == (3, teacher.patches, teacher.patch_width)
    assert pooled.shape == (3, teacher.dim)
    assert teacher.logit_scale == pytest.approx(1 / 0.07)


def test_patch_tokens_are_the_final_normed_grid(folder: Path) -> None:
    teacher = load_teacher(folder)
    assert (teacher.patches, teacher.patch_width) == (16, 64)
    pixels = teacher.images.prepare(pictures(2))
    visual = teacher.model.visual
    with torch.inference_mode():
        tokens = visual.ln_post(visual.transformer(visual._embeds(pixels)))
    torch.testing.assert_close(teacher.encode_images(pictures(2))[1], tokens[:, 1:])
    torch.testing.assert_close(teacher.encode_images(pictures(2))[0], tokens[:, 0] @ visual.proj)


def test_class_token_free_tower(sigmoid_folder: Path) -> None:
    teacher = load_teacher(sigmoid_folder)
    assert (teacher.patches, teacher.patch_width) == (100, 96)
    assert teacher.logit_bias == pytest.approx(-10)


def test_image_tower_alone_equals_the_teacher(folder: Path, tmp_path: Path) -> None:
    teacher = load_teacher(folder)
    teacher.images.save(tmp_path / "alone")
    alone = load_image_tower(tmp_path / "alone")
    for ours, theirs in zip(alone.encode_images(pictures(3)), teacher.encode_images(pictures(3)), strict=True):
        assert torch.equal(ours, theirs)
    assert (alone.dim, alone.patches, alone.patch_width) == (24, 16, 64)


def test_fingerprint_names_what_changes_features(folder: Path) -> None:
    before = load_teacher(folder).fingerprint
    assert before["activation"] == "quick_gelu"
    assert before["resize"]["interpolation"] == "bicubic"
    config = json.loads((folder / "open_clip_config.json").read_text())
    config["model_cfg"]["quick_gelu"] = False
    config["preprocess_cfg"]["resize_mode"] = "squash"
    (folder / "open_clip_config.json").write_text(json.dumps(config))
    after = load_teacher(folder).fingerprint
    assert after["activation"] == "gelu"
    assert after["resize"]["resize_mode"] == "squash"
    assert after["weights"] == before["weights"]
    weights = load_file(folder / "open_clip_model.safetensors")
    weights["logit_scale"] += 0.1
    save_file(weights, folder / "open_clip_model.safetensors")
    assert load_teacher(folder).fingerprint["weights"] != before["weights"]
    assert load_teacher(folder, dtype="bf16").fingerprint["dtype"] == "bf16"


def test_import_goes_through_the_same_loader(folder: Path, tmp_path: Path) -> None:
    import_published(str(folder), tmp_path / "copy")
    first, second = load_teacher(folder), load_teacher(tmp_path / "copy")
    assert first.fingerprint == second.fingerprint
    assert torch.equal(first.encode_text(["a dog"]), second.encode_text(["a dog"]))


def test_errors_say_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match="neither a folder nor a model"):
        load_teacher("ViT-B-16/no-such-weights")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    with pytest.raises(InputError, match=r"HF_HUB_OFFLINE is set.*machine with network"):
        load_teacher("hf-hub:nobody/no-such-model")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match=r"open_clip_config\.json"):
        load_teacher(tmp_path / "empty")
