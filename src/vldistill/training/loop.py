"""The one training loop: pre-training and distillation differ only in the task object they hand it."""

from __future__ import annotations

import random
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from vldistill.device import check_device
from vldistill.errors import InputError, VldistillError
from vldistill.params.compute import Compute
from vldistill.params.training import Training
from vldistill.progress import Progress
from vldistill.signals import Stopped, StopRequest, stop_requests
from vldistill.training import checkpoint, distributed, new_words
from vldistill.training.loggers import open_loggers
from vldistill.training.metrics import MetricLog
from vldistill.training.new_words import NewWords
from vldistill.training.sampler import Sampler
from vldistill.training.schedule import rate_share

Batch = dict[str, Tensor]


class Task(Protocol):
    """What is trained. Everything random in `collate` must come from the generator it is given.

    A task that knows which words its model has not met has a `new_words` besides, for `training.embedding_rate`.
    """

    @property
    def module(self) -> nn.Module:
        """Holds all parameters that learn."""

    @property
    def sampler(self) -> Sampler:
        """Which examples a step trains on."""

    @property
    def weights(self) -> Mapping[str, float]:
        """Weight of each loss term; a term that is not named has weight 1."""

    def collate(self, indices: np.ndarray, rng: np.random.Generator) -> Batch:
        """Make the batch of a whole step, of the examples `indices`: a dict of tensors.

        Micro-batches and the shares of ranks are cut from it, every tensor along its first dimension.
        """

    def sizes(self, batch: Batch) -> Mapping[str, float]:
        """How many items (rows, tokens) the mean of each term in `loss` runs over; every term must be named.

        With it, micro-batches and ranks are weighted so that the sum of their gradients is the full batch's.
        """

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        """Named, unweighted scalar terms, each a mean over its items; a zero-weight term may be left out."""

    def shared_parameters(self) -> Sequence[nn.Parameter]:
        """Parameters on which each term's gradient norm is measured (may be empty)."""


@dataclass
class Run:
    """Where and under which conditions a task is trained."""

    folder: Path
    name: str = "training"
    seed: int = 0
    compute: Compute = field(default_factory=lambda: Compute.model_validate({}))
    deadline: float | None = None
    """`time.monotonic()` moment by which the state must be saved."""
    until: int | None = None
    """Number of steps after which training ends for good, on the schedule of all; None = after all of them."""


def train(task: Task, options: Training, run: Run) -> dict[str, float]:
    """Train `task`, resuming from the newest checkpoint in `run.folder`, and leave the final weights in its module.

    A run that was stopped or killed at any moment and started again ends with the bits of an undisturbed one (CPU).

    Returns:
        The last line of metrics.jsonl.

    Raises:
        Stopped: after SIGTERM, SIGUSR1, SIGUSR2 or near the deadline; the state is saved.
        VldistillError: the loss is not finite, or a checkpoint cannot be written.
    """
    check_device(run.compute)
    torch.set_num_threads(run.compute.threads)
    device = torch.device(run.compute.device)
    run.folder.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        stack.enter_context(distributed.session(run.compute.device))
        stop = stack.enter_context(stop_requests(run.deadline))
        task.module.to(device).train()
        loop = _Loop(task, options, run, device)
        stack.callback(loop.close)
        return loop.until_done(stop)


def seed_everything(seed: int) -> None:
    """Seed the generators that models draw from (initialisation, dropout)."""
    random.seed(seed)
    torch.manual_seed(seed)
    np.random.seed(seed % 2**32)


