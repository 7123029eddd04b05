"""The sets of the second method in the official formats: Flickr30k, SNLI-VE, VCR, Visual Genome, COCO's boxes.

As in `official`, the readers in `vldistill.records` read these files and the real ones alike.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from vldistill.files import write_json, write_jsonl
from vldistill.records import coco, flickr30k, snli_ve, synsets, visual_genome
from vldistill.world import entailment, genome
from vldistill.world import vcr as questions
from vldistill.world.concepts import WORDS, Scene, plural
from vldistill.world.groups import SCALE, Group, draw_groups, group_boxes, render_groups
from vldistill.world.pictures import write_pictures, write_plain
from vldistill.world.render import Box, boxes, render
from vldistill.world.scenes import World

POOL_OF_SPLIT = {"train": "train", "dev": "dev", "test": "test"}
PARTS = {"train": "train", "val": "test", "test": "dev"}  # VCR's official parts -> pool; its test part has no labels
FIGURE = "person"  # the class of a group's figures: VCR's rules are about persons
UNLABELLED = 8  # images in VCR's official test part, which nothing here is measured on
PLACE = "vcr1images"
SCORE = 1.0  # of a box, as detectors give one
GENOME_STEP = 1000  # region ids of one image


def write_flickr30k(world: World, folder: Path) -> dict[str, dict[str, Scene]]:
    """Images and boxes of Flickr30k; returns the scenes of each split by image id."""
    sizes, side = world.params.sizes, world.params.image_size
    counts = {"train": sizes.flickr_train, "dev": sizes.flickr_dev, "test": sizes.flickr_test}
    splits: dict[str, dict[str, Scene]] = {}
    for number, (split, count) in enumerate(counts.items(), start=1):
        name = f"flickr30k-{split}"
        scenes = world.scenes(POOL_OF_SPLIT[split], ("seen",), count, name)
        ids = [str(number * 1_000_000 + index) for index in range(count)]
        splits[split] = dict(zip(ids, scenes, strict=True))
        paths = [folder / flickr30k.IMAGES[0] / f"{identity}.jpg" for identity in ids]
        write_pictures(render(scenes, world.params, name), paths)
        for identity, places in zip(ids, boxes(scenes, world.params, name), strict=True):
            write_plain(folder / flickr30k.BOXES / f"{identity}.xml", _entities(identity, places, side))
    return splits


def write_snli_ve(world: World, splits: dict[str, dict[str, Scene]], folder: Path) -> None:
    """Hypotheses about Flickr30k's images."""
    for split, scenes in splits.items():
        write_jsonl(folder / snli_ve.FILE.format(split=split), _pairs(world, scenes))


def write_vcr(world: World, folder: Path) -> None:
    """Annotations, images and the boxes of their figures."""
    sizes = world.params.sizes
    counts = {"train": sizes.vcr_train, "val": sizes.vcr_test, "test": UNLABELLED}
    for part, count in counts.items():
        name = f"vcr-{part}"
        groups = draw_groups(world, PARTS[part], count, name)
        rows: list[dict[str, Any]] = []
        paths: list[Path] = []
        for index, (group, places) in enumerate(zip(groups, group_boxes(groups, world.params, name), strict=True)):
            # four images make a film: the questions of one film stay together in every split
            movie, image = f"{part}_{index // 4:04d}", f"{part}_{index // 4:04d}/{index:05d}"
            paths.append(folder / PLACE / f"{image}.jpg")
            write_plain(folder / PLACE / f"{image}.json", json.dumps(_metadata(world, group, places)))
            rng = world.rng("vcr", part, index)
            for number, item in enumerate(questions.items(group, sizes.vcr_questions, rng, world.params.tag_repeat)):
                identity = f"{part}-{len(rows)}"
                rows.append(_question(item, group, identity, movie, image, number, labelled=part != "test"))
        write_pictures(render_groups(groups, world.params, name), paths)
        write_jsonl(folder / f"{part}.jsonl", rows)


