"""Task heads, their losses and the answer vocabulary."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from vldistill.errors import InputError
from vldistill.evaluate.metrics.vqa_formula import soft_targets
from vldistill.models.student.heads import answer_vocabulary, soft_target_loss


def test_soft_target_loss_sums_over_answers() -> None:
    scores, targets = torch.tensor([[0.3, -2.0], [1.0, 0.0]]), torch.tensor([[1.0, 0.3], [0.0, 0.0]])
    each = -(targets * functional.logsigmoid(scores) + (1 - targets) * functional.logsigmoid(-scores))
    torch.testing.assert_close(soft_target_loss(scores, targets), each.sum() / 2)


def test_the_vocabulary_holds_the_most_frequent_answers_of_the_given_questions() -> None:
    soft = [
        soft_targets(["red"] * 9 + ["blue"]),
        soft_targets(["red"] * 4 + ["pink"] * 6),
        soft_targets(["green"] * 10),
    ]
    assert answer_vocabulary(soft).answers == ["red", "blue", "green", "pink"]
    known = answer_vocabulary(soft, largest=2)
    targets = known.targets(soft)
    assert targets.shape == (3, 2) and targets.dim() == 2
    assert targets[torch.arange(3)].tolist() == [pytest.approx([1.0, 0.3]), [1.0, 0.0], [0.0, 0.0]]
    both = targets.followed_by(known.targets([{"red": 0.5}]))
    assert both[torch.tensor([3, 0])].tolist() == [[0.5, 0.0], pytest.approx([1.0, 0.3])]
    assert answer_vocabulary(soft, least=2).answers == ["red"]
    with pytest.raises(InputError, match="empty answer vocabulary"):
        answer_vocabulary(soft, least=5)
