"""The loop: gradients, schedule, logs, stop and resume."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from toy import Toy, options

from vldistill.errors import InputError, VldistillError
from vldistill.params.compute import Compute
from vldistill.params.training import Training
from vldistill.training import Run, Stopped, train
from vldistill.training.loop import part_of
from vldistill.training.schedule import rate_share

SCRIPT = Path(__file__).with_name("toy.py")


def weights(task: Toy) -> bytes:
    return b"".join(p.detach().numpy().tobytes() for p in task.module.parameters())


def test_same_seed_same_bits_and_log(tmp_path: Path) -> None:
    first, second = Toy(), Toy()
    train(first, options(), Run(tmp_path / "a"))
    train(second, options(prefetch=True), Run(tmp_path / "b"))
    assert weights(first) == weights(second)
    assert (tmp_path / "a/metrics.jsonl").read_text() == (tmp_path / "b/metrics.jsonl").read_text()


def test_another_seed_gives_other_bits(tmp_path: Path) -> None:
    first, second = Toy(), Toy()
    train(first, options(), Run(tmp_path / "a"))
    train(second, options(), Run(tmp_path / "b", seed=1))
    assert weights(first) != weights(second)


def test_stopping_after_every_step_changes_nothing(tmp_path: Path) -> None:
    straight = Toy()
    train(straight, options(steps=12), Run(tmp_path / "straight"))
    past = time.monotonic() - 1
    for step in range(1, 12):
        with pytest.raises(Stopped) as stopped:
            train(Toy(), options(steps=12), Run(tmp_path / "broken", deadline=past))
        assert stopped.value.code == 75 and stopped.value.step == step
    last = Toy()
    metrics = train(last, options(steps=12), Run(tmp_path / "broken", deadline=past))
    assert weights(last) == weights(straight)
    assert (tmp_path / "broken/metrics.jsonl").read_text() == (tmp_path / "straight/metrics.jsonl").read_text()
    assert metrics["step"] == 12


def test_what_a_step_draws_follows_from_seed_and_step(tmp_path: Path) -> None:
    class More(Toy):
        """Draws more than others do in every step, after its own dropout."""

        def loss(self, batch: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
            terms = super().loss(batch)
            torch.rand(7)
            return terms

    one, more, other = Toy(), More(), Toy()
    for name, task in (("one", one), ("more", more)):
        train(task, options(), Run(tmp_path / name))
    assert weights(one) == weights(more)
    train(other, options(), Run(tmp_path / "other", seed=1))
    assert weights(one) != weights(other)


def test_a_finished_run_started_again_does_no_step(tmp_path: Path) -> None:
    first, again = Toy(), Toy()
    metrics = train(first, options(), Run(tmp_path))
    assert train(again, options(), Run(tmp_path)) == metrics
    assert weights(first) == weights(again)


def test_log_has_each_window_once_and_means(tmp_path: Path) -> None:
    train(Toy(), options(log_every=1, gradient_norms_every=0), Run(tmp_path / "fine"))
    train(Toy(), options(gradient_norms_every=0), Run(tmp_path / "coarse"))
    fine = [json.loads(line) for line in (tmp_path / "fine/metrics.jsonl").read_text().splitlines()]
    coarse = [json.loads(line) for line in (tmp_path / "coarse/metrics.jsonl").read_text().splitlines()]
    assert [row["step"] for row in fine] == list(range(1, 61))
    assert [row["step"] for row in coarse] == [7, 14, 21, 28, 35, 42, 49, 56, 60]
    assert coarse[1]["fit"] == pytest.approx(np.mean([row["fit"] for row in fine[7:14]]), rel=1e-12)
    assert fine[0]["loss"] == pytest.approx(fine[0]["fit"] + 0.1 * fine[0]["size"], rel=1e-6)


@pytest.mark.parametrize(("size", "parts"), [(10, 3), (7, 7), (64, 5), (2, 4)])
def test_parts_of_a_batch_are_disjoint_complete_and_even(size: int, parts: int) -> None:
    cut = [part_of({"rows": torch.arange(size)}, part, parts) for part in range(parts)]
    assert torch.cat([part["rows"] for part in cut if part]).tolist() == list(range(size))
    lengths = [len(part.get("rows", ())) for part in cut]
    assert max(lengths) - min(lengths) <= 1


@pytest.mark.parametrize("parts", [2, 3, 8])
def test_micro_batches_give_the_gradient_of_the_full_batch(tmp_path: Path, parts: int) -> None:
    changes = {"steps": 20, "log_every": 1, "clip": 0.0, "gradient_norms_every": 0}
    full, cut = Toy(dropout=0.0), Toy(dropout=0.0)
    train(full, options(**changes), Run(tmp_path / "full"))
    train(cut, options(**changes, accumulate=parts), Run(tmp_path / "cut"))
    for a, b in zip(full.module.parameters(), cut.module.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5)
    rows = [(tmp_path / name / "metrics.jsonl").read_text().splitlines() for name in ("full", "cut")]
    for one, other in zip(*rows, strict=True):
        assert json.loads(one) == pytest.approx(json.loads(other), rel=1e-3)


def test_gradient_norms_of_terms_are_those_of_autograd(tmp_path: Path) -> None:
    task = Toy(noise=0.0, dropout=0.0)
    batch = task.collate(task.sampler.batch(0), np.random.default_rng(0))
    expected = {}
    for name, term in task.loss(batch).items():
        grads = torch.autograd.grad(task.weights[name] * term, task.shared_parameters(), retain_graph=True)
        expected[f"gradient_norm_{name}"] = float(sum(float(g.square().sum()) for g in grads) ** 0.5)
    train(task, options(steps=1, warmup=0, gradient_norms_every=1, log_every=1), Run(tmp_path))
    row = json.loads((tmp_path / "metrics.jsonl").read_text())
    assert {name: row[name] for name in expected} == pytest.approx(expected, rel=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["SIGTERM", "SIGUSR1", "SIGUSR2"])
def test_signals_save_and_exit_75(tmp_path: Path, name: str) -> None:
    import signal

    process = subprocess.Popen(
        [sys.executable, str(SCRIPT), str(tmp_path), "1000", "32", "1000000"], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None and process.stdout.readline() == "ready\n"
    wait_for(lambda: (tmp_path / "checkpoints").is_dir())
    process.send_signal(getattr(signal, name))
    assert process.wait(timeout=60) == 75
    saved = sorted((tmp_path / "checkpoints").glob("step-*"))
    assert json.loads((saved[-1] / "state.json").read_text())["step"] == int(saved[-1].name[5:])


def test_diverging_loss_is_an_error_with_advice(tmp_path: Path) -> None:
    task = Toy()
    with torch.no_grad():
        task.module[0].weight.fill_(float("nan"))
    with pytest.raises(VldistillError, match="not finite near step 7"):
        train(task, options(), Run(tmp_path))


class Exploding(Toy):
    """Its gradient is not finite from the eighth step on; the loss is, until the weights are not."""

    steps = 0

    def loss(self, batch: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        self.steps += 1
        terms = super().loss(batch)
        if self.steps == 8:
            next(self.module.parameters()).register_hook(lambda gradient: gradient * float("nan"))
        return terms


def test_weights_that_are_not_finite_are_never_saved(tmp_path: Path) -> None:
    # the log would notice at step 20 only
    changes = {"log_every": 20, "gradient_norms_every": 0, "checkpoint_every": 4}
    with pytest.raises(VldistillError, match=r"after step 8 .* not finite.*checkpoints before are intact"):
        train(Exploding(), options(**changes), Run(tmp_path))
    assert [path.name for path in (tmp_path / "checkpoints").iterdir()] == ["step-00000004"]
    sound = Toy()
    train(sound, options(**changes, steps=5), Run(tmp_path))
    assert all(parameter.isfinite().all() for parameter in sound.module.parameters())


def test_missing_accelerator_is_named_early(tmp_path: Path) -> None:
    if torch.cuda.is_available():
        pytest.skip("this machine has the accelerator")
    with pytest.raises(InputError, match=r"compute\.device"):
        train(Toy(), options(), Run(tmp_path, compute=Compute(device="cuda")))


def test_schedule() -> None:
    shares = [rate_share(step, steps=100, warmup=10, final_share=0.1) for step in range(100)]
    assert shares[0] == pytest.approx(0.1) and shares[9] == 1.0 and shares[-1] == pytest.approx(0.1)
    assert shares[10:] == sorted(shares[10:], reverse=True)


def test_impossible_options() -> None:
    with pytest.raises(ValueError, match="accumulate"):
        Training(batch_size=10, accumulate=3)
    with pytest.raises(ValueError, match="warmup"):
        Training(steps=10, warmup=11)


def wait_for(condition, seconds: float = 60.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited too long"
        time.sleep(0.01)
