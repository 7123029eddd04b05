"""Fine-tuning on a text task: it learns, it repeats itself bit by bit, it leaves the model it starts from alone."""

from __future__ import annotations

import copy
from pathlib import Path

import numpy as np
import pytest
import torch

from vldistill import layout
from vldistill.evaluate.predict.finetuning import TextTask, fine_tune
from vldistill.evaluate.predict.losses import text_losses
from vldistill.models.language_model import LanguageModel, load_language_model
from vldistill.params.compute import Compute
from vldistill.params.evaluate import FineTuning
from vldistill.records import TextRecord, read_texts
from vldistill.training import Sampler, Stopped

pytestmark = pytest.mark.slow
TEMPLATE = "{text} answer: <mask>"
OPTIONS = FineTuning(steps=40, batch_size=8, warmup=2, learning_rate=0.003)


@pytest.fixture(scope="module")
def model(project: Path) -> LanguageModel:
    return load_language_model(layout.pretrain(project, "bart"))


@pytest.fixture(scope="module")
def records(project: Path) -> list[TextRecord]:
    return [record for record in read_texts(layout.download(project, "reading")) if record.split == "train"]


def test_a_deadline_saves_and_the_next_call_goes_on(
    model: LanguageModel, records: list[TextRecord], tmp_path: Path
) -> None:
    straight, _ = tuned(model, records, tmp_path / "straight")
    learner = copy.deepcopy(model)
    with pytest.raises(Stopped):
        fine_tune(learner, records, TEMPLATE, OPTIONS, tmp_path, seed=0, compute=Compute(), deadline=0.0)
    # equal weights alone would also come from beginning anew
    assert [path.name for path in tmp_path.glob("checkpoints/step-*")] == ["step-00000001"]
    again, _ = tuned(model, records, tmp_path)
    assert all(torch.equal(*pair) for pair in zip(straight.parameters(), again.parameters(), strict=True))


def tuned(model: LanguageModel, records: list[TextRecord], folder: Path) -> tuple[LanguageModel, float]:
    learner = copy.deepcopy(model)
    metrics = fine_tune(learner, records, TEMPLATE, OPTIONS, folder, seed=0, compute=Compute())
    return learner, metrics["loss"]


def loss(model: LanguageModel, records: list[TextRecord]) -> float:
    task = TextTask(model, Sampler(len(records), 8, 0), records, TEMPLATE)
    with torch.inference_mode():
        return float(task.loss(task.collate(np.arange(len(records)), np.random.default_rng(0)))["infilling"])


def test_fine_tuning_learns_repeats_itself_and_keeps_the_original(
    model: LanguageModel, records: list[TextRecord], tmp_path: Path
) -> None:
    before = {name: value.clone() for name, value in model.state_dict().items()}
    first, _ = tuned(model, records, tmp_path / "first")
    second, _ = tuned(model, records, tmp_path / "second")
    assert loss(first, records) < 0.7 * loss(model, records)
    for name, value in second.state_dict().items():
        assert torch.equal(value, first.state_dict()[name])
        assert torch.equal(before[name], model.state_dict()[name])
    assert not list(tmp_path.rglob("step-*")), "checkpoints are not kept"


def test_text_losses_do_not_depend_on_how_many_texts_follow(model: LanguageModel, records: list[TextRecord]) -> None:
    texts = [record.text for record in records[:12]]

    def losses(chosen: list[str], batch: int) -> list[tuple[float, int]]:
        return text_losses(model, chosen, np.random.default_rng(3), mask_ratio=0.3, span=3.0, batch=batch)

    whole, part = losses(texts, 4), losses(texts[:8], 4)
    assert [tokens for _, tokens in whole[:8]] == [tokens for _, tokens in part]
    assert [value for value, _ in whole[:8]] == pytest.approx([value for value, _ in part], rel=1e-4)
    assert all(value > 0 for value, _ in whole)
