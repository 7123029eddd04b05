"""The language-model adapter against transformers itself."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from transformers import AutoModelForSeq2SeqLM, AutoTokenizer, BertConfig
from transformers.modeling_outputs import BaseModelOutput

from vldistill.errors import InputError
from vldistill.models.language_model import IGNORED, LanguageModel, length_groups, load_language_model


@pytest.fixture(params=["bart", "t5"])
def model(request: pytest.FixtureRequest) -> LanguageModel:
    return request.getfixturevalue(request.param)


def states_with_image(model: LanguageModel, texts: list[str]) -> tuple[torch.Tensor, torch.Tensor]:
    """Encoder states with three foreign columns before them, as VLKD puts image tokens: K + L columns."""
    ids, mask = model.tokenize(texts)
    with torch.inference_mode():
        text = model.encode(ids, mask)
    image = torch.randn(len(texts), 3, model.width, generator=torch.Generator().manual_seed(1))
    return torch.cat([image, text], dim=1), torch.cat([torch.ones(len(texts), 3, dtype=mask.dtype), mask], dim=1)


def test_greedy_equals_transformers_generate(model: LanguageModel, texts: list[str]) -> None:
    states, mask = states_with_image(model, texts)
    begin = torch.tensor([model.decoder_start] * len(texts))
    with torch.inference_mode():
        reference = model.model.generate(
            encoder_outputs=BaseModelOutput(last_hidden_state=states), attention_mask=mask, decoder_input_ids=begin,
            do_sample=False, num_beams=1, max_new_tokens=9, forced_eos_token_id=None, forced_bos_token_id=None,
        )  # fmt: skip
    end = model.model.config.eos_token_id
    expected = []
    for row in reference[:, begin.shape[1] :].tolist():
        expected.append(model.read_output(row[: row.index(end)] if end in row else row))
    got = model.generate(states, mask, max_new_tokens=9)
    assert got == expected
    assert len(set(got)) > 1, "random weights that answer everything alike would compare nothing"


def test_beams_equal_transformers_generate(model: LanguageModel, texts: list[str]) -> None:
    states, mask = states_with_image(model, texts)
    begin = torch.tensor([model.decoder_start] * len(texts))
    with torch.inference_mode():
        reference = model.model.generate(
            encoder_outputs=BaseModelOutput(last_hidden_state=states), attention_mask=mask, decoder_input_ids=begin,
            do_sample=False, num_beams=3, max_new_tokens=6, early_stopping=True, forced_eos_token_id=None,
            forced_bos_token_id=None,
        )  # fmt: skip
    end = model.model.config.eos_token_id
    rows = reference[:, begin.shape[1] :].tolist()
    expected = [model.read_output(row[: row.index(end)] if end in row else row) for row in rows]
    assert model.generate(states, mask, num_beams=3, max_new_tokens=6) == expected


def test_bart_starts_as_its_own_generate_does(bart: LanguageModel, texts: list[str]) -> None:
    """decoder start ``</s>`` plus the forced ``<s>``: transformers' generate with a published configuration."""
    ids, mask = bart.tokenize(texts)
    with torch.inference_mode():
        reference = bart.model.generate(
            input_ids=ids, attention_mask=mask, do_sample=False, num_beams=1, max_new_tokens=8,
            forced_bos_token_id=bart.tokenizer.bos_token_id, forced_eos_token_id=None,
        )  # fmt: skip
        states = bart.encode(ids, mask)
    assert reference[:, :2].tolist() == [bart.decoder_start] * len(texts)
    expected = bart.tokenizer.batch_decode(reference, skip_special_tokens=True)
    assert bart.generate(states, mask, max_new_tokens=7) == [text.strip() for text in expected]


def test_rows_do_not_depend_on_their_batch(model: LanguageModel, texts: list[str]) -> None:
    states, mask = states_with_image(model, texts)
    prefix = ["a", "two red", "", "question: what does it", "a blue"]
    together = model.generate(states, mask, prefix=prefix, max_new_tokens=9)
    alone = [
        model.generate(states[row : row + 1], mask[row : row + 1], prefix=[prefix[row]], max_new_tokens=9)[0]
        for row in range(len(texts))
    ]
    assert together == alone


def test_states_behind_the_mask_are_ignored(model: LanguageModel, texts: list[str]) -> None:
    states, mask = states_with_image(model, texts)
    noisy = torch.where(mask.unsqueeze(-1).bool(), states, torch.full_like(states, 7.0))
    labels = model.labels(texts)
    torch.testing.assert_close(model.decode_loss(states, mask, labels), model.decode_loss(noisy, mask, labels))
    masked = mask.clone()
    masked[:, :3] = 0
    assert not torch.isclose(model.decode_loss(states, mask, labels), model.decode_loss(states, masked, labels))


def test_loss_equals_transformers_loss(model: LanguageModel, texts: list[str]) -> None:
    ids, mask = model.tokenize(texts)
    labels = model.labels(texts)
    reference = model.model(input_ids=ids, attention_mask=mask, labels=labels).loss
    states = model.encode(ids, mask)
    torch.testing.assert_close(model.decode_loss(states, mask, labels), reference)
    each = model.decode_loss(states, mask, labels, per_token=True)
    assert each.shape == labels.shape
    torch.testing.assert_close(each.sum() / (labels != -100).sum(), reference)