def write_vg(world: World, folder: Path) -> None:
    """Scenes and groups with phrases about the picture and its objects, the objects' boxes, and synonyms."""
    sizes, side = world.params.sizes, world.params.image_size
    scenes = world.scenes("train", ("seen",), sizes.vg, "vg-scenes")
    groups = draw_groups(world, "train", sizes.vg, "vg-groups")
    numbers = range(1, 2 * sizes.vg + 1)
    pictures = [folder / visual_genome.IMAGES[0] / f"{number}.jpg" for number in numbers]
    write_pictures(render(scenes, world.params, "vg-scenes"), pictures[: sizes.vg])
    write_pictures(render_groups(groups, world.params, "vg-groups"), pictures[sizes.vg :])
    found: list[tuple[int, list[Box], list[tuple[str, Box]]]] = []
    for scene, places in zip(scenes, boxes(scenes, world.params, "vg-scenes"), strict=True):
        rng = world.rng("phrases", "scene", len(found))
        whole = (0, 0, side, side)
        found.append((side, places, [(genome.scene_phrase(scene, rng), whole) for _ in range(sizes.phrases)]))
    for group, places in zip(groups, group_boxes(groups, world.params, "vg-groups"), strict=True):
        found.append((SCALE * side, places, _group_phrases(world, group, places, len(found))))
    _write_genome(found, folder)
    write_json(folder / synsets.OBJECTS, _synsets(("shape",), "n", plurals=True))
    write_json(folder / synsets.ATTRIBUTES, _synsets([slot for slot in WORDS if slot != "shape"], "s"))


def write_boxes(world: World, parts: dict[str, dict[int, Scene]], names: dict[int, str], folder: Path) -> None:
    """COCO's ``instances_*2014.json``: the boxes of the objects and the wall.

    Args:
        world: the world.
        parts: the scenes of each of COCO's parts, by image id.
        names: file name by image id.
        folder: of the set coco.
    """
    side = world.params.image_size
    placed = {
        number: places
        for part, scenes in parts.items()
        for number, places in zip(scenes, boxes(list(scenes.values()), world.params, f"coco-{part}"), strict=True)
    }
    for file, where in zip(coco.INSTANCES, ("train2014", "val2014"), strict=True):
        own = [number for number in placed if f"_{where}_" in names[number]]
        images = [{"id": number, "file_name": names[number], "width": side, "height": side} for number in own]
        annotations = [
            _instance(number, index, place, wall=index == len(placed[number]) - 1)
            for number in own
            for index, place in enumerate(placed[number])
        ]
        categories = [{"id": 1, "name": "object"}, {"id": 2, "name": "wall"}]
        write_json(
            folder / file, {"images": images, "annotations": annotations, "categories": categories}, compact=True
        )


def _entities(identity: str, places: Sequence[Box], side: int) -> str:
    top = ElementTree.Element("annotation")
    ElementTree.SubElement(top, "filename").text = f"{identity}.jpg"
    size = ElementTree.SubElement(top, "size")
    for field, value in (("width", side), ("height", side), ("depth", 3)):
        ElementTree.SubElement(size, field).text = str(value)
    for number, place in enumerate(places, start=1):
        thing = ElementTree.SubElement(top, "object")
        ElementTree.SubElement(thing, "name").text = str(number)
        corners = ElementTree.SubElement(thing, "bndbox")
        for field, value in zip(flickr30k.CORNERS, place, strict=True):
            ElementTree.SubElement(corners, field).text = str(value)
    return ElementTree.tostring(top, encoding="unicode") + "\n"


