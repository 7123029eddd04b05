"""The three losses of VLKD, one function each.

Names as in Dai et al., Findings of ACL 2022 (arXiv 2203.06386): Text-Text Distance Minimization, Image-Text Contrastive
Learning, Image-Conditioned Text Infilling. The exact forms below are our choice (docs/fidelity.md). With caption x,
image v, frozen teacher z_t = CLIP_text(x), z_v = CLIP_image(v), and s = W_e pool(encoder(x)):

    TTDM   mean_i || s_i - z_t,i ||^2                                          on unit or raw vectors
    ITCL   1/2 mean_i [ CE(tau s_i . z_v, i) + CE(tau z_v,i . s, i) ]          on unit vectors, negatives of all ranks
    ICTI   -mean_t log p(x_t | x_<t, [W_d f(v) ; encoder(corrupt(x))])         the mean runs over the batch's tokens
    L    = a TTDM + b ITCL + c ICTI
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from vldistill.models.language_model import LanguageModel
from vldistill.models.vlkd import joined
from vldistill.training.distributed import gather_rows
from vldistill.training.temperature import limited_scale


def ttdm(s: Tensor, z_t: Tensor, *, unit: bool) -> Tensor:
    """Mean squared distance of text vectors `s` [B, d] to the teacher's `z_t` [B, d].

    On unit vectors it lies in [0, 4] and equals 2 - 2 cos; on raw vectors it scales with the teacher's norms, so that
    a weight found for one does not suit the other.
    """
    if unit:
        s, z_t = functional.normalize(s, dim=-1), functional.normalize(z_t, dim=-1)
    return (s - z_t).square().sum(-1).mean()


def itcl(s: Tensor, z_v: Tensor, log_scale: Tensor, *, captions: Tensor, images: Tensor) -> Tensor:
    """Symmetric InfoNCE between text vectors `s` [B, d] and image vectors `z_v` [B, d] of the same rows.

    Args:
        s: text vectors.
        z_v: frozen image vectors.
        log_scale: logarithm of the inverse temperature, learned, initialised from CLIP's.
        captions: a number for each row's caption [B]; a row with the same one is not a negative.
        images: likewise for the image [B].
    """
    s, z_v = functional.normalize(s, dim=-1), functional.normalize(z_v, dim=-1)
    all_s, first = gather_rows(s)
    all_z, _ = gather_rows(z_v)
    scale = limited_scale(log_scale)
    own = torch.arange(first, first + len(s), device=s.device)
    excluded = _excluded(captions, images, own)
    text_to_image = (scale * s @ all_z.T).masked_fill(excluded, float("-inf"))
    image_to_text = (scale * z_v @ all_s.T).masked_fill(excluded, float("-inf"))
    return 0.5 * (functional.cross_entropy(text_to_image, own) + functional.cross_entropy(image_to_text, own))


def itcl_sigmoid(
    s: Tensor, z_v: Tensor, log_scale: Tensor, bias: Tensor, *, captions: Tensor, images: Tensor
) -> Tensor:
    """SigLIP's pairwise loss (Zhai et al. 2023): each pair is a binary decision, summed over columns, mean over rows.

    Arguments as `itcl`; `bias` is learned and starts at the teacher's; the temperature has no limit.
    """
    s, z_v = functional.normalize(s, dim=-1), functional.normalize(z_v, dim=-1)
    all_z, first = gather_rows(z_v)
    own = torch.arange(first, first + len(s), device=s.device)
    logits = log_scale.exp() * s @ all_z.T + bias
    target = -torch.ones_like(logits)
    target[torch.arange(len(s), device=s.device), own] = 1.0
    pairs = -functional.logsigmoid(target * logits)
    return pairs.masked_fill(_excluded(captions, images, own), 0.0).sum(-1).mean()


def icti(
    language_model: LanguageModel,
    image_states: Tensor,
    image_mask: Tensor,
    text_states: Tensor,
    text_mask: Tensor,
    labels: Tensor,
) -> Tensor:
    """Mean cross-entropy of the caption's tokens, the decoder attending to image states, then encoder states.

    Args:
        language_model: its decoder predicts `labels`.
        image_states: W_d f(v) [B, K, D], with mask [B, K].
        text_states: encoder states of the corrupted caption [B, L, D], with mask [B, L].
        labels: token ids of the whole caption [B, T], -100 where padded.
    """
    states, mask = joined(image_states, image_mask, text_states, text_mask)
    return language_model.decode_loss(states, mask, labels)


def _excluded(captions: Tensor, images: Tensor, own: Tensor) -> Tensor:
    """True [B, N] where a gathered column repeats the row's caption or image without being the row's own pair."""
    all_captions, _ = gather_rows(captions)
    all_images, _ = gather_rows(images)
    same = (captions[:, None] == all_captions[None]) | (images[:, None] == all_images[None])
    same[torch.arange(len(own), device=own.device), own] = False
    return same
