"""Fine-tuning a language model on a text task, before and after distillation with the same recipe, seed and data.

Retention has two sides: what the model still answers as it stands, and what it can still be taught.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor, nn

from vldistill.evaluate.predict.answers import MASK, fill
from vldistill.models.language_model import Bart, LanguageModel
from vldistill.params.compute import Compute
from vldistill.params.evaluate import FineTuning
from vldistill.records.types import TextRecord
from vldistill.training import Run, Sampler, discard, train

IGNORED = -100


class TextTask:
    """The prompt with its mask goes in, the mask's content comes out, in the model's own infilling scheme.

    Args:
        model: the language model; learns.
        sampler: order of the examples.
        records: texts with targets.
        template: the task's prompt.
    """

    def __init__(self, model: LanguageModel, sampler: Sampler, records: Sequence[TextRecord], template: str) -> None:
        self.module: nn.Module = model
        self.sampler = sampler
        self.weights: Mapping[str, float] = {"infilling": 1.0}
        self._model, self._records, self._template = model, records, template

    def collate(self, indices: np.ndarray, rng: np.random.Generator) -> dict[str, Any]:
        """Prompts and targets of the examples; there is no chance in it."""
        chosen = [self._records[index] for index in indices]
        prompts = [fill(self._template, text=record.text) for record in chosen]
        ids, mask = self._model.tokenize([prompt.replace(MASK, self._model.mask_token) for prompt in prompts])
        targets = [self._target(prompt, str(record.target)) for prompt, record in zip(prompts, chosen, strict=True)]
        return {"ids": ids, "mask": mask, "labels": self._model.labels(targets)}

    def _target(self, prompt: str, answer: str) -> str:
        if isinstance(self._model, Bart):
            return prompt.replace(MASK, answer)
        return f"<extra_id_0> {answer} <extra_id_1>"

    def sizes(self, batch: dict[str, Any]) -> dict[str, float]:
        """Target tokens."""
        return {"infilling": float((batch["labels"] != IGNORED).sum())}

    def loss(self, batch: dict[str, Any]) -> dict[str, Tensor]:
        """Mean cross-entropy of the target tokens."""
        states = self._model.encode(batch["ids"], batch["mask"])
        return {"infilling": self._model.decode_loss(states, batch["mask"], batch["labels"])}

    def shared_parameters(self) -> Sequence[nn.Parameter]:
        """None: there is one term only."""
        return ()


def fine_tune(
    model: LanguageModel,
    records: Sequence[TextRecord],
    template: str,
    options: FineTuning,
    folder: Path,
    *,
    seed: int,
    compute: Compute,
    deadline: float | None = None,
) -> dict[str, float]:
    """Train ``model`` in place and return the last training metrics; a run that was stopped goes on in ``folder``.

    Raises:
        Stopped: by a signal or the deadline (a `time.monotonic()` moment), after saving.
    """
    task = TextTask(model, Sampler(len(records), options.batch_size, seed), records, template)
    metrics = train(task, options, Run(folder, name="fine-tuning", seed=seed, compute=compute, deadline=deadline))
    discard(folder)
    model.eval()
    return metrics