def _pairs(world: World, scenes: dict[str, Scene]) -> Iterable[dict[str, str]]:
    for identity, scene in scenes.items():
        for number in range(world.params.sizes.hypotheses):
            rng = world.rng("hypothesis", identity, number)
            drawn = entailment.hypothesis(scene, rng, world.params.cue)
            yield {
                "gold_label": drawn.label,
                "Flickr30K_ID": identity,
                "captionID": f"{identity}.jpg#0",
                "pairID": f"{identity}.jpg#0r{number}{drawn.label[0]}",
                "sentence1": "",
                "sentence2": drawn.text,
            }


def _question(
    item: questions.Item, group: Group, identity: str, movie: str, image: str, number: int, *, labelled: bool
) -> dict[str, Any]:
    labels = {"answer_label": item.answer_label, "rationale_label": item.rationale_label} if labelled else {}
    return {
        "movie": movie,
        "objects": [FIGURE] * len(group.figures),
        "img_fn": f"{image}.jpg",
        "metadata_fn": f"{image}.json",
        "question": item.question,
        "answer_choices": item.answers,
        "rationale_choices": item.rationales,
        **labels,
        "img_id": image,
        "question_number": number,
        "annot_id": identity,
    }


def _metadata(world: World, group: Group, places: Sequence[Box]) -> dict[str, Any]:
    side = SCALE * world.params.image_size
    return {
        "boxes": [[*place, SCORE] for place in places],
        "segms": [[] for _ in places],
        "names": [FIGURE] * len(group.figures),
        "width": side,
        "height": side,
    }


def _group_phrases(world: World, group: Group, places: Sequence[Box], image: int) -> list[tuple[str, Box]]:
    rng, side = world.rng("phrases", "group", image), SCALE * world.params.image_size
    phrases: list[tuple[str, Box]] = [(genome.group_phrase(group, rng), (0, 0, side, side))]
    for tag, (figure, place) in enumerate(zip(group.figures, places, strict=True)):
        phrases += [(genome.figure_phrase(figure, tag, rng), place) for _ in range(world.params.sizes.figure_phrases)]
    return phrases


def _write_genome(found: Sequence[tuple[int, list[Box], list[tuple[str, Box]]]], folder: Path) -> None:
    sizes, described, things = [], [], []
    for number, (side, places, phrases) in enumerate(found, start=1):
        sizes.append({"image_id": number, "width": side, "height": side, "url": f"{number}.jpg"})
        regions = [
            {
                "region_id": number * GENOME_STEP + index,
                "image_id": number,
                "phrase": phrase,
                **_corner(place, "width", "height"),
            }
            for index, (phrase, place) in enumerate(phrases)
        ]
        described.append({"id": number, "regions": regions})
        objects = [
            {"object_id": number * GENOME_STEP + index, "names": [FIGURE], **_corner(place, "w", "h")}
            for index, place in enumerate(places)
        ]
        things.append({"image_id": number, "objects": objects})
    write_json(folder / visual_genome.SIZES, sizes, compact=True)
    write_json(folder / visual_genome.PHRASES, described, compact=True)
    write_json(folder / visual_genome.OBJECTS, things, compact=True)


def _synsets(slots: Iterable[str], kind: str, *, plurals: bool = False) -> dict[str, str]:
    """Word -> synset, named after the value it stands for."""
    found: dict[str, str] = {}
    for value, words in (entry for slot in slots for entry in WORDS[slot].items()):
        forms = [*words, *map(plural, words)] if plurals else words
        found |= dict.fromkeys(forms, f"{value}.{kind}.01")
    return found


def _corner(place: Box, width: str, height: str) -> dict[str, int]:
    x1, y1, x2, y2 = place
    return {"x": x1, "y": y1, width: x2 - x1, height: y2 - y1}


def _instance(image: int, index: int, place: Box, *, wall: bool) -> dict[str, Any]:
    x1, y1, x2, y2 = place
    box = [x1, y1, x2 - x1, y2 - y1]
    return {
        "id": image * 100 + index,
        "image_id": image,
        "category_id": 2 if wall else 1,
        "bbox": box,
        "area": box[2] * box[3],
        "iscrowd": 0,
    }