def test_saved_model_loads_as_a_published_one(model: LanguageModel, texts: list[str], tmp_path) -> None:
    model.save(tmp_path / "model")
    again = load_language_model(tmp_path / "model")
    plain = AutoModelForSeq2SeqLM.from_pretrained(tmp_path / "model")
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "model")
    assert tokenizer(texts)["input_ids"] == [model.with_specials(row) for row in model.ids(texts)]
    for name, value in model.model.state_dict().items():
        assert torch.equal(value, again.model.state_dict()[name]), name
        assert torch.equal(value, plain.state_dict()[name]), name
    states, mask = states_with_image(model, texts)
    assert again.generate(states, mask, max_new_tokens=5) == model.generate(states, mask, max_new_tokens=5)


def test_bart_infilling_keeps_the_whole_text_as_target(bart: LanguageModel, texts: list[str]) -> None:
    batch = bart.corrupt(texts, np.random.default_rng(0), mask_ratio=0.3, span=3.0)
    full = bart.labels(texts)
    assert torch.equal(batch.labels, full)
    assert (batch.ids == bart.tokenizer.mask_token_id).any(dim=1).all()
    whole = bart.corrupt(texts, np.random.default_rng(0), whole=1.0)
    only = bart.with_specials([bart.tokenizer.mask_token_id])
    assert whole.ids.tolist() == [only] * len(texts)


def test_t5_infilling_restores_the_text(t5: LanguageModel, texts: list[str]) -> None:
    batch = t5.corrupt(texts, np.random.default_rng(0), mask_ratio=0.4, span=2.0)
    for text, source, mask, target in zip(t5.ids(texts), batch.ids, batch.mask, batch.labels, strict=True):
        source = source[mask.bool()].tolist()[:-1]
        target = [token for token in target.tolist() if token != -100][:-1]
        spans: dict[int, list[int]] = {}
        for token in target:
            if token in t5.sentinels:
                current = spans.setdefault(token, [])
            else:
                current.append(token)
        restored = [out for token in source for out in spans.get(token, [token])]
        assert restored == text


def test_t5_answer_ends_at_the_next_sentinel(t5: LanguageModel) -> None:
    first, second = t5.sentinels[:2]
    words, more = t5.ids(["a blue square", "three"])
    assert t5.read_output([first, *words, second, *more]) == "a blue square"
    assert t5.read_output(words) == "a blue square"


def test_pooling(bart: LanguageModel, t5: LanguageModel) -> None:
    states = torch.arange(2 * 3 * 1, dtype=torch.float32).view(2, 3, 1)
    mask = torch.tensor([[1, 1, 1], [1, 1, 0]])
    assert bart.pool(states, mask, "<s>").tolist() == [[0.0], [3.0]]
    assert bart.pool(states, mask, "</s>").tolist() == [[2.0], [4.0]]
    assert t5.pool(states, mask, "mean").tolist() == [[1.0], [3.5]]
    with pytest.raises(InputError, match="</s>, mean"):
        t5.pool(states, mask, "<s>")


def test_state_norm_has_the_scale_of_encoder_states(model: LanguageModel, texts: list[str]) -> None:
    ids, mask = model.tokenize(texts)
    with torch.inference_mode():
        own = model.encode(ids, mask)[mask.bool()]
        foreign = model.state_norm()(torch.randn(50, model.width) * 30)
    assert 0.5 < (own.pow(2).mean() / foreign.pow(2).mean()).item() < 2


def test_errors_say_what_to_do(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(InputError, match="save_pretrained"):
        load_language_model(tmp_path / "nothing")
    BertConfig(vocab_size=10).save_pretrained(tmp_path / "bert")
    with pytest.raises(InputError, match=r"no adapter for 'bert'.*bart, t5"):
        load_language_model(tmp_path / "bert")


def test_length_groups_save_padding_and_hold_every_row_once() -> None:
    lengths = [3, 18, 4, 17] * 8
    groups = length_groups(lengths)
    assert sorted(row for rows, _ in groups for row in rows) == list(range(len(lengths)))
    assert all(longest == max(lengths[row] for row in rows) for rows, longest in groups)
    assert sum(len(rows) * longest for rows, longest in groups) == 16 * 4 + 16 * 18
    assert length_groups([5] * 40) == [(list(range(40)), 5)], "nothing to save"
    assert length_groups([9, 1, 9]) == [([0, 1, 2], 9)], "too few rows to be cut"


def test_groups_of_rows_give_what_each_row_gives_alone(model: LanguageModel, texts: list[str]) -> None:
    many = [" ".join([text] * (1 + 4 * (row % 2))) for row, text in enumerate(texts * 16)][:32]
    ids, mask = model.tokenize(many)
    labels = model.labels(many[::-1])
    for lengths in (mask.sum(dim=1), (labels != IGNORED).sum(dim=1)):
        assert len(length_groups(lengths.tolist())) > 1, "one group would compare nothing"
    states = model.encode(ids, mask)
    losses = model.decode_loss(states, mask, labels, per_token=True)
    for row in range(0, len(many), 5):
        size, written = int(mask[row].sum()), int((labels[row] != IGNORED).sum())
        alone = model.encode(ids[row : row + 1, :size], mask[row : row + 1, :size])
        torch.testing.assert_close(states[row : row + 1, :size], alone, atol=1e-5, rtol=1e-4)
        loss = model.decode_loss(alone, mask[row : row + 1, :size], labels[row : row + 1, :written], per_token=True)
        torch.testing.assert_close(losses[row, :written], loss[0], atol=1e-4, rtol=1e-4)
        assert not losses[row, written:].any()
    mean = model.decode_loss(states, mask, labels)
    torch.testing.assert_close(mean, losses.sum() / (labels != IGNORED).sum())
