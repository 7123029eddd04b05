"""One training loop for pre-training and distillation: `train(task, options, run)`.

The task gives model, sampler, batches and named loss terms (`Task`); the loop does accumulation, schedule, clipping,
logging, checkpoints, bit-equal resume, stop requests and data parallelism.
"""

from __future__ import annotations

from vldistill.signals import EXIT_STOPPED, Stopped
from vldistill.training.checkpoint import discard
from vldistill.training.distributed import gather_rows
from vldistill.training.loop import Run, Task, deadline_after, seed_everything, train
from vldistill.training.sampler import Sampler

__all__ = [
    "EXIT_STOPPED",
    "Run",
    "Sampler",
    "Stopped",
    "Task",
    "deadline_after",
    "discard",
    "gather_rows",
    "seed_everything",
    "train",
]
