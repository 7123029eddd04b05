"""Run by torchrun: one contrastive training step, rank by rank; prints loss and gradients as JSON (rank 0)."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from toy import options

from vldistill.distill.losses import itcl
from vldistill.training import Run, Sampler, train


class Contrast:
    """Two linear maps trained with ITCL on random vectors; some captions and images repeat."""

    weights = {"itcl": 1.0}

    def __init__(self) -> None:
        torch.manual_seed(0)
        self.module = nn.ModuleDict({"s": nn.Linear(6, 8)})
        self.module.register_parameter("scale", nn.Parameter(torch.tensor(1.5)))
        self.sampler = Sampler(10, 10, 0)
        generator = np.random.default_rng(0)
        self.x, self.z = generator.normal(size=(10, 6)), generator.normal(size=(10, 8))
        self.captions, self.images = np.array([0, 1, 2, 3, 4, 0, 6, 7, 8, 9]), np.array([0, 1, 2, 3, 3, 5, 6, 7, 8, 1])

    def collate(self, indices: np.ndarray, rng: np.random.Generator) -> dict[str, Tensor]:
        floats = {name: torch.from_numpy(getattr(self, name)[indices]).float() for name in "xz"}
        return floats | {name: torch.from_numpy(getattr(self, name)[indices]) for name in ("captions", "images")}

    def sizes(self, batch: dict[str, Tensor]) -> dict[str, float]:
        return {"itcl": float(len(batch["x"]))}

    def loss(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        s = self.module["s"](batch["x"])
        return {"itcl": itcl(s, batch["z"], self.module.scale, captions=batch["captions"], images=batch["images"])}

    def shared_parameters(self) -> list[nn.Parameter]:
        return []


if __name__ == "__main__":
    task = Contrast()
    train(task, options(steps=8, batch_size=10, log_every=1, clip=0.5), Run(Path(sys.argv[1])))
    import os

    if os.environ.get("RANK", "0") == "0":
        Path(sys.argv[1], "weights.json").write_text(json.dumps([p.tolist() for p in task.module.parameters()]))
