"""Parameters of the ``compute`` section: numeric conditions that results depend on."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from vldistill.params.base import Section


class Compute(Section):
    """Conditions of computation. They are part of the experiment: another value may give other bits."""

    device: Literal["cpu", "cuda"] = Field(
        "cpu",
        description="Device that trains and predicts; `cuda` asks SLURM for a GPU and fails where there is none.",
    )
    dtype: Literal["fp32", "bf16"] = Field(
        "fp32", description="Floating-point type of training and prediction; weights are kept in fp32."
    )
    threads: int = Field(
        1, ge=1, le=64, description="CPU threads of each process; a parameter because another number gives other bits."
    )
    runs_per_job: int = Field(
        8,
        ge=1,
        description="Cells (arm, seed) that one process trains or predicts in turn; they share start-up and data.",
    )
    mad_runs_per_job: int = Field(
        12, ge=1, description="The same for MAD's cells (task, subset, arm, seed): many, and each of them short."
    )
