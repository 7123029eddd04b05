"""The equations against numbers worked out by hand, and where each loss's gradient goes."""

from __future__ import annotations

import math

import pytest
import torch
from project import make_bart
from torch import Tensor

from vldistill.distill.losses import icti, itcl, itcl_sigmoid, ttdm
from vldistill.models.vlkd import VLKD, VlkdConfig, joined

APART = {"captions": torch.tensor([0, 1]), "images": torch.tensor([0, 1])}


def test_ttdm_raw_and_unit() -> None:
    s, z_t = torch.tensor([[3.0, 0.0], [0.0, 2.0]]), torch.tensor([[0.0, 4.0], [0.0, 5.0]])
    assert ttdm(s, z_t, unit=False).item() == pytest.approx((9 + 16 + 9) / 2)
    assert ttdm(s, z_t, unit=True).item() == pytest.approx((2 + 0) / 2)  # 2 - 2 cos, cosines 0 and 1


def test_itcl_two_pairs() -> None:
    # cosines: own pairs 1 and 1, foreign ones 0 and 0; scale 2
    s, z_v = torch.tensor([[5.0, 0.0], [0.0, 0.1]]), torch.tensor([[1.0, 0.0], [0.0, 3.0]])
    expected = -math.log(math.exp(2) / (math.exp(2) + 1))
    assert itcl(s, z_v, torch.tensor(math.log(2.0)), **APART).item() == pytest.approx(expected, rel=1e-6)


def test_itcl_directions_differ_and_are_averaged() -> None:
    s, z_v = torch.tensor([[1.0, 0.0], [0.6, 0.8]]), torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    e = math.exp
    text = -(math.log(e(1) / (e(1) + e(0))) + math.log(e(0.8) / (e(0.6) + e(0.8)))) / 2
    image = -(math.log(e(1) / (e(1) + e(0.6))) + math.log(e(0.8) / (e(0) + e(0.8)))) / 2
    assert itcl(s, z_v, torch.tensor(0.0), **APART).item() == pytest.approx((text + image) / 2, rel=1e-6)


@pytest.mark.parametrize("same", ["captions", "images"])
def test_repeated_captions_and_images_are_no_negatives(same: str) -> None:
    torch.manual_seed(0)
    s, z_v = torch.randn(3, 4), torch.randn(3, 4)
    numbers = {"captions": torch.arange(3), "images": torch.arange(3), same: torch.tensor([0, 1, 0])}
    loss = itcl(s, z_v, torch.tensor(1.0), **numbers)
    logits = math.e * torch.nn.functional.normalize(s, dim=1) @ torch.nn.functional.normalize(z_v, dim=1).T
    allowed = [[0, 1], [0, 1, 2], [1, 2]]
    rows = [-(logits[i, i] - logits[i, allowed[i]].logsumexp(0)) for i in range(3)]
    columns = [-(logits[i, i] - logits[allowed[i], i].logsumexp(0)) for i in range(3)]
    assert loss.item() == pytest.approx((sum(rows) / 3 + sum(columns) / 3).item() / 2, rel=1e-5)


def test_sigmoid_two_pairs() -> None:
    s = z_v = torch.eye(2)
    loss = itcl_sigmoid(s, z_v, torch.tensor(math.log(3.0)), torch.tensor(-1.0), **APART)
    expected = math.log(1 + math.exp(-(3 - 1))) + math.log(1 + math.exp(-1.0))  # own pair, one foreign pair
    assert loss.item() == pytest.approx(expected, rel=1e-6)


def test_temperature_is_limited_like_clips() -> None:
    s, z_v = torch.eye(2), torch.tensor([[0.9, 0.1], [0.1, 0.9]])
    one, other = (itcl(s, z_v, torch.tensor(math.log(x)), **APART).item() for x in (100.0, 5000.0))
    assert one == other


def test_temperature_leaves_its_limit_and_does_not_pass_it() -> None:
    """OpenAI's CLIP stands at the limit (exp(4.6052) is 100.0000076 in fp32); learning must be able to lead away."""

    def gradient(s: torch.Tensor) -> float:
        log_scale = torch.tensor(4.6052, requires_grad=True)
        itcl(s, torch.eye(2), log_scale, **APART).backward()
        assert log_scale.grad is not None
        return log_scale.grad.item()

    assert gradient(torch.tensor([[0.1, 0.9], [0.9, 0.1]])) > 0, "wrong pairs: a step lowers the scale"
    assert gradient(torch.tensor([[0.6, 0.58], [0.58, 0.6]])) == 0, "right pairs: no step above the limit"


