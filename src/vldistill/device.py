"""The accelerator an experiment asks for: used if it is there, else an early error; never chosen by the hardware."""

from __future__ import annotations

from vldistill.errors import InputError
from vldistill.params.compute import Compute


def check_device(compute: Compute) -> None:
    """Fail early, naming what to do, when the accelerator asked for is not there."""
    import torch

    if compute.device == "cuda" and not torch.cuda.is_available():
        raise InputError(
            "no CUDA device is visible to this process",
            field="compute.device",
            action="Set compute.device to cpu, or run on a GPU node (profile slurm)",
        )
