"""Parameters of a tiny world."""

import pytest

from vldistill.params import Params
from vldistill.params.world import Sizes
from vldistill.params.world import World as WorldParams


@pytest.fixture
def params(monkeypatch):
    monkeypatch.delenv("VLDISTILL_SCRATCH", raising=False)
    sizes = Sizes(
        cc3m=12,
        captions=2,
        coco_train=6,
        coco_val=4,
        coco_test=5,
        references=2,
        questions=2,
        okvqa_test=4,
        nocaps=2,
        nocaps_references=3,
        domain_questions=2,
        corpus=20,
        text_train=4,
        text_dev=4,
        text_test=4,
    )
    return Params(world=WorldParams(sizes=sizes))
