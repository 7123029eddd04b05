"""Which scenes exist and who sees which of them."""

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vldistill.params.world import Sizes
from vldistill.params.world import World as WorldParams
from vldistill.world.concepts import FACTS, SLOTS, VALUES, Scene
from vldistill.world.scenes import PAIR_CLASSES, POOLS, World, facts, pair_classes

seeds = st.integers(0, 2**31)


def test_slots_stand_in_the_order_of_the_scene_fields():
    assert tuple(Scene.__dataclass_fields__) == SLOTS


@given(seeds)
@settings(max_examples=30)
def test_each_color_and_each_shape_has_one_rare_and_one_never_seen_partner(seed):
    classes = pair_classes(seed)
    for position, slot in enumerate(("color", "shape")):
        for value in VALUES[slot]:
            own = Counter(kind for pair, kind in classes.items() if pair[position] == value)
            assert own == {"seen": 6, "rare": 1, "never": 1}


@given(seeds)
@settings(max_examples=30)
def test_fact_values_are_balanced_and_facts_are_crossed(seed):
    table = facts(seed)
    for fact, values in FACTS.items():
        assert Counter(table[fact].values()) == dict.fromkeys(values, 2)
    assert len({(table["taste"][shape], table["use"][shape]) for shape in VALUES["shape"]}) == 8


def test_another_seed_gives_another_world():
    one, other = World(WorldParams(seed=1)), World(WorldParams(seed=2))
    assert one.pair_class != other.pair_class
    assert one.scenes("train", ("seen",), 20, "x") != other.scenes("train", ("seen",), 20, "x")


def test_pools_and_classes_divide_all_combinations():
    world = World(WorldParams())
    everything = [
        scene for pool in POOLS for kind in PAIR_CLASSES for scene in set(world.scenes(pool, (kind,), 12_000, "all"))
    ]
    assert len(everything) == len(set(everything)) == 3 * 2 * 8 * 8 * 3 * 5 * 4
    assert all(
        world.pair_class[scene.pair] == kind
        for kind in PAIR_CLASSES
        for scene in world.scenes("dev", (kind,), 50, "some")
    )


def test_scenes_repeat_only_when_there_are_no_others():
    world = World(WorldParams())
    drawn = world.scenes("train", ("seen",), 5000, "cc3m")
    assert len(set(drawn)) == 5000
    assert world.scenes("train", ("seen",), 5000, "cc3m") == drawn
    assert world.scenes("train", ("seen",), 100, "other")[:5] != drawn[:5]


@pytest.mark.parametrize("field", ["train_pool", "dev_pool"])
def test_pool_shares_are_those_asked_for(field):
    share = 0.2
    params = WorldParams(**{"train_pool": 0.3, "dev_pool": 0.3, field: share})
    pool = "train" if field == "train_pool" else "dev"
    world = World(params)
    count = len(set(world.scenes(pool, PAIR_CLASSES, 23_040, "all")))
    assert count / 23_040 == pytest.approx(share, abs=0.02)


def test_sizes_refuse_nonsense():
    with pytest.raises(ValueError, match="greater than or equal"):
        Sizes(cc3m=0)
