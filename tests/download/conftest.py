"""Parameters of a tiny world."""

import pytest

from tests.tiny_world import TINY
from vldistill.params import Params
from vldistill.params.world import World as WorldParams


@pytest.fixture
def params(monkeypatch):
    monkeypatch.delenv("VLDISTILL_SCRATCH", raising=False)
    return Params(world=WorldParams(sizes=TINY))
