"""The losses of MAD, one function each.

Student: last-layer states h_0 = [CLS], h_1..n text, r_0..K regions. Frozen teachers m: z_m of unit length (t and u of
CLIP's text and image encoder, l of a language model); t_k and u_j are their vectors of the chosen word and region alone
(`scope` part; with `whole`, t and u stand there as well). P: affine heads of training only. D: a distance of unit
vectors.

    task        cross-entropy (SNLI-VE over labels, VCR over choices); VQA: binary cross-entropy, summed over answers
    nKD         L_m = mean_i w_mi D(P_m h_0, z_m)
    TS          L_t = mean_i w_ti D(P_t h_k*, t_k*),  L_u = mean_i w_ui D(P_u r_j*, u_j*),  L_l as L_t
    CW          w_m = stop_grad(clip(p_m(y|x) / p_S(y|x), 0, w_max)), or p_m, or 1[p_m > p_S], or a constant
    MAD         task + lambda sum_m lambda_m L_m with TS and CW

Sources: that knowledge is distilled adaptively from unimodal encoders, vision and text, while a cross-modal student
learns the task is MAD's abstract (Wang et al., arXiv 2204.10496); "dynamically weighted" and "adaptively selected
tokens per instance" is CLIP-TD's (arXiv 2201.05729). All formulas are our reconstruction; VQA's loss is UNITER's.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn import functional

from vldistill.models.student.heads import soft_target_loss
from vldistill.params.mad_parts import Confidence


def task_loss(scores: Tensor, targets: Tensor, *, smoothing: float = 0.0) -> Tensor:
    """Mean loss of N items.

    Args:
        scores: [N, A], a logit for each label, choice or answer.
        targets: index [N], or for VQA the scores [N, A] of the answers.
        smoothing: share of the target that is spread over all A.
    """
    if targets.dim() == 1:
        return functional.cross_entropy(scores, targets, label_smoothing=smoothing)
    smooth = (1 - smoothing) * targets + smoothing * targets.mean(dim=1, keepdim=True)
    return soft_target_loss(scores, smooth)


def distance(one: Tensor, other: Tensor, kind: str) -> Tensor:
    """D [...] of vectors [..., d], brought to unit length: `l1` and `mse` are sums over d, `cos` is 1 - cosine.

    `mse` is twice `cos`: it is kept since the papers name it.
    """
    one, other = functional.normalize(one, dim=-1), functional.normalize(other, dim=-1)
    if kind == "cos":
        return 1 - (one * other).sum(dim=-1)
    difference = one - other
    return difference.abs().sum(dim=-1) if kind == "l1" else difference.square().sum(dim=-1)


def projected(state: Tensor, matrix: Tensor) -> Tensor:
    """P h: [..., d] of states [..., D] and an affine map [D + 1, d]."""
    return state @ matrix[:-1] + matrix[-1]


def distillation(
    states: Mapping[str, Tensor],
    matrices: Mapping[str, Tensor],
    targets: Mapping[str, Tensor],
    weight: Tensor,
    kind: str,
) -> Tensor:
    """L_m: the weighted mean distance of one teacher's vectors to the student's projected states.

    Args:
        states: place -> states [B, D], or [B, m, D]; the mean over several, and over several places, is taken.
        matrices: place -> P [D + 1, d].
        targets: place -> z_m [B, d], or [B, m, d].
        weight: w_m [B], without gradient.
        kind: the distance.
    """
    found = [
        distance(projected(state, matrices[place]), _as_many(targets[place], state), kind)
        .view(len(weight), -1)
        .mean(dim=1)
        for place, state in states.items()
    ]
    return (weight * torch.stack(found).mean(dim=0)).mean()


def _as_many(target: Tensor, states: Tensor) -> Tensor:
    """One vector [B, d] for all of an instance's m states [B, m, D], where it has one for all."""
    return target if target.dim() == states.dim() else target[:, None]


def target_probability(scores: Tensor, targets: Tensor) -> Tensor:
    """p(y|x) [N]: what a softmax over the scores [N, A] gives the target.

    VQA (our choice): the mean over the answers, by their scores; 0 where no answer has one.
    """
    probabilities = scores.softmax(dim=1)
    if targets.dim() == 1:
        return probabilities.gather(1, targets[:, None]).squeeze(1)
    return (probabilities * targets).sum(dim=1) / targets.sum(dim=1).clamp(min=1e-6)


def confidence_weight(teacher: Tensor, student: Tensor, options: Confidence, constant: float) -> Tensor:
    """w_m [N] of p_m [N] and p_S [N]; no gradient passes.

    Args:
        teacher: p_m.
        student: p_S.
        options: the variant.
        constant: the weight of the variants that look at neither.
    """
    teacher, student = teacher.detach(), student.detach()
    if options.kind == "ratio":
        return (teacher / student.clamp(min=1e-6)).clamp(max=options.most)
    if options.kind == "p":
        return teacher
    if options.kind == "indicator":
        return (teacher > student).float()
    return torch.full_like(teacher, constant)


def normalised(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Weights [N] of each teacher, divided by their mean over the teachers."""
    mean = torch.stack(list(weights.values())).mean(dim=0).clamp(min=1e-6)
    return {name: weight / mean for name, weight in weights.items()}
