"""Published weights: the key names and shapes of UNITER's and VILLA's files, written down from their source."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor
from transformers import BertConfig, BertModel

from tests.models.student.conftest import visual
from vldistill.errors import InputError
from vldistill.files import sha256_file
from vldistill.models.student import SingleStream, load_student, refuse_seen
from vldistill.models.student.published import (
    _fill,
    _shape,
    encoder_state,
    load_published,
    published_shapes,
    seen_tasks,
)
from vldistill.models.student.tokens import WordPieceTokenizer

BASE = {"vocabulary": 28996, "width": 768, "feedforward": 3072, "region": 2048, "labels": 1601, "positions": 512}
TINY = {"vocabulary": 40, "width": 128, "feedforward": 96, "region": 12, "labels": 5, "positions": 24}


def uniter_state(layers: int, sizes: dict[str, int], types: int = 2) -> dict[str, Tensor]:
    """``UniterForPretraining.state_dict()``, after ChenRocks/UNITER, model/{model,layer,pretrain}.py."""
    width, wide, region = sizes["width"], sizes["feedforward"], sizes["region"]
    generator = torch.Generator().manual_seed(0)

    def linear(name: str, outputs: int, inputs: int) -> dict[str, Tensor]:
        weight = torch.randn(outputs, inputs, generator=generator) * 0.05
        return {f"{name}.weight": weight, f"{name}.bias": torch.randn(outputs, generator=generator) * 0.1}

    def norm(name: str) -> dict[str, Tensor]:
        return {f"{name}.weight": 1 + torch.rand(width, generator=generator), f"{name}.bias": torch.zeros(width)}

    def table(name: str, rows: int, columns: int) -> dict[str, Tensor]:
        return {f"{name}.weight": torch.randn(rows, columns, generator=generator) * 0.3}

    text, image = "uniter.embeddings", "uniter.img_embeddings"
    state = {
        **table(f"{text}.word_embeddings", sizes["vocabulary"], width),
        **table(f"{text}.position_embeddings", sizes["positions"], width),
        **table(f"{text}.token_type_embeddings", types, width),
        **norm(f"{text}.LayerNorm"),
        **linear(f"{image}.img_linear", width, region),
        **norm(f"{image}.img_layer_norm"),
        **norm(f"{image}.pos_layer_norm"),
        **linear(f"{image}.pos_linear", width, 7),
        **table(f"{image}.mask_embedding", 2, region),
        **norm(f"{image}.LayerNorm"),
    }
    for number in range(layers):
        layer = f"uniter.encoder.layer.{number}"
        for part in ("query", "key", "value"):
            state |= linear(f"{layer}.attention.self.{part}", width, width)
        state |= {
            **linear(f"{layer}.attention.output.dense", width, width),
            **norm(f"{layer}.attention.output.LayerNorm"),
        }
        state |= linear(f"{layer}.intermediate.dense", wide, width)
        state |= {**linear(f"{layer}.output.dense", width, wide), **norm(f"{layer}.output.LayerNorm")}
    state |= {
        **linear("uniter.pooler.dense", width, width),
        "cls.predictions.bias": torch.zeros(sizes["vocabulary"]),
        **linear("cls.predictions.transform.dense", width, width),
        **norm("cls.predictions.transform.LayerNorm"),
        "cls.predictions.decoder.weight": state[f"{text}.word_embeddings.weight"],
        "feat_regress.weight": state[f"{image}.img_linear.weight"],
        "feat_regress.bias": torch.zeros(region),
        **linear("feat_regress.net.0", width, width),
        **norm("feat_regress.net.2"),
        **linear("region_classifier.net.0", width, width),
        **norm("region_classifier.net.2"),
        **linear("region_classifier.net.3", sizes["labels"], width),
        **linear("itm_output", 2, width),
    }
    return state


def save(folder: Path, state: dict, name: str = "uniter-base.pt", tokens: int = 40) -> tuple[Path, Path, str]:
    """The weights, a vocabulary and the digest."""
    file, vocabulary = folder / name, folder / "vocab.txt"
    torch.save(state, file)
    words = ["[PAD]", *(f"[unused{number}]" for number in range(1, 5)), "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    words += ["circle", "Red", "is", "the", "##s", "square"]
    vocabulary.write_text("\n".join([*words, *(f"w{number}" for number in range(tokens - len(words)))]) + "\n")
    return file, vocabulary, sha256_file(file)


def test_uniter_base_at_full_width(tmp_path: Path) -> None:
    state = uniter_state(1, BASE)
    student = load_published(*save(tmp_path, state, tokens=28996))
    config = student.config
    assert (config.width, config.heads, config.feedforward, config.layers) == (768, 12, 3072, 1)
    assert (config.region_width, config.vocabulary, config.positions, config.types) == (2048, 28996, 512, 4)
    qkv = student.state_dict()["encoder.layer.0.attention.self.qkv.weight"]
    assert torch.equal(qkv[768:1536], state["uniter.encoder.layer.0.attention.self.key.weight"])
    types = student.embeddings.token_type_embeddings.weight
    assert torch.equal(types[:2], state["uniter.embeddings.token_type_embeddings.weight"])
    assert torch.equal(types[2], types[0]) and torch.equal(types[3], types[0])
    batch = {**student.tokenize([["is the circle Reds"]]).batch(torch.arange(1)), **visual(1, 3, 2048)}
    assert student(batch).cls.isfinite().all()


# names below `uniter.` and shapes, in terms of width D and feed-forward width F; read in model/{model,layer}.py of
# ChenRocks/UNITER and zhegan27/VILLA, whose classes hold the same parameters
PUBLISHED = """
embeddings.word_embeddings.weight               28996 D
embeddings.position_embeddings.weight           512 D
embeddings.token_type_embeddings.weight         2 D
embeddings.LayerNorm.weight                     D
embeddings.LayerNorm.bias                       D
img_embeddings.img_linear.weight                D 2048
img_embeddings.img_linear.bias                  D
img_embeddings.img_layer_norm.weight            D
img_embeddings.img_layer_norm.bias              D
img_embeddings.pos_layer_norm.weight            D
img_embeddings.pos_layer_norm.bias              D
img_embeddings.pos_linear.weight                D 7
img_embeddings.pos_linear.bias                  D
img_embeddings.mask_embedding.weight            2 2048
img_embeddings.LayerNorm.weight                 D
img_embeddings.LayerNorm.bias                   D
encoder.layer.N.attention.self.query.weight     D D
encoder.layer.N.attention.self.query.bias       D
encoder.layer.N.attention.self.key.weight       D D
encoder.layer.N.attention.self.key.bias         D
encoder.layer.N.attention.self.value.weight     D D
encoder.layer.N.attention.self.value.bias       D
encoder.layer.N.attention.output.dense.weight   D D
encoder.layer.N.attention.output.dense.bias     D
encoder.layer.N.attention.output.LayerNorm.weight  D
encoder.layer.N.attention.output.LayerNorm.bias    D
encoder.layer.N.intermediate.dense.weight       F D
encoder.layer.N.intermediate.dense.bias         F
encoder.layer.N.output.dense.weight             D F
encoder.layer.N.output.dense.bias               D
encoder.layer.N.output.LayerNorm.weight         D
encoder.layer.N.output.LayerNorm.bias           D
pooler.dense.weight                             D D
pooler.dense.bias                               D
"""


def published(layers: int, width: int, feedforward: int) -> dict[str, tuple[int, ...]]:
    """Name -> shape of all weights of a published encoder."""
    shapes = {}
    for line in PUBLISHED.split("\n")[1:-1]:
        name, *sizes = line.split()
        shape = tuple({"D": width, "F": feedforward}.get(size) or int(size) for size in sizes)
        numbers = range(layers) if ".N." in name else [0]
        shapes |= {f"uniter.{name.replace('.N.', f'.{number}.')}": shape for number in numbers}
    return shapes


@pytest.mark.parametrize("name", ["uniter-base.pt", "villa-base.pt", "uniter-large.pt", "villa-large.pt"])
def test_names_and_shapes_of_the_whole_published_models(name: str, tokenizer: WordPieceTokenizer) -> None:
    layers, width, heads = (12, 768, 12) if "base" in name else (24, 1024, 16)
    shapes = published(layers, width, 4 * width)
    assert len(shapes) == 18 + 16 * layers
    with torch.device("meta"):
        state = {key: torch.empty(shape) for key, shape in shapes.items()}
        state |= {"cls.predictions.bias": torch.empty(28996), "itm_output.weight": torch.empty(2, width)}
        encoder = encoder_state(state, name)
        config = _shape(encoder, Path(name))
        student = SingleStream(config, tokenizer)
        _fill(student, encoder, Path(name))
    assert (config.layers, config.width, config.heads, config.feedforward) == (layers, width, heads, 4 * width)
    assert (config.vocabulary, config.region_width, config.positions, config.types) == (28996, 2048, 512, 2)
    expected = {key.removeprefix("uniter."): shape for key, shape in shapes.items()}
    assert published_shapes(student) == expected
    del encoder["encoder.layer.11.output.dense.bias"]
    with pytest.raises(InputError, match=r"missing keys: encoder\.layer\.11\.output\.dense\.bias"):
        _fill(student, encoder, Path(name))


def test_the_encoder_computes_what_bert_computes(tmp_path: Path) -> None:
    """transformers' BERT with the same weights, over the same embeddings: an independent implementation."""
    state = uniter_state(3, TINY)
    student = load_published(*save(tmp_path, state), types=2)
    bert = BertModel(
        BertConfig(
            vocab_size=40, hidden_size=128, num_hidden_layers=3, num_attention_heads=2, intermediate_size=96,
            max_position_embeddings=24, layer_norm_eps=1e-12, attn_implementation="eager",
        )
    ).eval()  # fmt: skip
    own = {name.removeprefix("uniter."): value for name, value in state.items() if name.startswith("uniter.")}
    bert.load_state_dict({name: value for name, value in own.items() if not name.startswith("img_")}, strict=True)
    batch = {**student.tokenize([["is the circle"], ["square"]]).batch(torch.arange(2)), **visual(2, 4)}
    with torch.no_grad():
        text_only = {**batch, "region_mask": torch.zeros(2, 4, dtype=torch.bool)}
        expected = bert(input_ids=batch["ids"], attention_mask=batch["text_mask"].long())
        states = student(text_only)
        torch.testing.assert_close(states.cls, expected.last_hidden_state[:, 0], atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(student.pooled(states.cls), expected.pooler_output, atol=1e-5, rtol=1e-5)
        image = student.img_embeddings(batch, own["embeddings.token_type_embeddings.weight"][1], None)
        mask = torch.cat([batch["text_mask"], batch["region_mask"]], dim=1)
        hidden = torch.cat([bert.embeddings(batch["ids"]), image], dim=1)
        bias = torch.zeros(mask.shape).masked_fill(~mask, -1e9)[:, None, None, :]
        joint = bert.encoder(hidden, attention_mask=bias).last_hidden_state
        length = batch["ids"].shape[1]
        torch.testing.assert_close(student(batch).regions[1], joint[1, length:], atol=1e-5, rtol=1e-5)


def old_names(state: dict[str, Tensor]) -> dict[str, Tensor]:
    new = {name.replace("uniter.", "bert."): value for name, value in state.items()}
    return {
        name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta"): value
        for name, value in new.items()
    }


@pytest.mark.parametrize(
    "variant",
    [
        old_names,
        lambda state: {"model_state": state, "step": 3},
        lambda state: {f"module.{name}": value for name, value in state.items()},
        lambda state: {name.removeprefix("uniter."): v for name, v in state.items() if name.startswith("uniter.")},
        lambda state: {name: value.half() for name, value in state.items()},
    ],
    ids=["bert_gamma_beta", "wrapped", "data_parallel", "bare", "half"],
)
def test_variants_of_the_files(tmp_path: Path, variant) -> None:
    state = uniter_state(2, TINY)
    student = load_published(*save(tmp_path, variant(state), "villa-base.pt"))
    own = student.state_dict()["encoder.layer.1.output.dense.weight"]
    torch.testing.assert_close(own, state["uniter.encoder.layer.1.output.dense.weight"], atol=1e-3, rtol=1e-3)
    assert student.facts["seen"] == []
    student.save(tmp_path / "saved")
    again = load_student(tmp_path / "saved")
    assert isinstance(again, SingleStream) and again.facts["source"] == "villa-base.pt"


def test_wrong_keys_are_named(tmp_path: Path) -> None:
    state = uniter_state(2, TINY)
    del state["uniter.pooler.dense.bias"]
    state["uniter.encoder.layer.1.output.dense.bias"] = torch.zeros(3)
    state["vqa_output.0.weight"] = torch.zeros(2, 2)
    with pytest.raises(InputError) as caught:
        load_published(*save(tmp_path, state))
    for part in (
        "missing keys: pooler.dense.bias",
        "unknown keys: vqa_output.0.weight",
        "wrong shape: encoder.layer.1.output.dense.bias",
    ):
        assert part in str(caught.value)
    del state["uniter.img_embeddings.img_linear.weight"]
    with pytest.raises(InputError, match=r"field img_embeddings\.img_linear\.weight: missing"):
        load_published(*save(tmp_path, state))
    with pytest.raises(InputError, match=r"no text embeddings below uniter"):
        load_published(*save(tmp_path, {"weight": torch.zeros(2)}))


def test_files_that_are_not_the_expected_ones(tmp_path: Path) -> None:
    file, vocabulary, digest = save(tmp_path, uniter_state(1, TINY))
    with pytest.raises(InputError, match=r"its sha256 is .*, not 00"):
        load_published(file, vocabulary, "00")
    with pytest.raises(InputError, match="no such file"):
        load_published(tmp_path / "absent.pt", vocabulary, digest)
    with pytest.raises(InputError, match="not a vocabulary"):
        load_published(file, tmp_path / "absent.txt", digest)
    broken = tmp_path / "broken.pt"
    broken.write_bytes(b"not a pickle")
    with pytest.raises(InputError, match="not a file of weights"):
        load_published(broken, vocabulary, sha256_file(broken))
    with pytest.raises(InputError, match=r"41 tokens, but the weights hold 40"):
        load_published(*save(tmp_path, uniter_state(1, TINY), tokens=41))


@pytest.mark.parametrize(
    ("name", "seen"),
    [
        ("uniter-base.pt", []),
        ("villa-large.pt", []),
        ("uniter-base-vcr_2nd_stage.pt", ["vcr"]),
        ("villa-base-vcr-2nd-stage.pt", ["vcr"]),
        ("snli-ve-tuned.pt", ["snli_ve"]),
        ("uniter_ve.pt", ["snli_ve"]),
        ("vqa2.pt", ["vqa"]),
        ("dandelin/vilt-b32-mlm", []),
        ("dandelin/vilt-b32-finetuned-vqa", ["vqa"]),
        ("vcr/vilt-b32-1.0-vqa", ["vqa"]),
    ],
)
def test_names_tell_what_was_seen(name: str, seen: list[str]) -> None:
    assert seen_tasks(name) == seen


def test_second_stage_weights_are_refused_in_low_shot_runs_under_any_name(tmp_path: Path) -> None:
    state = uniter_state(1, {**TINY, "vocabulary": 121}, types=4)
    student = load_published(*save(tmp_path, state, "renamed.pt"))
    assert student.facts["seen"] == ["vcr"] and student.config.vocabulary == 121
    with pytest.raises(InputError, match="low-shot"):
        refuse_seen(student.facts, "vcr", 10)
