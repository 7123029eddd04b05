"""Task heads, as UNITER has them, and the texts they judge (model/{vcr,ve,vqa}.py, data/vcr.py of ChenRocks/UNITER).

    VCR       one sequence a choice: [CLS] Q [SEP] A_c [SEP], and [CLS] Q [SEP] A_gt [SEP] R_c [SEP] -> one score each
    SNLI-VE   [CLS] hypothesis [SEP] -> 3 classes
    VQA       [CLS] question [SEP] -> a score for each answer of a vocabulary, trained on soft targets

A head stands on the student's `pooled` state: dense to twice the width, activation, norm, dense. UNITER trains VCR's
scores as two classes a choice; here the choices of a question compete (our choice): the softmax is what is evaluated.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from vldistill.errors import InputError
from vldistill.models.student.single_stream import EPSILON


class Head(nn.Module):
    """Scores [B, outputs] of pooled states [B, D]."""

    def __init__(self, width: int, outputs: int, init_std: float = 0.02) -> None:
        super().__init__()
        self.outputs = outputs
        dense, scores = nn.Linear(width, 2 * width), nn.Linear(2 * width, outputs)
        for layer in (dense, scores):
            nn.init.normal_(layer.weight, std=init_std)
            nn.init.zeros_(layer.bias)
        self.net = nn.Sequential(dense, nn.GELU(), nn.LayerNorm(2 * width, eps=EPSILON), scores)

    def forward(self, pooled: Tensor) -> Tensor:
        """Scores."""
        scores: Tensor = self.net(pooled)
        return scores


def soft_target_loss(scores: Tensor, targets: Tensor) -> Tensor:
    """Binary cross-entropy of scores and soft targets [B, answers], summed over answers, mean over questions."""
    return functional.binary_cross_entropy_with_logits(scores, targets, reduction="none").sum(dim=1).mean()


class SoftTargets:
    """Scores [N, answers] of N questions, few of which are not 0; whole rows are made when they are asked for.

    On VQA's training set the whole table would take 5.5 GB.

    Args:
        numbers: [N, W] answers with a score; ``answers`` itself where a question has fewer than W.
        scores: [N, W] their scores.
        answers: how many there are.
    """

    def __init__(self, numbers: Tensor, scores: Tensor, answers: int) -> None:
        self.numbers, self.scores = numbers, scores
        self.shape = (len(numbers), answers)

    def dim(self) -> int:
        """Two, as of a tensor."""
        return len(self.shape)

    def __getitem__(self, rows: Tensor) -> Tensor:
        """Scores [B, answers] of the questions ``rows`` [B], numbers or a mask."""
        numbers, scores = self.numbers[rows], self.scores[rows]
        # one more column takes what fills the rows up
        return torch.zeros(len(numbers), self.shape[1] + 1).scatter_(1, numbers, scores)[:, :-1]

    def followed_by(self, other: SoftTargets) -> SoftTargets:
        """The questions of both, which have the same answers."""
        width, answers = max(self.numbers.shape[1], other.numbers.shape[1]), self.shape[1]
        numbers, scores = (
            [functional.pad(part, (0, width - part.shape[1]), value=fill) for part in parts]
            for parts, fill in (((self.numbers, other.numbers), answers), ((self.scores, other.scores), 0.0))
        )
        return SoftTargets(torch.cat(numbers), torch.cat(scores), answers)


class AnswerVocabulary:
    """The answers that a VQA head can give.

    Attributes:
        answers: in the order of the head's outputs.
    """

    def __init__(self, answers: Sequence[str]) -> None:
        if not answers:
            raise InputError("an empty answer vocabulary", action="Give training questions, or ask for fewer mentions")
        self.answers = list(answers)
        self._numbers = {answer: number for number, answer in enumerate(answers)}

    def __len__(self) -> int:
        return len(self.answers)

    def targets(self, soft: Sequence[Mapping[str, float]]) -> SoftTargets:
        """Soft targets of N questions, each answer -> accuracy; answers outside are left out."""
        width = max(map(len, soft), default=0)
        numbers, values = torch.full((len(soft), width), len(self)), torch.zeros(len(soft), width)
        for row, scores in enumerate(soft):
            known = [(self._numbers[answer], score) for answer, score in scores.items() if answer in self._numbers]
            for column, (number, score) in enumerate(known):
                numbers[row, column], values[row, column] = number, score
        return SoftTargets(numbers, values, len(self))


def answer_vocabulary(soft: Iterable[Mapping[str, float]], *, least: int = 1, largest: int = 3129) -> AnswerVocabulary:
    """The most frequent answers of the training questions, of this subset and no others.

    Args:
        soft: for each training question its answers -> accuracy, as
            `vldistill.evaluate.metrics.vqa_formula.soft_targets` gives them.
        least: leave out answers to fewer questions (9 gives about 3,129 on all of VQAv2's training set).
        largest: most answers.

    Raises:
        InputError: none is left.
    """
    counts = Counter(answer for scores in soft for answer in scores)
    frequent = sorted((answer for answer, count in counts.items() if count >= least), key=lambda a: (-counts[a], a))
    return AnswerVocabulary(frequent[:largest])
