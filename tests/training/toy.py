"""A small regression task with dropout, noise from the sampler's generator, and two named terms."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from vldistill.params.training import Training
from vldistill.training import Run, Sampler, deadline_after, train


class Toy:
    weights = {"fit": 1.0, "size": 0.1}

    def __init__(self, *, width: int = 32, noise: float = 0.01, dropout: float = 0.1, batch_size: int = 24) -> None:
        torch.manual_seed(0)
        self.module = nn.Sequential(nn.Linear(12, width), nn.Dropout(dropout), nn.ReLU(), nn.Linear(width, 3))
        self.sampler = Sampler(200, batch_size, 1)
        self.noise = noise
        generator = np.random.default_rng(0)
        self.x = generator.normal(size=(200, 12)).astype(np.float32)
        self.y = generator.integers(0, 3, 200)

    def collate(self, indices: np.ndarray, rng: np.random.Generator) -> dict[str, Tensor]:
        jitter = self.noise * rng.normal(size=(len(indices), 12))
        return {
            "x": torch.from_numpy((self.x[indices] + jitter).astype(np.float32)),
            "y": torch.from_numpy(self.y[indices]),
        }

    def sizes(self, batch: dict[str, Tensor]) -> dict[str, float]:
        # the second term is a mean over some of the rows only, as a mean over tokens is
        return {"fit": float(len(batch["y"])), "size": float((batch["y"] > 0).sum())}

    def loss(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        out = self.module(batch["x"])
        some = out[batch["y"] > 0]
        return {"fit": nn.functional.cross_entropy(out, batch["y"]), "size": some.square().sum() / max(1, len(some))}

    def shared_parameters(self) -> list[nn.Parameter]:
        return list(self.module[0].parameters())


def options(**changes: object) -> Training:
    return Training.model_validate(
        {"steps": 60, "batch_size": 24, "warmup": 5, "log_every": 7, "checkpoint_every": 9, "gradient_norms_every": 10}
        | changes
    )


if __name__ == "__main__":
    folder, seconds, width = Path(sys.argv[1]), float(sys.argv[2]), int(sys.argv[3])
    toy = Toy(width=width)
    print("ready", flush=True)
    train(toy, options(steps=int(sys.argv[4])), Run(folder, deadline=deadline_after(seconds)))
    print("done", flush=True)
