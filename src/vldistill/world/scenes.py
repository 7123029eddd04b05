"""Which scenes exist, and which data set may show which of them.

Two divisions, both by the world seed:

- pools: every full combination of slot values belongs to `train`, `dev` or `test`, by a hash. Training sets draw from
  the first pool only, so no evaluation image can repeat a combination seen in training.
- pair classes: every (color, shape) pair is `seen`, `rare` or `never`. Distillation images show seen pairs, now and
  then a rare one, never one of the last class. In-domain is then a new combination with a seen pair, near-domain one
  with a rare pair, out-domain one whose pair no training image shows.
"""

from __future__ import annotations

import hashlib
import itertools
import random
from collections.abc import Sequence
from functools import lru_cache

from vldistill.params.world import World as WorldParams
from vldistill.world.concepts import FACTS, VALUES, Scene

POOLS = ("train", "dev", "test")
PAIR_CLASSES = ("seen", "rare", "never")
DOMAINS = {"in-domain": "seen", "near-domain": "rare", "out-domain": "never"}


class World:
    """The divisions and facts of one world seed."""

    def __init__(self, params: WorldParams) -> None:
        self.params = params
        self.seed = params.seed
        self.pair_class = pair_classes(params.seed)
        self.facts = facts(params.seed)
        self._groups = _groups(params.seed, params.train_pool, params.dev_pool)

    def rng(self, *name: object) -> random.Random:
        """A generator of its own for each ``name``: what one data set draws never shifts another."""
        return random.Random(":".join(map(str, (self.seed, *name))))

    def scenes(self, pool: str, classes: Sequence[str], count: int, name: str) -> list[Scene]:
        """Draw ``count`` scenes of ``pool`` with pairs of ``classes``, without repeats while there are enough.

        Args:
            pool: one of `POOLS`.
            classes: some of `PAIR_CLASSES`.
            count: how many.
            name: names the draw; another name gives another order.
        """
        candidates = [scene for kind in classes for scene in self._groups[pool, kind]]
        rng = self.rng("scenes", name)
        drawn: list[Scene] = []
        while len(drawn) < count:
            drawn += rng.sample(candidates, min(len(candidates), count - len(drawn)))
        return drawn


def pair_classes(seed: int) -> dict[tuple[str, str], str]:
    """The class of every (color, shape) pair.

    A Latin square keeps the answers balanced: every colour and every shape has one rare and one never-seen partner, so
    that neither tells anything about the other.
    """
    rng = random.Random(f"{seed}:pairs")
    colors = rng.sample(VALUES["color"], len(VALUES["color"]))
    shapes = rng.sample(VALUES["shape"], len(VALUES["shape"]))
    kinds = {0: "rare", 1: "never"}
    return {
        (color, shape): kinds.get((row - column) % len(shapes), "seen")
        for row, color in enumerate(colors)
        for column, shape in enumerate(shapes)
    }


def facts(seed: int) -> dict[str, dict[str, str]]:
    """Fact -> shape -> value. Each value belongs to equally many shapes, and the two facts are crossed."""
    rng = random.Random(f"{seed}:facts")
    shapes = rng.sample(VALUES["shape"], len(VALUES["shape"]))
    half = len(shapes) // len(FACTS["taste"])
    table: dict[str, dict[str, str]] = {"taste": {}, "use": {}}
    for index, shape in enumerate(shapes):
        table["taste"][shape] = FACTS["taste"][index // half]
        table["use"][shape] = FACTS["use"][index % len(FACTS["use"])]
    return table


def pool_of(seed: int, scene: Scene, train: float, dev: float) -> str:
    """The pool of a full combination, by a hash that knows nothing of the data sets drawn from it."""
    digest = hashlib.sha256(f"{seed}:pool:{'|'.join(scene.values)}".encode()).digest()
    position = int.from_bytes(digest[:8], "big") / 2**64
    return "train" if position < train else "dev" if position < train + dev else "test"


@lru_cache(maxsize=8)
def _groups(seed: int, train: float, dev: float) -> dict[tuple[str, str], list[Scene]]:
    classes = pair_classes(seed)
    groups: dict[tuple[str, str], list[Scene]] = {(pool, kind): [] for pool in POOLS for kind in PAIR_CLASSES}
    for values in itertools.product(*VALUES.values()):
        scene = Scene(*values)
        groups[pool_of(seed, scene, train, dev), classes[scene.pair]].append(scene)
    return groups
