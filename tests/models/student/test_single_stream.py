"""The single-stream encoder: what padding, tags and masks do to its states; saving."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from tests.models.student.conftest import visual
from vldistill.errors import InputError
from vldistill.files import read_json, write_json
from vldistill.models.student import load_student, refuse_seen
from vldistill.models.student.single_stream import SingleStream, SingleStreamConfig

TEXTS = [["is the circle red?", "yes"], ["a blue square"]]


def test_shapes_and_masks(mini: SingleStream) -> None:
    batch = {**mini.tokenize(TEXTS).batch(torch.arange(2)), **visual(2, 4)}
    states = mini(batch)
    length = batch["ids"].shape[1] - 1
    assert states.cls.shape == (2, 16) and mini.pooled(states.cls).shape == (2, 16)
    assert states.text.shape == (2, length, 16) and states.regions.shape == (2, 4, 16)
    assert states.text_mask.sum(dim=1).tolist() == [8, 4] and torch.equal(states.region_mask, batch["region_mask"])


def test_padding_changes_nothing(mini: SingleStream) -> None:
    both = {**mini.tokenize(TEXTS).batch(torch.arange(2)), **visual(2, 4)}
    alone = {name: value[1:] for name, value in both.items()}
    length = int(alone["text_mask"].sum())
    alone |= {name: alone[name][:, :length] for name in ("ids", "text_mask", "types")}
    padded, compact = mini(both), mini(alone)
    torch.testing.assert_close(padded.cls[1:], compact.cls)
    torch.testing.assert_close(padded.text[1:, : length - 1], compact.text)
    torch.testing.assert_close(padded.regions[1:], compact.regions)
    both["region_features"][0, -1] = 9.0
    torch.testing.assert_close(mini(both).cls, padded.cls)


def test_text_and_regions_see_each_other(mini: SingleStream) -> None:
    batch = {**mini.tokenize(TEXTS).batch(torch.arange(2)), **visual(2, 4)}
    batch["region_features"].requires_grad_()
    states = mini(batch)
    # of one feature, since the sum over all is constant behind a layer norm
    (text,) = torch.autograd.grad(states.text[1, :, 0].sum() + states.cls[1, 0], batch["region_features"])
    assert text[1].abs().sum() > 0 and text[0].abs().sum() == 0, "rows must not mix"


def test_a_tag_moves_only_the_region_that_carries_it_into_the_encoder(mini: SingleStream) -> None:
    batch = {**mini.tokenize(TEXTS).batch(torch.arange(2)), **visual(2, 4)}
    none = mini({**batch, "region_tags": torch.zeros(2, 4, dtype=torch.long)})
    torch.testing.assert_close(none.cls, mini(batch).cls)
    tags = torch.zeros(2, 4, dtype=torch.long)
    tags[1, 2] = mini.tokenizer.word_id("square")
    tagged = mini({**batch, "region_tags": tags})
    torch.testing.assert_close(tagged.regions[0], none.regions[0])
    assert (tagged.regions[1, 2] - none.regions[1, 2]).abs().max() > 0.01


def test_saved_and_loaded_alike(mini: SingleStream, tmp_path: Path) -> None:
    mini.save(tmp_path)
    again = load_student(tmp_path)
    assert isinstance(again, SingleStream)
    batch = {**mini.tokenize(TEXTS).batch(torch.arange(2)), **visual(2, 4)}
    assert torch.equal(again(batch).cls, mini(batch).cls)
    assert again.facts == {"note": "tiny"} and again.config == mini.config and not again.training


def test_broken_folders_are_named(mini: SingleStream, tmp_path: Path) -> None:
    mini.save(tmp_path)
    weights = tmp_path / "model.safetensors"
    whole = weights.read_bytes()
    weights.write_bytes(whole[:100])
    with pytest.raises(InputError, match="the student does not load"):
        SingleStream.load(tmp_path)
    weights.write_bytes(whole)
    config = read_json(tmp_path / "config.json")
    write_json(tmp_path / "config.json", {**config, "kind": "vilt"})
    with pytest.raises(InputError, match=r"field kind: a student of kind 'vilt'"):
        SingleStream.load(tmp_path)
    write_json(tmp_path / "config.json", {**config, "kind": "other"})
    with pytest.raises(InputError, match=r"field kind: no student of kind 'other'"):
        load_student(tmp_path)
    write_json(tmp_path / "config.json", {**config, "config": {**config["config"], "width": 32}})
    with pytest.raises(InputError, match="the student does not load"):
        SingleStream.load(tmp_path)
    write_json(tmp_path / "config.json", {**config, "format": 0})
    with pytest.raises(InputError, match="not a student of format 1"):
        SingleStream.load(tmp_path)


def test_heads_must_divide_the_width() -> None:
    with pytest.raises(ValueError, match=r"heads \(3\) must divide width \(16\)"):
        SingleStreamConfig(width=16, heads=3)


def test_weights_that_saw_the_task_are_refused() -> None:
    refuse_seen({"seen": ["vcr"]}, "snli_ve", 1)
    refuse_seen({}, "vcr", 1)
    refuse_seen({"seen": ["vcr"]}, "vcr", 100)
    with pytest.raises(InputError, match=r"model\.pt, field seen: .*vcr's training set"):
        refuse_seen({"seen": ["vcr"]}, "vcr", 25, source="model.pt")
    for percent in (1, 100):
        with pytest.raises(InputError, match="the priors and questions of its tests"):
            refuse_seen({"seen": ["vqa"]}, "vqa", percent)
