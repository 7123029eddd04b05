"""The VLKD model: image states, generation with and without an image, saving and loading."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from project import make_bart

from vldistill import layout
from vldistill.errors import InputError
from vldistill.models.teacher import load_teacher
from vldistill.models.vlkd import VLKD, VlkdConfig


@pytest.fixture(scope="module")
def model(made: Path) -> VLKD:
    teacher = load_teacher(layout.pretrain(made, "clip"))
    config = VlkdConfig(teacher.dim, teacher.patch_width, image_states="both", pooled_states=3, logit_scale=10.0)
    torch.manual_seed(0)
    return VLKD(make_bart(), config, tower=teacher.images, facts={"toy": True}).eval()


@pytest.mark.parametrize(("kind", "count"), [("pooled", 3), ("patch", 4), ("both", 7)])
def test_image_states(kind: str, count: int) -> None:
    model = VLKD(make_bart(), VlkdConfig(dim=6, patch_width=5, image_states=kind, pooled_states=3))
    states, mask = model.image_states(torch.randn(2, 6), torch.randn(2, 4, 5))
    assert states.shape == (2, count, 32) and mask.shape == (2, count) and mask.all()
    # as encoder states are: zero mean, unit variance
    assert states.mean(-1).abs().max() < 1e-5 and (states.var(-1, unbiased=False) - 1).abs().max() < 1e-2


def test_each_place_has_its_own_projection() -> None:
    torch.manual_seed(0)
    places = VLKD(make_bart(), VlkdConfig(dim=6, patch_width=5, patches=4))
    shared = VLKD(make_bart(), VlkdConfig(dim=6, patch_width=5))
    patch = torch.randn(2, 1, 5).expand(2, 4, 5)
    assert places.image_states(None, patch)[0].shape == shared.image_states(None, patch)[0].shape == (2, 4, 32)
    # equal tokens are told apart by where they lie, or not at all
    assert (places.image_states(None, patch)[0].std(dim=1) > 1e-3).all()
    assert shared.image_states(None, patch)[0].std(dim=1).max() < 1e-6


def test_generation_does_not_depend_on_batching_or_order(model: VLKD) -> None:
    prompts = ["<mask>", "a red <mask>", "a blue square on the <mask>", "<mask> star", "a"]
    pooled, patch = torch.randn(5, 24), torch.randn(5, 4, 32)
    together = model.generate(prompts, pooled, patch, max_new_tokens=6)
    for batch in (1, 2):
        assert model.generate(prompts, pooled, patch, max_new_tokens=6, batch=batch) == together
    back = model.generate(prompts[::-1], pooled.flip(0), patch.flip(0), max_new_tokens=6)
    assert back[::-1] == together


def test_without_an_image_the_prompt_alone_counts(model: VLKD) -> None:
    texts = model.generate(["a <mask>"] * 2, max_new_tokens=4)
    assert texts[0] == texts[1]


def test_text_vectors_have_unit_length(model: VLKD) -> None:
    vectors = model.encode_text(["a red star", "a blue square on the left", "x"], batch=2)
    assert vectors.shape == (3, 24)
    torch.testing.assert_close(vectors.norm(dim=1), torch.ones(3))


def test_saved_and_loaded_it_answers_the_same(model: VLKD, tmp_path: Path) -> None:
    model.save(tmp_path / "m")
    again = VLKD.load(tmp_path / "m")
    assert again.config == model.config and again.facts == {"toy": True} and not again.training
    image = Image.fromarray(np.random.default_rng(0).integers(0, 256, (31, 20, 3), dtype=np.uint8))
    for one, other in zip(model.encode_images([image]), again.encode_images([image]), strict=True):
        assert torch.equal(one, other)
    features = model.encode_images([image])
    assert model.generate(["<mask>"], *features) == again.generate(["<mask>"], *features)
    assert torch.equal(model.encode_text(["a star"]), again.encode_text(["a star"]))


def test_bad_folders_are_named(model: VLKD, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"config\.json"):
        VLKD.load(tmp_path / "nothing")
    model.save(tmp_path / "m")
    config = json.loads((tmp_path / "m/config.json").read_text())
    (tmp_path / "m/config.json").write_text(json.dumps({**config, "format": 99}))
    with pytest.raises(InputError, match="not a VLKD model of format 1"):
        VLKD.load(tmp_path / "m")
    (tmp_path / "m/config.json").write_text(json.dumps({**config, "shape": {**config["shape"], "pooled_states": 2}}))
    with pytest.raises(InputError, match="does not load"):
        VLKD.load(tmp_path / "m")
    (tmp_path / "m/config.json").write_text(json.dumps(config))
    shutil.rmtree(tmp_path / "m/language_model")
    with pytest.raises(InputError, match="language_model"):
        VLKD.load(tmp_path / "m")


def test_wrong_or_missing_features(model: VLKD, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="attends to patch features"):
        model.generate(["<mask>"], torch.randn(1, 24))
    with pytest.raises(InputError, match="width 7, the model was trained with 24"):
        model.generate(["<mask>"], torch.randn(1, 7), torch.randn(1, 4, 32))
    placed = VLKD(make_bart(), VlkdConfig(dim=6, patch_width=5, patches=4))
    for count in (1, 16):
        with pytest.raises(InputError, match=f"{count} patch tokens, the model was trained with 4"):
            placed.image_states(None, torch.randn(2, count, 5))
    bare = VLKD(make_bart(), VlkdConfig(dim=6, patch_width=5))
    with pytest.raises(InputError, match="no image tower"):
        bare.encode_images([])
    with pytest.raises(InputError, match="no image tower"):
        bare.save(tmp_path / "bare")
