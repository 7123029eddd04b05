"""Data-parallel training under torchrun: gathered negatives and summed gradients.

Each rank works on its share of every batch. The loop weights every loss term by the share of the examples a rank
holds and *sums* gradients over ranks, so that N ranks compute the gradient of one process on the whole batch.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist

from vldistill.runs import launched


def rank() -> int:
    """Rank of this process (0 when not distributed)."""
    return dist.get_rank() if dist.is_initialized() else 0


def world_size() -> int:
    """Number of processes that train together."""
    return dist.get_world_size() if dist.is_initialized() else 1


@contextmanager
def session(device: str = "cpu") -> Iterator[None]:
    """Join the process group torchrun describes in the environment; nothing to do for a single process."""
    if launched()[1] == 1 or dist.is_initialized():
        yield
        return
    if device.startswith("cuda"):
        torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")))
    # flags and counts are summed on the CPU. The first rank may wait a day for a run folder that another job works in
    backend = "cpu:gloo,cuda:nccl" if device.startswith("cuda") else "gloo"
    dist.init_process_group(backend, timeout=timedelta(days=1))
    try:
        yield
    finally:
        dist.destroy_process_group()


class _Gather(torch.autograd.Function):
    """All ranks' rows, in rank order; the backward pass sums what every rank wants of this rank's rows."""

    @staticmethod
    def forward(ctx: Any, rows: torch.Tensor, counts: list[int]) -> torch.Tensor:
        ctx.counts = counts
        most = max(counts)
        padded = rows.new_zeros((most, *rows.shape[1:]))
        padded[: len(rows)] = rows
        parts = [torch.empty_like(padded) for _ in counts]
        dist.all_gather(parts, padded)
        return torch.cat([part[:count] for part, count in zip(parts, counts, strict=True)])

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor, None]:
        total = gradients[0].contiguous()
        dist.all_reduce(total)
        start = sum(ctx.counts[: dist.get_rank()])
        return total[start : start + ctx.counts[dist.get_rank()]], None


def gather_rows(rows: torch.Tensor) -> tuple[torch.Tensor, int]:
    """Rows [N, ...] of all ranks, differentiable, and the position at which this rank's own rows begin."""
    if world_size() == 1:
        return rows, 0
    counts = [torch.zeros(1, dtype=torch.long, device=rows.device) for _ in range(world_size())]
    dist.all_gather(counts, torch.tensor([len(rows)], device=rows.device))
    sizes = [int(count) for count in counts]
    return _Gather.apply(rows, sizes), sum(sizes[: rank()])


def sum_over_ranks(values: torch.Tensor) -> torch.Tensor:
    """Element-wise sum of a small tensor over ranks."""
    if world_size() > 1:
        dist.all_reduce(values)
    return values


def sum_gradients(parameters: Iterable[torch.nn.Parameter]) -> None:
    """Replace every gradient by its sum over ranks (a parameter without gradient here counts as zero)."""
    if world_size() == 1:
        return
    for parameter in parameters:
        if parameter.grad is None:
            parameter.grad = torch.zeros_like(parameter)
        dist.all_reduce(parameter.grad)


def any_rank(flag: bool) -> bool:
    """True if any rank says so: all ranks must stop after the same step."""
    if world_size() == 1:
        return flag
    return bool(sum_over_ranks(torch.tensor(float(flag))) > 0)


def barrier() -> None:
    """Wait for all ranks."""
    if world_size() > 1:
        dist.barrier()


@contextmanager
def first_rank_first() -> Iterator[None]:
    """The block is run by the first rank, then by all others."""
    if rank():
        barrier()
    yield
    if not rank():
        barrier()