def make_model(image_states: str = "both") -> VLKD:
    return VLKD(make_bart(), VlkdConfig(dim=6, patch_width=5, image_states=image_states)).eval()


def test_icti_is_the_mean_token_loss_given_image_and_text_states() -> None:
    model = make_model("patch")
    ids, mask = model.language_model.tokenize(["a <mask> star", "a blue <mask> on the left"])
    labels = model.language_model.labels(["a red star", "a blue square on the left"])
    states = model.language_model.encode(ids, mask)
    image, image_mask = model.image_states(None, torch.randn(2, 4, 5))
    loss = icti(model.language_model, image, image_mask, states, mask, labels)
    logits = model.language_model.model(
        encoder_outputs=(torch.cat([image, states], 1),), attention_mask=torch.cat([image_mask, mask], 1), labels=labels
    ).logits
    chosen = labels != -100
    expected = -logits.log_softmax(-1)[chosen].gather(1, labels[chosen][:, None]).mean()
    assert loss.item() == pytest.approx(expected.item(), rel=1e-5)


def test_mask_covers_image_and_text_columns() -> None:
    image, text = torch.zeros(2, 3, 8), torch.zeros(2, 5, 8)
    text_mask = torch.tensor([[1, 1, 1, 1, 1], [1, 1, 0, 0, 0]])
    states, mask = joined(image, torch.ones(2, 3, dtype=torch.long), text, text_mask)
    assert states.shape == (2, 8, 8) and mask.tolist() == [[1] * 8, [1] * 5 + [0] * 3]
    with pytest.raises(AssertionError):
        joined(image, torch.ones(2, 2, dtype=torch.long), text, text_mask)


def test_the_decoder_sees_the_last_image_state_and_no_padding() -> None:
    model = make_model("patch")
    lm = model.language_model
    ids, mask = lm.tokenize(["a star", "a blue square on the left side of it"])
    labels = lm.labels(["a red star", "a blue square"])
    patch = torch.randn(2, 4, 5)

    def losses(patch: Tensor) -> Tensor:
        states, joint = joined(*model.image_states(None, patch), lm.encode(ids, mask), mask)
        return lm.decode_loss(states, joint, labels, per_token=True).sum(1)

    changed = patch.clone()
    changed[:, -1] += 3.0
    assert (losses(changed) - losses(patch)).abs().min() > 1e-5


ENCODER, DECODER, TEXT, IMAGE = "encoder", "decoder", "text_projection", "image_projections"
REACHES = {
    "ttdm": {ENCODER, TEXT},
    "itcl": {ENCODER, TEXT, "log_scale"},
    "itcl_sigmoid": {ENCODER, TEXT, "log_scale", "bias"},
    "icti": {ENCODER, DECODER, IMAGE},
}


@pytest.mark.parametrize("name", REACHES)
def test_each_loss_reaches_exactly_the_parameters_named_for_it(name: str) -> None:
    model = make_model()
    lm = model.language_model
    ids, mask = lm.tokenize(["a red star", "a blue square"])
    states = lm.encode(ids, mask)
    s = model.text_vectors(states, mask)
    z = torch.randn(2, 6)
    if name == "ttdm":
        loss = ttdm(s, z, unit=True)
    elif name == "icti":
        image = model.image_states(z, torch.randn(2, 4, 5))
        loss = icti(lm, *image, states, mask, lm.labels(["a red star", "a blue square"]))
    else:
        extra = (model.bias,) if name == "itcl_sigmoid" else ()
        loss = {"itcl": itcl, "itcl_sigmoid": itcl_sigmoid}[name](s, z, model.log_scale, *extra, **APART)
    loss.backward()
    groups: dict[str, list[bool]] = {}
    for parameter, value in model.named_parameters():
        groups.setdefault(group(parameter), []).append(value.grad is not None and bool(value.grad.any()))
    shared = groups.pop("shared")  # the embedding: read by the encoder, read and written by the decoder
    assert shared == [True]
    assert {part for part, found in groups.items() if any(found)} == REACHES[name]
    for part in REACHES[name] - {ENCODER, DECODER}:
        assert all(groups[part]), part
    if name == "icti":
        # a key's bias shifts all scores of a row alike, so its gradient vanishes; everything else must learn
        dead = [p for p, v in model.named_parameters() if (v.grad is None or v.grad.abs().max() < 1e-12)]
        assert [p for p in dead if group(p) in (ENCODER, DECODER, IMAGE) and "k_proj.bias" not in p] == []


def group(parameter: str) -> str:
    for part in (ENCODER, DECODER):
        if f".{part}." in parameter:
            return part
    return "shared" if "shared" in parameter else parameter.split(".")[0]
