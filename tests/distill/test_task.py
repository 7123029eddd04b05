"""The task: which arms see the same data, one encoder pass or two, gradients of cut batches."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from project import TRAINING, make_bart

from vldistill import layout
from vldistill.distill.cell import build_model, load_pairs, replay_texts
from vldistill.distill.task import VlkdTask, set_dropout
from vldistill.features.store import open_store
from vldistill.files import write_json
from vldistill.models.language_model import HELD_OUT
from vldistill.models.teacher import load_teacher
from vldistill.params.distill import VlkdOptions
from vldistill.records.types import read_texts
from vldistill.training import Run, seed_everything, train


def make_task(root: Path, **changes: Any) -> VlkdTask:
    options = VlkdOptions.model_validate({"training": TRAINING} | changes)
    features = open_store(layout.features(root, "clip", "cc3m"))
    seed_everything(0)
    model = build_model(make_bart(), load_teacher(layout.pretrain(root, "clip")), options)
    texts = replay_texts(layout.download(root, "corpus"), layout.pretrain(root, "bart"), options)
    return VlkdTask(model, load_pairs(layout.download(root, "cc3m"), features), features, texts, options, seed=0)


def batch_of(task: VlkdTask, step: int = 0) -> dict[str, Any]:
    return task.collate(task.sampler.batch(step), np.random.default_rng([0, step, 0]))


def test_one_pass_equals_two(made: Path) -> None:
    one, two = make_task(made, one_pass=True), make_task(made, one_pass=False)
    step = next(step for step in range(20) if "replay" in batch_of(one, step))
    first, second = one.loss(batch_of(one, step)), two.loss(batch_of(two, step))
    assert set(first) == set(second) == {"ttdm", "itcl", "icti", "replay"}
    for name in first:
        torch.testing.assert_close(first[name], second[name], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("changes", "gone"),
    [
        ({"weights": {"ttdm": 0.0}}, {"ttdm"}),
        ({"weights": {"itcl": 0.0}}, {"itcl"}),
        ({"weights": {"icti": 0.0}}, {"icti"}),
        ({"weights": {"ttdm": 0.0, "itcl": 0.0}}, {"ttdm", "itcl"}),
        ({"replay": {"share": 0.0}}, {"replay"}),
        ({"image_states": "pooled"}, set()),
        ({"image_states": "both"}, set()),
        ({"pool": "</s>"}, set()),
    ],
)
def test_arms_differ_only_in_the_switch(made: Path, changes: dict[str, Any], gone: set[str]) -> None:
    whole, arm = make_task(made), make_task(made, **changes)
    own, foreign = whole.module.language_model.state_dict(), arm.module.language_model.state_dict()
    assert all(torch.equal(own[name], foreign[name]) for name in own)
    for step in range(12):
        full, part = batch_of(whole, step), batch_of(arm, step)
        shared = [name for name in part if name in full and not (name.startswith("replay") and "replay" in gone)]
        assert {"rows"} < set(shared)
        for name in shared:
            assert np.array_equal(full[name], part[name]), (step, name)
        assert set(arm.loss(part)) == set(whole.loss(full)) - gone


def test_replay_leaves_the_masks_of_the_pairs_alone(made: Path) -> None:
    with_replay, without = make_task(made), make_task(made, replay={"share": 0.0})
    assert torch.equal(batch_of(with_replay)["corrupted"], batch_of(without)["corrupted"])


def test_replay_share_is_met(made: Path) -> None:
    task = make_task(made, replay={"share": 0.3})
    due = sum("replay" in batch_of(task, step) for step in range(200))
    assert 40 <= due <= 80


def test_no_direct_arm_replays_no_direct_documents(made: Path) -> None:
    corpus = layout.download(made, "corpus")
    some = replay_texts(corpus, layout.pretrain(made, "bart"), VlkdOptions(language_model="bart_no_direct"))
    everything = replay_texts(corpus, layout.pretrain(made, "bart"), VlkdOptions())
    assert len(some) == len(everything) / 2


def test_documents_held_out_from_pre_training_are_not_replayed(made: Path, tmp_path: Path) -> None:
    records = read_texts(layout.download(made, "corpus"))
    write_json(tmp_path / HELD_OUT, [record.id for record in records[-5:]])
    texts = replay_texts(layout.download(made, "corpus"), tmp_path, VlkdOptions())
    assert texts == [record.text for record in records[:-5]]


def test_pairs_of_unreadable_images_and_other_splits_are_left_out(made: Path) -> None:
    features = open_store(layout.features(made, "clip", "cc3m"))
    pairs = load_pairs(layout.download(made, "cc3m"), features)
    assert "07.png" not in pairs.images and "09.png" not in pairs.images
    assert len(pairs.captions) == 2 * (30 - 3 - 1)
    assert features.get("text", pairs.text_keys).shape == (len(pairs.captions), 24)


def test_whole_share_masks_captions_whole(made: Path) -> None:
    task = make_task(made, corruption={"whole": 1.0})
    batch = batch_of(task)
    lm = task.module.language_model
    masked = lm.with_specials([int(lm.tokenizer.mask_token_id)])
    assert batch["corrupted"].tolist() == [masked] * 8


def test_micro_batches_give_the_gradient_of_the_full_batch_with_its_masks_and_replay(
    made: Path, tmp_path: Path
) -> None:
    # ITCL needs all rows at once: together with micro-batches it is refused
    changes = {"weights": {"itcl": 0.0}, "replay": {"share": 0.5, "batch_size": 3}}
    flat = {**TRAINING, "steps": 4, "warmup": 0, "clip": 0.0, "gradient_norms_every": 0, "log_every": 1}
    ends, logs = [], []
    for parts in (1, 4):
        task = make_task(made, **changes, training={**flat, "accumulate": parts})
        train(task, task._options.training, Run(tmp_path / str(parts)))
        ends.append([p.detach() for p in task.module.parameters()])
        logs.append([json.loads(line) for line in (tmp_path / str(parts) / "metrics.jsonl").read_text().splitlines()])
    assert any("replay" in line for line in logs[0]) and not all("replay" in line for line in logs[0])
    for one, other in zip(*logs, strict=True):
        assert one == pytest.approx(other, rel=1e-4)
    for one, other in zip(*ends, strict=True):
        torch.testing.assert_close(one, other, rtol=2e-3, atol=2e-4)


def test_training_lowers_every_term(made: Path, tmp_path: Path) -> None:
    training = {**TRAINING, "steps": 120, "learning_rate": 0.005, "log_every": 10, "gradient_norms_every": 10}
    # the pool and the weights with which so small a model learns fastest
    task = make_task(made, training=training, pool="mean", weights={"ttdm": 1.0, "itcl": 1.0})
    last = train(task, task._options.training, Run(tmp_path))
    first = json.loads((tmp_path / "metrics.jsonl").read_text().splitlines()[0])
    for name in ("ttdm", "itcl", "icti"):
        assert last[name] < 0.97 * first[name], name
        assert first[f"gradient_norm_{name}"] > 0


def test_dropout_is_set_everywhere(made: Path) -> None:
    lm = make_bart()
    set_dropout(lm, 0.0)
    lm.train()
    ids, mask = lm.tokenize(["a red star"])
    assert torch.equal(lm.encode(ids, mask), lm.encode(ids, mask))
    set_dropout(lm, 0.5)
    assert not torch.equal(lm.encode(ids, mask), lm.encode(ids, mask))
