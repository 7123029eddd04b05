"""What MAD leaves behind: a student with the head of its task, and nothing of the teachers.

The head is `vldistill.models.student.heads.Head` on the pooled [CLS] state. SNLI-VE: one logit a label; VQA: one logit
an answer; VCR: one logit a choice, each choice being a text of its own.

Two kinds of controls hold more. Where a head starts from pre-training, the layer that told matching texts and images
is added to it. The control that gets the teachers' vectors as input holds two frozen maps that bring these vectors into
the space of region features, and shows them to the student as two more regions.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from vldistill.errors import InputError
from vldistill.files import read_json, write_json
from vldistill.models.student import Batch, Student, load_student
from vldistill.models.student.heads import Head

FORMAT = 1
CONFIG = "config.json"
HEAD = "head.safetensors"
STUDENT = "student"
TEACHER_TEXT, TEACHER_IMAGE = "teacher_text", "teacher_image"
BERT_STD = 0.02  # of fresh weights; it suits a width of 768
WHOLE_BOX = (0.0, 0.0, 1.0, 1.0, 1.0, 1.0, 1.0)


@dataclass(frozen=True)
class TeacherInput:
    """Affine maps of teacher vectors [B, d] to region features [B, F], each [d + 1, F], the last row added as it is."""

    text: Tensor
    image: Tensor


class MadModel(nn.Module):
    """A student and the head of one task.

    Args:
        student: the encoder.
        task: snli_ve, vcr or vqa.
        answers: what the logits stand for, in their order; empty where a logit is the score of a choice.
        teacher_input: of the control that sees teacher vectors.
        matching: of the controls whose scores of choices start from those of matching: one output, and learns on.
        facts: where it comes from, as JSON values.
    """

    input_text: Tensor
    input_image: Tensor

    def __init__(
        self,
        student: Student,
        task: str,
        answers: Sequence[str],
        teacher_input: TeacherInput | None = None,
        matching: nn.Linear | None = None,
        facts: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__()
        self.student = student
        self.task = task
        self.answers = list(answers)
        self.head = Head(student.width, len(answers) or 1, init_std=max(BERT_STD, 0.5 * student.width**-0.5))
        if teacher_input is not None:
            self.register_buffer("input_text", teacher_input.text)
            self.register_buffer("input_image", teacher_input.image)
        self.matching = matching
        self.facts = dict(facts or {})

    @property
    def sees_teacher(self) -> bool:
        """Whether a batch must hold `teacher_text` and `teacher_image`, each [B, d] of unit length."""
        return hasattr(self, "input_text")

    def forward(self, batch: Batch, picks: Mapping[str, Tensor] | None = None) -> tuple[Tensor, dict[str, Tensor]]:
        """Logits [B, answers] (VCR: [B, 1]), and the states at ``cls`` and the picks (`Student.states_at`)."""
        states = self.student.states_at(self._with_teacher(batch) if self.sees_teacher else batch, picks or {})
        pooled = self.student.pooled(states["cls"])
        scores = self.head(pooled)
        return (scores if self.matching is None else scores + self.matching(pooled)), states

    def _with_teacher(self, batch: Batch) -> Batch:
        rows = len(batch["ids"])
        maps = ((TEACHER_TEXT, self.input_text), (TEACHER_IMAGE, self.input_image))
        shown = torch.stack([batch[name] @ matrix[:-1] + matrix[-1] for name, matrix in maps], dim=1)
        boxes = shown.new_tensor(WHOLE_BOX).expand(rows, 2, -1)
        seen = torch.ones(rows, 2, dtype=torch.bool, device=shown.device)
        more = {
            "region_features": torch.cat([batch["region_features"], shown], dim=1),
            "region_boxes": torch.cat([batch["region_boxes"], boxes], dim=1),
            "region_mask": torch.cat([batch["region_mask"], seen], dim=1),
        }
        if "region_tags" in batch:
            more["region_tags"] = nn.functional.pad(batch["region_tags"], (0, 2))
        return {**batch, **more}

    def save(self, folder: str | Path) -> None:
        """Write config.json, the head and the student; read them with `load`."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        config = {"format": FORMAT, "method": "mad", "task": self.task, "answers": self.answers, **self.facts}
        write_json(folder / CONFIG, config)
        own = {name: value for name, value in self.state_dict().items() if not name.startswith("student.")}
        save_file({name: value.contiguous() for name, value in own.items()}, folder / HEAD)
        self.student.save(folder / STUDENT)

    @classmethod
    def load(cls, folder: str | Path) -> Self:
        """Read what `save` wrote, in evaluation mode.

        Raises:
            InputError: the files are missing, of another format, or do not fit each other.
        """
        folder = Path(folder)
        again = "Train the cell again: vldistill distill mad TASK"
        config = read_json(folder / CONFIG)
        if not isinstance(config, dict) or config.get("format") != FORMAT or config.get("method") != "mad":
            raise InputError(f"not a MAD model of format {FORMAT}", file=folder / CONFIG, field="format", action=again)
        facts = {name: value for name, value in config.items() if name not in ("format", "method", "task", "answers")}
        student = load_student(folder / STUDENT)
        try:
            weights = load_file(folder / HEAD)
            maps = ("input_text", "input_image")
            shown = TeacherInput(*(weights[name] for name in maps)) if maps[0] in weights else None
            matching = nn.Linear(student.width, 1) if "matching.weight" in weights else None
            model = cls(student, config["task"], config["answers"], shown, matching, facts)
            lacking, unknown = model.load_state_dict(weights, strict=False)
            if unknown or any(not name.startswith("student.") for name in lacking):
                raise KeyError(f"weights lack {lacking} and have {unknown}")
        except (OSError, RuntimeError, SafetensorError, KeyError, TypeError) as error:
            raise InputError(f"the model does not load: {error}", file=folder, action=again) from None
        return model.eval()