def parameter_groups(module: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """Matrices decay; vectors (biases, norms) and scalars (temperature) do not."""
    parameters = list(checkpoint.trainable(module).values())
    return [
        {"params": [p for p in parameters if p.ndim >= 2], "weight_decay": weight_decay},
        {"params": [p for p in parameters if p.ndim < 2], "weight_decay": 0.0},
    ]


def _new_words(task: Task, options: Training) -> NewWords | None:
    """The rows that learn at a rate of their own; None where nothing does."""
    if options.embedding_rate == 1:
        return None
    words: NewWords | None = getattr(task, "new_words", None)
    if words is None:
        raise VldistillError("training.embedding_rate: nothing tells this model's new words. Set it to 1")
    return words if len(words.rows) else None


class _Loop:
    def __init__(self, task: Task, options: Training, run: Run, device: torch.device) -> None:
        self.task, self.options, self.run, self.device = task, options, run, device
        self.parameters = list(checkpoint.trainable(task.module).values())
        self._words = _new_words(task, options)
        self.optimiser = torch.optim.AdamW(
            parameter_groups(task.module, options.weight_decay),
            lr=options.learning_rate,
            betas=(options.beta1, options.beta2),
            eps=options.epsilon,
            fused=True,
        )
        with distributed.first_rank_first():
            # it clears away what is damaged
            state = checkpoint.load_latest(run.folder, task.module, self.optimiser) or {"step": 0, "window": []}
        self.step = int(state["step"])
        self.end = options.steps if run.until is None else run.until
        self.metrics = (
            MetricLog(run.folder, options.log_every, step=self.step, window=state["window"])
            if distributed.rank() == 0
            else None
        )
        self._loggers = open_loggers(run.folder, run.name, self.step) if self.metrics else []
        self._ahead = ThreadPoolExecutor(1) if options.prefetch else None
        self._next: Future[list[Batch]] | None = None

    def close(self) -> None:
        """Release the prefetch thread and the loggers."""
        if self._ahead:
            self._ahead.shutdown(cancel_futures=True)
        for logger in self._loggers:
            logger.close()

    def until_done(self, stop: StopRequest) -> dict[str, float]:
        progress = Progress(self.end, self.run.name, start=self.step)
        while self.step < self.end:
            values = self._one_step()
            self.step += 1
            last = self.step == self.end
            self._record(values, last)
            progress.step(loss=self.metrics.last.get("loss", float("nan")) if self.metrics else float("nan"))
            reason = stop.reason()
            stopping = not last and distributed.any_rank(reason is not None)
            if last or stopping or self.step % self.options.checkpoint_every == 0:
                self._save()
            if stopping:
                raise Stopped(reason or "another rank", self.step)
        return self.metrics.last if self.metrics else {}

    def _one_step(self) -> dict[str, Tensor | float]:
        # what is drawn in a step, dropout say, follows from seed and step, as its batch does: what draws more in one
        # step is alike in the next, and a resumed training needs no state of a generator
        drawn = np.random.SeedSequence([self.run.seed, self.step, 1, distributed.rank()])
        seed_everything(int(drawn.generate_state(1)[0]))
        rate = self.options.learning_rate * rate_share(
            self.step, steps=self.options.steps, warmup=self.options.warmup, final_share=self.options.final_share
        )
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        micro_batches = self._micro_batches()
        values = self._accumulate(micro_batches)
        distributed.sum_gradients(self.parameters)
        norm = torch.nn.utils.clip_grad_norm_(self.parameters, self.options.clip or float("inf"))
        if self._words is None:
            self.optimiser.step()
        else:
            new_words.step(self.optimiser, self._words, self.options.embedding_rate)
        self.optimiser.zero_grad(set_to_none=True)
        return {**values, "gradient_norm": norm, "learning_rate": rate}

    def _accumulate(self, micro_batches: list[Batch]) -> dict[str, Tensor | float]:
        """Backward through all micro-batches; returns the terms of the whole batch, over all ranks."""
        sizes = [self.task.sizes(batch) for batch in micro_batches]
        names = sorted({name for size in sizes for name in size})
        where = self.device if distributed.world_size() > 1 else "cpu"
        counts = torch.tensor([[size.get(name, 0.0) for name in names] for size in sizes], device=where)
        totals = distributed.sum_over_ranks(counts.sum(0))
        shares = (counts / totals.clamp(min=1.0)).tolist()
        measure = bool(self.options.gradient_norms_every and (self.step + 1) % self.options.gradient_norms_every == 0)
        sums = {name: torch.zeros((), device=self.device) for name in ("loss", *names)}
        norms: dict[str, Tensor | float] = {}
        for batch, row in zip(micro_batches, shares, strict=True):
            share_of = dict(zip(names, row, strict=True))
            with self._autocast():
                terms = self.task.loss(to_device(batch, self.device))
            scaled = {name: term * share_of[name] for name, term in terms.items()}
            weighted = {name: self.task.weights.get(name, 1.0) * term for name, term in scaled.items()}
            if measure and not norms:
                norms = gradient_norms(weighted, self.task.shared_parameters())
            total = torch.stack(list(weighted.values())).sum()
            total.backward()
            for name, term in {"loss": total, **scaled}.items():
                sums[name] = sums[name] + term.detach().float()
        merged = distributed.sum_over_ranks(torch.stack(list(sums.values())))
        # a term that no rank had in this step (text replay, say) is left out of the log, not counted as zero
        absent = {name for name, total in zip(names, totals.tolist(), strict=True) if total == 0}
        found = {name: value for name, value in zip(sums, merged, strict=True) if name not in absent}
        return {**found, **norms}

    def _autocast(self) -> Any:
        if self.run.compute.dtype == "bf16":
            return torch.autocast(self.device.type, dtype=torch.bfloat16)
        return nullcontext()

    def _micro_batches(self) -> list[Batch]:
        if self._ahead is None:
            return self._collate(self.step)
        current = self._next.result() if self._next else self._collate(self.step)
        self._next = self._ahead.submit(self._collate, self.step + 1)
        return current

    def _collate(self, step: int) -> list[Batch]:
        parts = self.options.accumulate * distributed.world_size()
        indices = self.task.sampler.batch(step)
        if len(indices) < parts:
            raise InputError(
                f"a batch of {len(indices)} examples cannot be cut into {parts} parts",
                field="accumulate",
                action="Use a larger batch_size, a smaller accumulate or fewer ranks",
            )
        # the whole batch, also where only a part is used here: what is drawn at random (masks, text replay) must not
        # depend on how many parts there are
        batch = self.task.collate(indices, np.random.default_rng([self.run.seed, step, 0]))
        first = distributed.rank() * self.options.accumulate
        return [part_of(batch, part, parts) for part in range(first, first + self.options.accumulate)]

    def _record(self, values: dict[str, Tensor | float], last: bool) -> None:
        if self.metrics is None:
            return
        try:
            line = self.metrics.add(self.step, values, final=last)
        except ValueError as error:
            raise VldistillError(
                f"{self.run.name}: the loss is not finite near step {self.step}. "
                "Lower learning_rate or lengthen warmup; the checkpoints before are intact"
            ) from error
        if line is not None:
            for logger in self._loggers:
                logger.log(self.step, {name: value for name, value in line.items() if name != "step"})

    def _save(self) -> None:
        if self.metrics is not None:
            self.metrics.sync()
            state = {
                "step": self.step,
                "epoch": self.task.sampler.epoch(self.step),
                "seed": self.run.seed,
                "window": self.metrics.state(),
            }
            checkpoint.save(self.run.folder, self.task.module, self.optimiser, state, self.options.keep)
        distributed.barrier()


def gradient_norms(terms: Mapping[str, Tensor], parameters: Sequence[nn.Parameter]) -> dict[str, Tensor | float]:
    """L2 norm of each weighted term's gradient on `parameters`, as `gradient_norm_TERM`; 0 where it does not reach."""
    norms: dict[str, Tensor | float] = {}
    for name, term in terms.items():
        if not parameters or not term.requires_grad:
            continue
        gradients = torch.autograd.grad(term, parameters, retain_graph=True, allow_unused=True)
        found = [gradient for gradient in gradients if gradient is not None]
        norms[f"gradient_norm_{name}"] = torch.stack([gradient.norm() for gradient in found]).norm() if found else 0.0
    return norms


def part_of(batch: Batch, part: int, parts: int) -> Batch:
    """Part number `part` of `parts` of a batch: contiguous rows of each tensor, their numbers differing by at most 1.

    A tensor with fewer rows than parts (text replay may be small) is left out of parts that get none.
    """
    if parts == 1:
        return batch
    cut = {name: value.tensor_split(parts)[part] for name, value in batch.items()}
    return {name: value for name, value in cut.items() if len(value)}


def to_device(batch: Batch, device: torch.device) -> Batch:
    """Move a batch to `device`."""
    if device.type == "cpu":
        return batch
    return {name: value.to(device, non_blocking=True) for name, value in batch.items()}


def deadline_after(seconds: float | None) -> float | None:
    """The `time.monotonic()` moment `seconds` from now."""
    return None if seconds is None else time.monotonic() + seconds
