"""ViLT behind the students' interface, against transformers itself."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from transformers import PreTrainedModel, PreTrainedTokenizerFast, ViltConfig, ViltForQuestionAnswering, ViltModel

from vldistill.errors import InputError
from vldistill.models.student import load_student, refuse_seen
from vldistill.models.student.tokens import WordPieceTokenizer
from vldistill.models.student.vilt import Vilt, load_published_vilt
from vldistill.training.dropout import set_dropout

TEXTS = [["is the circle red?"], ["a blue square"]]


@pytest.fixture
def vilt(tokenizer: WordPieceTokenizer) -> Vilt:
    torch.manual_seed(0)
    config = ViltConfig(
        vocab_size=len(tokenizer), hidden_size=32, num_hidden_layers=2, num_attention_heads=2, intermediate_size=48,
        image_size=64, patch_size=16, max_position_embeddings=20, initializer_range=0.2,
    )  # fmt: skip
    model = ViltModel(config)
    torch.nn.init.normal_(model.embeddings.position_embeddings, std=0.5)
    torch.nn.init.normal_(model.embeddings.cls_token, std=0.5)
    return Vilt(model, tokenizer, {"source": "tiny", "seen": []}).eval()


def pictures() -> list[Image.Image]:
    rng = np.random.default_rng(0)
    return [
        Image.fromarray(rng.integers(0, 256, (height, width, 3), dtype=np.uint8))
        for height, width in ((40, 64), (64, 64))
    ]


def batch_of(vilt: Vilt) -> dict[str, torch.Tensor]:
    return {**vilt.tokenize(TEXTS).batch(torch.arange(2)), **vilt.rule.prepare(pictures())}


def test_states_are_those_of_transformers_with_patches_in_their_places(vilt: Vilt) -> None:
    batch = batch_of(vilt)
    with torch.no_grad():
        states = vilt(batch)
        expected = vilt.model(
            input_ids=batch["ids"],
            attention_mask=batch["text_mask"].long(),
            token_type_ids=batch["types"],
            pixel_values=batch["pixels"],
            pixel_mask=batch["pixel_mask"],
        )
        length = batch["ids"].shape[1]
        torch.testing.assert_close(states.cls, expected.last_hidden_state[:, 0], atol=1e-5, rtol=1e-4)
        torch.testing.assert_close(states.text, expected.last_hidden_state[:, 1:length], atol=1e-5, rtol=1e-4)
        torch.testing.assert_close(states.regions[:, 0], expected.last_hidden_state[:, length], atol=1e-5, rtol=1e-4)
        torch.testing.assert_close(vilt.pooled(states.cls), expected.pooler_output, atol=1e-5, rtol=1e-4)
    filled = states.region_mask.sum(dim=1)
    for row in range(2):
        ours = states.regions[row, states.region_mask[row]].sum(dim=0)
        theirs = expected.last_hidden_state[row, length : length + int(filled[row])].sum(dim=0)
        torch.testing.assert_close(ours, theirs, atol=1e-4, rtol=1e-4)


def test_a_patch_has_the_state_of_its_place(vilt: Vilt) -> None:
    batch = batch_of(vilt)
    with torch.no_grad():
        before = vilt(batch).regions
        batch["pixels"][1, :, 16:32, 32:48] += 3.0
        moved = (vilt(batch).regions - before)[1].norm(dim=-1)
    across = batch["pixels"].shape[-1] // 16
    assert int(moved[1:].argmax()) == across + 2


def test_images_that_are_prepared_alone_make_the_same_batch(vilt: Vilt) -> None:
    together = vilt.rule.prepare(pictures())
    joined = vilt.rule.joined([vilt.rule.prepare([picture]) for picture in pictures()])
    assert set(joined) == set(together) and all(torch.equal(joined[name], together[name]) for name in together)


def test_a_box_has_the_patches_it_covers_by_area(vilt: Vilt) -> None:
    # 64 pixels high and 96 wide, beside one of 96 and 64: grids of 4 x 6 and 6 x 4, padded to 6 x 6
    mask = torch.zeros(2, 96, 96)
    mask[0, :64], mask[1, :, :64] = 1, 1
    boxes = torch.tensor([[1 / 6, 0.25, 0.5, 0.5], [0.0, 0.0, 0.125, 1.0]])
    found = vilt.rule.covered(mask, boxes)
    assert found.shape == (2, 37) and found[:, 0].tolist() == [0.0, 0.0]
    wide, tall = found[:, 1:].view(2, 6, 6)
    assert wide.nonzero().tolist() == [[1, 1], [1, 2]] and wide[1, 1:3].tolist() == pytest.approx([0.5, 0.5])
    assert tall.nonzero().tolist() == [[row, 0] for row in range(6)]
    assert tall[:, 0].tolist() == pytest.approx([1 / 6] * 6)
    uneven = vilt.rule.covered(mask[:1], torch.tensor([[0.0, 0.0, 0.25, 0.25]]))[0, 1:].view(6, 6)
    assert uneven[0].tolist() == pytest.approx([2 / 3, 1 / 3, 0, 0, 0, 0]), "half a patch counts half"
    small = vilt.rule.covered(mask[:1], torch.tensor([[0.55, 0.55, 0.551, 0.551]]))[0, 1:].view(6, 6)
    assert small.nonzero().tolist() == [[2, 3]] and small.sum() == pytest.approx(1.0), "smaller than a patch"


def test_saved_and_loaded_alike(vilt: Vilt, tmp_path: Path) -> None:
    vilt.save(tmp_path)
    again = load_student(tmp_path)
    assert isinstance(again, Vilt) and (again.width, again.positions, again.visual) == (32, 20, "pixels")
    batch = batch_of(vilt)
    with torch.no_grad():
        assert torch.equal(again(batch).cls, vilt(batch).cls)


def saved(vilt: Vilt, model: PreTrainedModel, folder: Path) -> Path:
    """A folder as transformers publishes it."""
    model.save_pretrained(folder)
    PreTrainedTokenizerFast(
        tokenizer_object=vilt.tokenizer.backend, unk_token="[UNK]", pad_token="[PAD]"
    ).save_pretrained(folder)
    return folder


def test_weights_that_were_tuned_on_a_task_are_refused(vilt: Vilt, tmp_path: Path) -> None:
    plain = load_published_vilt(saved(vilt, vilt.model, tmp_path / "vilt-b32-mlm"))
    assert plain.facts["seen"] == []
    named = load_published_vilt(saved(vilt, vilt.model, tmp_path / "vilt-b32-finetuned-vqa"))
    tuned = load_published_vilt(saved(vilt, ViltForQuestionAnswering(vilt.model.config), tmp_path / "renamed"))
    for student in (named, tuned):
        student.save(tmp_path / "student")
        again = load_student(tmp_path / "student")
        assert again.facts["seen"] == ["vqa"]
        refuse_seen(again.facts, "snli_ve", 1)
        with pytest.raises(InputError, match="trained on all of vqa's training set"):
            refuse_seen(again.facts, "vqa", 100)


def test_published_folders(vilt: Vilt, tmp_path: Path) -> None:
    again = load_published_vilt(saved(vilt, vilt.model, tmp_path))
    batch = batch_of(vilt)
    with torch.no_grad():
        torch.testing.assert_close(again(batch).cls, vilt(batch).cls)
    with pytest.raises(InputError, match="ViLT does not load"):
        load_published_vilt(tmp_path / "absent")


@pytest.mark.parametrize(("rate", "attention", "random"), [(0.0, 0.5, True), (0.0, 0.0, False), (0.5, 0.0, True)])
def test_attention_has_a_rate_of_its_own(vilt: Vilt, rate: float, attention: float, random: bool) -> None:
    set_dropout(vilt, rate, attention)
    rates = {name: part.p for name, part in vilt.named_modules() if isinstance(part, torch.nn.Dropout)}
    inner = {name for name in rates if name.endswith("attention.attention.dropout")}
    assert len(inner) == 2 and {rates[name] for name in inner} == {attention}
    assert {value for name, value in rates.items() if name not in inner} == {rate}
    batch = batch_of(vilt)
    vilt.train()
    assert torch.equal(vilt(batch).cls, vilt(batch).cls) is not random
