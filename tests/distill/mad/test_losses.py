"""The equations against numbers worked out by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from vldistill.distill.mad.losses import (
    confidence_weight,
    distance,
    distillation,
    normalised,
    projected,
    target_probability,
    task_loss,
)
from vldistill.params.mad_parts import Confidence

ONE, OTHER = torch.tensor([[2.0, 0.0], [0.0, 3.0]]), torch.tensor([[0.0, 5.0], [0.0, 1.0]])


def test_distances_of_unit_vectors() -> None:
    assert distance(ONE, OTHER, "cos").tolist() == pytest.approx([1.0, 0.0])
    assert distance(ONE, OTHER, "mse").tolist() == pytest.approx([2.0, 0.0])
    assert distance(ONE, OTHER, "l1").tolist() == pytest.approx([2.0, 0.0])


def test_affine_projection() -> None:
    matrix = torch.tensor([[1.0, 0.0], [0.0, 2.0], [0.5, -0.5]])
    assert projected(torch.tensor([[3.0, 4.0]]), matrix).tolist() == [[3.5, 7.5]]


def test_distillation_is_a_weighted_mean_over_instances_and_places() -> None:
    same = torch.cat([torch.eye(2), torch.zeros(1, 2)])
    weight = torch.tensor([0.5, 2.0])
    one = distillation({"cls": ONE}, {"cls": same}, {"cls": OTHER}, weight, "cos")
    assert one.item() == pytest.approx((0.5 * 1 + 2.0 * 0) / 2)
    maps = {"cls": same, "token": same}
    both = distillation({"cls": ONE, "token": OTHER}, maps, {"cls": OTHER, "token": OTHER}, weight, "cos")
    assert both.item() == pytest.approx(0.5 * one.item())
    own = distillation({"cls": ONE, "token": OTHER}, maps, {"cls": ONE, "token": OTHER}, weight, "cos")
    assert own.item() == pytest.approx(0.0)
    # several states of an instance count as one: their mean, whether each has a vector of its own or all have the same
    several = torch.stack([ONE, OTHER], dim=1)
    each = distillation({"token": several}, maps, {"token": torch.stack([ONE, ONE], dim=1)}, weight, "cos")
    assert each.item() == pytest.approx(0.5 * one.item())
    whole = distillation({"token": several}, maps, {"token": ONE}, weight, "cos")
    assert whole.item() == pytest.approx(each.item())


def test_task_losses() -> None:
    scores = torch.tensor([[0.0, math.log(3.0)]])
    assert task_loss(scores, torch.tensor([1])).item() == pytest.approx(math.log(4 / 3))
    smooth = 0.9 * math.log(4 / 3) + 0.1 * math.log(4)
    assert task_loss(scores, torch.tensor([1]), smoothing=0.2).item() == pytest.approx(smooth, rel=1e-5)
    soft = task_loss(torch.tensor([[0.0, math.log(3.0)]]), torch.tensor([[0.0, 0.6]]))
    assert soft.item() == pytest.approx(math.log(2) - 0.6 * math.log(0.75) - 0.4 * math.log(0.25), rel=1e-5)


def test_probability_of_the_target() -> None:
    scores = torch.tensor([[0.0, math.log(3.0)], [0.0, 0.0]])
    assert target_probability(scores, torch.tensor([1, 0])).tolist() == pytest.approx([0.75, 0.5])
    # answers of score 0.6 and 0.3: two thirds of the one's chance, a third of the other's; none can be given: 0
    soft = torch.tensor([[0.3, 0.6], [0.0, 0.0]])
    assert target_probability(scores, soft).tolist() == pytest.approx([0.25 / 3 + 2 * 0.75 / 3, 0.0], abs=1e-6)


@pytest.mark.parametrize(
    ("kind", "expected"),
    [("ratio", [0.5, 2.0, 2.0]), ("p", [0.2, 0.9, 0.5]), ("indicator", [0.0, 1.0, 1.0]), ("constant", [0.7] * 3)],
)
def test_confidence_weights(kind: str, expected: list[float]) -> None:
    teacher = torch.tensor([0.2, 0.9, 0.5], requires_grad=True)
    student = torch.tensor([0.4, 0.3, 1e-9], requires_grad=True)
    weights = confidence_weight(teacher, student, Confidence(kind=kind, most=2.0), 0.7)  # type: ignore[arg-type]
    assert weights.tolist() == pytest.approx(expected) and not weights.requires_grad


def test_normalised_weights_have_mean_one_over_the_teachers() -> None:
    found = normalised({"a": torch.tensor([1.0, 0.2]), "b": torch.tensor([3.0, 0.2])})
    np.testing.assert_allclose(found["a"], [0.5, 1.0], rtol=1e-6)
    np.testing.assert_allclose(found["b"], [1.5, 1.0], rtol=1e-6)
