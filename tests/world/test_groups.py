"""Groups of figures: where they stand, which pool shows them, and what the boxes hold."""

import numpy as np
import pytest

from vldistill.params.world import World as WorldParams
from vldistill.world.groups import CELLS, SCALE, Figure, Group, draw_groups, group_boxes, render_groups
from vldistill.world.render import COLORS, boxes, render
from vldistill.world.scenes import World

PARAMS = WorldParams()
STILL = WorldParams(jitter=0, noise=0)


def looks(group):
    return frozenset(figure.looks for figure in group.figures)


def test_groups_of_two_pools_never_show_the_same_figures():
    world = World(PARAMS)
    shown = {pool: {looks(group) for group in draw_groups(world, pool, 800, pool)} for pool in ("train", "dev", "test")}
    assert not shown["train"] & shown["dev"] | shown["train"] & shown["test"] | shown["dev"] & shown["test"]


def test_groups_hold_two_to_four_different_figures_of_seen_pairs_in_different_quarters():
    world = World(PARAMS)
    groups = draw_groups(world, "train", 500, "x")
    assert {len(group.figures) for group in groups} == {2, 3, 4}
    for group in groups:
        assert len(looks(group)) == len({figure.cell for figure in group.figures}) == len(group.figures)
        assert all(world.pair_class[figure.color, figure.shape] == "seen" for figure in group.figures)
    # the order of the figures must not tell where they stand
    first = [group.figures[0].cell for group in groups]
    assert all(80 < first.count(cell) < 170 for cell in range(len(CELLS)))


def test_a_group_does_not_depend_on_how_many_are_rendered():
    world = World(PARAMS)
    groups = draw_groups(world, "train", 300, "x")
    whole = list(render_groups(groups, PARAMS, "x"))
    again = list(render_groups(groups[:5], PARAMS, "x"))
    assert all((one == other).all() for one, other in zip(whole, again, strict=False))
    assert whole[0].shape == (SCALE * PARAMS.image_size,) * 2 + (3,)
    assert list(group_boxes(groups, PARAMS, "x"))[:5] == list(group_boxes(groups[:5], PARAMS, "x"))


@pytest.mark.parametrize("size", ["big", "small"])
def test_a_figures_box_holds_it_and_little_else(size):
    group = Group((Figure(size, "red", "box", 0), Figure(size, "blue", "box", 3)), "white", "plain")
    [image], [places] = list(render_groups([group], STILL, "x")), list(group_boxes([group], STILL, "x"))
    for figure, (x1, y1, x2, y2) in zip(group.figures, places, strict=True):
        painted = (np.abs(image.astype(int) - np.array(COLORS[figure.color])).max(axis=2) < 40)[y1:y2, x1:x2]
        assert painted.mean() > 0.35
        outside = np.abs(image.astype(int) - np.array(COLORS[figure.color])).max(axis=2) < 40
        outside[y1:y2, x1:x2] = False
        assert not outside.any()


def test_the_boxes_of_a_scene_are_its_objects_and_last_its_wall():
    world = World(PARAMS)
    scenes = world.scenes("train", ("seen",), 60, "x")
    number = {"one": 1, "two": 2, "three": 3}
    for scene, image, places in zip(scenes, render(scenes, PARAMS, "x"), boxes(scenes, PARAMS, "x"), strict=True):
        assert len(places) == number[scene.count] + 1
        for x1, y1, x2, y2 in places:
            assert 0 <= x1 < x2 <= PARAMS.image_size and 0 <= y1 < y2 <= PARAMS.image_size
        x1, y1, x2, y2 = places[0]
        middle = image[(y1 + y2) // 2 - 1 : (y1 + y2) // 2 + 1, x1:x2].astype(int)
        near = np.abs(middle - np.array(COLORS[scene.color])).max(axis=2) < 60
        # a ring and a moon are open in the middle, so only some of the line is painted
        assert near.any()
        wall = places[-1]
        assert {"left": wall[0] == 0, "top": wall[1] == 0, "right": wall[2] == 48, "bottom": wall[3] == 48}[scene.side]
