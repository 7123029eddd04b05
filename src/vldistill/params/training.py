"""Options of the one training loop, shared by the `pretrain` and `distill` sections."""

from __future__ import annotations

from pydantic import Field, model_validator

from vldistill.params.base import Section


class Training(Section):
    """How long and how a model is trained; the data, the model and the losses belong to the stage."""

    steps: int = Field(300, gt=0, description="Optimiser steps.")
    batch_size: int = Field(64, gt=0, description="Examples in one optimiser step, over all ranks.")
    accumulate: int = Field(
        1,
        gt=0,
        description="Micro-batches the batch of a step is cut into, to fit memory; 1 with a contrastive loss, which "
        "needs all pairs at once.",
    )
    learning_rate: float = Field(0.001, gt=0, description="Peak learning rate of AdamW.")
    embedding_rate: float = Field(
        1.0,
        gt=0,
        description="Factor on the learning rate of the embeddings of words that a student's pre-training never met: "
        "they have farther to go than all else. A published student has met all of its words.",
    )
    warmup: int = Field(30, ge=0, description="Steps of linear warm-up.")
    final_share: float = Field(
        0.0, ge=0, le=1, description="Learning rate at the last step, as a share of the peak (cosine)."
    )
    weight_decay: float = Field(0.01, ge=0, description="AdamW weight decay of matrices; vectors get none.")
    beta1: float = Field(0.9, ge=0, lt=1, description="AdamW averaging coefficient of the gradient.")
    beta2: float = Field(0.98, ge=0, lt=1, description="AdamW averaging coefficient of the squared gradient.")
    epsilon: float = Field(0.00000001, gt=0, description="AdamW denominator term.")
    clip: float = Field(1.0, ge=0, description="Largest norm of the whole gradient; 0 = no clipping.")
    log_every: int = Field(20, gt=0, description="Steps between lines of metrics.jsonl.")
    gradient_norms_every: int = Field(
        0, ge=0, description="Steps between measurements of each loss term's gradient norm; 0 = never."
    )
    checkpoint_every: int = Field(100, gt=0, description="Steps between checkpoints.")
    keep: int = Field(2, gt=0, description="Checkpoints kept on disk.")
    prefetch: bool = Field(False, description="Prepare the next step's batch in a thread (pays on a GPU).")

    @model_validator(mode="after")
    def _consistent(self) -> Training:
        if self.batch_size % self.accumulate:
            raise ValueError(f"accumulate ({self.accumulate}) must divide batch_size ({self.batch_size})")
        if self.warmup > self.steps:
            raise ValueError(f"warmup ({self.warmup}) is longer than steps ({self.steps})")
        return self
