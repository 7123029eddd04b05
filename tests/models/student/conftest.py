"""Tiny students with random weights."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from vldistill.models.student.single_stream import SingleStream, SingleStreamConfig
from vldistill.models.student.tokens import WordPieceTokenizer, learn_vocabulary

TEXTS = ["two red circles on the left", "a blue square", "is the circle red?"]
SHAPE = {"region_width": 12, "width": 16, "layers": 2, "heads": 2, "feedforward": 32, "positions": 24, "types": 4}


@pytest.fixture(scope="session")
def tokenizer() -> WordPieceTokenizer:
    return learn_vocabulary(TEXTS, ["crimson", "yes"], 500)


@pytest.fixture(params=[False, True], ids=["post_norm", "pre_norm"])
def mini(tokenizer: WordPieceTokenizer, request: pytest.FixtureRequest) -> SingleStream:
    torch.manual_seed(0)
    shape = {**SHAPE, "vocabulary": len(tokenizer), "pre_norm": request.param, "dropout": 0.0, "init_std": 0.2}
    return SingleStream(SingleStreamConfig(**shape), tokenizer, {"note": "tiny"}).eval()


def visual(rows: int, regions: int, width: int = 12) -> dict[str, Tensor]:
    """Region entries of a batch; the last region of the first row is padding."""
    generator = torch.Generator().manual_seed(1)
    mask = torch.ones(rows, regions, dtype=torch.bool)
    mask[0, -1] = False
    return {
        "region_features": torch.randn(rows, regions, width, generator=generator),
        "region_boxes": torch.rand(rows, regions, 7, generator=generator),
        "region_mask": mask,
    }
