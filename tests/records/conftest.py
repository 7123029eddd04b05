"""A tiny world's official files, rendered once, and hand-made ones; each test gets a copy to break."""

import os
import shutil

import pytest

from tests.records import handmade
from tests.tiny_world import TINY
from vldistill.params.world import World as WorldParams
from vldistill.world.official import write
from vldistill.world.scenes import World


@pytest.fixture(scope="session")
def tiny_world(tmp_path_factory):
    folder = tmp_path_factory.mktemp("official")
    write(World(WorldParams(sizes=TINY)), folder)
    handmade.write(folder)
    return folder


@pytest.fixture
def files(tiny_world, tmp_path):
    """A private copy of the tiny world's files."""
    return shutil.copytree(tiny_world, tmp_path / "official", copy_function=_copy)


def _copy(source, target):
    # tests write into text files only; images are removed or moved
    (os.link if source.endswith(".jpg") else shutil.copyfile)(source, target)
