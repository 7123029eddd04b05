"""A tiny world's official files, rendered once; each test gets a copy to break."""

import os
import shutil

import pytest

from vldistill.params.world import Sizes
from vldistill.params.world import World as WorldParams
from vldistill.world.official import write
from vldistill.world.scenes import World

TINY = Sizes(
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


@pytest.fixture(scope="session")
def tiny_world(tmp_path_factory):
    folder = tmp_path_factory.mktemp("official")
    write(World(WorldParams(sizes=TINY)), folder)
    return folder


@pytest.fixture
def files(tiny_world, tmp_path):
    """A private copy of the tiny world's files."""
    return shutil.copytree(tiny_world, tmp_path / "official", copy_function=_copy)


def _copy(source, target):
    # tests write into text files only; images are removed or moved
    (os.link if source.endswith(".jpg") else shutil.copyfile)(source, target)
