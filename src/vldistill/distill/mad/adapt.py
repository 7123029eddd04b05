"""AF, adaptive fine-tuning: a first stage that adapts the teacher's vectors on the training subset.

    u' = unit(u + u A_u),  t' = unit(t + t A_t),  A from zero

    L = InfoNCE(s u' . t') over true pairs of image and text, identical images or texts not counted as negatives
      + SNLI-VE: mean CE(entailed | s u' . t' + b), contradictions being the hard negatives (neutral ones say neither)
      + VCR: mean CE(right choice | s u' . t'_c), the wrong choices being the hard negatives

True pairs are entailed hypotheses, right choices, and for VQA all questions. That the abstract of MAD calls its
distillation adaptive is all that is known of this stage: it is our reconstruction, as all of the above.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional

from vldistill.distill.mad.inputs import Inputs
from vldistill.distill.mad.items import Items
from vldistill.distill.mad.lookup import Table, changed
from vldistill.distill.mad.targets import CLIP_IMAGE, CLIP_TEXT, Vectors
from vldistill.params.mad_parts import Adaptation
from vldistill.records import LABELS

ENTAILED, CONTRADICTED = LABELS.index("entailment"), LABELS.index("contradiction")


class Adapter(nn.Module):
    """The two residual maps, and the bias b."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.image, self.text = (nn.Linear(width, width, bias=False) for _ in range(2))
        for layer in (self.image, self.text):
            nn.init.zeros_(layer.weight)
        self.bias = nn.Parameter(torch.zeros(()))

    def images(self, vectors: Tensor) -> Tensor:
        """u' of u [B, d]."""
        return functional.normalize(vectors + self.image(vectors), dim=-1)

    def texts(self, vectors: Tensor) -> Tensor:
        """t' of t [B, d]."""
        return functional.normalize(vectors + self.text(vectors), dim=-1)


def fitted_adapter(vectors: Vectors, items: Items, inputs: Inputs, options: Adaptation, seed: int) -> Adapter:
    """The first stage.

    Args:
        vectors, items, inputs: of the training subset.
        options: of the stage.
        seed: of the order.
    """
    adapter = Adapter(vectors.image.shape[1])
    optimiser = torch.optim.Adam(adapter.parameters(), lr=options.learning_rate)
    generator = torch.Generator().manual_seed(seed)
    same_text = _numbers(items.teacher_texts)
    for _ in range(options.steps):
        chosen = torch.randperm(len(items), generator=generator)[: options.batch_size]
        loss = contrastive_loss(adapter, vectors, items, inputs, chosen, same_text, options.scale)
        if loss.requires_grad:
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
    return adapter


def adapted(adapter: Adapter, target: Mapping[str, Table]) -> dict[str, Table]:
    """CLIP's vectors [N C, d] after the first stage, of wholes or of parts; all else as it was."""
    change = {CLIP_IMAGE: adapter.images, CLIP_TEXT: adapter.texts}
    return {
        teacher: changed(change[teacher], table.shape[1:], table) if teacher in change else table
        for teacher, table in target.items()
    }


def contrastive_loss(
    adapter: Adapter, vectors: Vectors, items: Items, inputs: Inputs, chosen: Tensor, same_text: Tensor, scale: float
) -> Tensor:
    """L of the items ``chosen`` [B]; without gradient where none of them says anything.

    Args:
        adapter: learns.
        vectors, items, inputs: of the training subset.
        chosen: which items.
        same_text: a number for each text [N C], equal where texts are.
        scale: s.
    """
    rows = inputs.rows(chosen).view(len(chosen), items.choices)
    images = adapter.images(vectors.image[inputs.image[chosen]])
    texts = adapter.texts(vectors.text[rows])
    cosines = torch.einsum("bd,bcd->bc", images, texts)
    targets = items.targets[chosen]
    true, place = torch.ones(len(chosen), dtype=torch.bool), torch.zeros(len(chosen), dtype=torch.long)
    loss = torch.zeros(())
    if items.task == "snli_ve":
        true = targets == ENTAILED
        said = true | (targets == CONTRADICTED)
        if said.any():
            logits = scale * cosines[said, 0] + adapter.bias
            loss = loss + functional.binary_cross_entropy_with_logits(logits, true[said].float())
    elif items.task == "vcr":
        place = targets
        loss = loss + functional.cross_entropy(scale * cosines, place)
    if int(true.sum()) < 2:
        return loss
    picked = rows[torch.arange(len(chosen)), place][true]
    right = texts[torch.arange(len(chosen)), place][true]
    return loss + _info_nce(scale * images[true] @ right.T, inputs.image[chosen][true], same_text[picked])


def _info_nce(logits: Tensor, images: Tensor, texts: Tensor) -> Tensor:
    same = (images[:, None] == images[None]) | (texts[:, None] == texts[None])
    same.fill_diagonal_(False)
    logits = logits.masked_fill(same, float("-inf"))
    own = torch.arange(len(logits))
    return 0.5 * (functional.cross_entropy(logits, own) + functional.cross_entropy(logits.T, own))


def _numbers(texts: list[str]) -> Tensor:
    first: dict[str, int] = {}
    return torch.tensor([first.setdefault(text, len(first)) for text in texts])
