"""The world in the official formats: the same file names, members and fields as the real data sets have.

`write(world, folder)` fills ``folder/SET`` for every set, an entry of `PARTS` those of sets on the same images. The
readers in `vldistill.records` read these files and the real ones alike.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from vldistill.files import write_json, write_jsonl, write_text
from vldistill.records import cc3m, coco, nocaps, okvqa, text, vqa
from vldistill.world import corpus, language
from vldistill.world.concepts import Scene
from vldistill.world.official_mad import write_boxes, write_flickr30k, write_snli_ve, write_vcr, write_vg
from vldistill.world.pictures import write_pictures
from vldistill.world.questions import KNOWLEDGE, Balance, Question, annotate, knowledge_question, vqa_questions
from vldistill.world.render import render
from vldistill.world.scenes import DOMAINS, POOLS, World

ADDRESS = "https://world.invalid"  # a reserved name: the world's images have no address
# first image id of each part; the parts of the real COCO share one number range as well
FIRST_ID = {"train": 1, "val": 100_001, "test": 200_001, "nocaps": 1}
FIRST_UNLABELLED = 500  # of an image's questions, which are numbered from 0
PART_FOLDER = {"train": "train2014", "val": "val2014", "test": "val2014"}
POOL_OF_PART = {"train": "dev", "val": "dev", "test": "test"}
INFO = {"description": "vldistill miniature world", "version": "1.0"}


def write(world: World, folder: Path) -> None:
    """Write every set into a folder of its own below ``folder``."""
    for write_part in PARTS.values():
        write_part(world, folder)


def part_of(dataset: str) -> tuple[str, ...]:
    """The sets that are written together with ``dataset``, itself among them."""
    return next(sets for sets in PARTS if dataset in sets)


def write_cc3m(world: World, folder: Path) -> None:
    """Distillation pairs: scenes of seen pairs and a few of rare ones, several partial captions each."""
    sizes, params = world.params.sizes, world.params
    rare = round(params.rare_share * sizes.cc3m)
    scenes = world.scenes("train", ("seen",), sizes.cc3m - rare, "cc3m-seen")
    scenes += world.scenes("train", ("rare",), rare, "cc3m-rare")
    world.rng("cc3m-order").shuffle(scenes)
    urls = [f"{ADDRESS}/cc3m/{index:07d}.jpg" for index in range(len(scenes))]
    pictures = render(scenes, world.params, "cc3m")
    write_pictures(pictures, [folder / cc3m.IMAGES / cc3m.image_name(url) for url in urls])
    lines = []
    for url, scene in zip(urls, scenes, strict=True):
        rng = world.rng("caption", url)
        lines += [f"{language.caption(scene, rng)}\t{url}\n" for _ in range(sizes.captions)]
    write_text(folder / cc3m.PAIRS, "".join(lines))


def write_coco(world: World, folder: Path) -> dict[str, dict[int, Scene]]:
    """Captions JSON and Karpathy's splits; returns the scenes of each part (train, val, test) by image id."""
    sizes = world.params.sizes
    parts: dict[str, dict[int, Scene]] = {}
    entries: list[dict[str, Any]] = []
    for part, count in (("train", sizes.coco_train), ("val", sizes.coco_val), ("test", sizes.coco_test)):
        drawn = world.scenes(POOL_OF_PART[part], ("seen",), count, f"coco-{part}")
        parts[part] = dict(enumerate(drawn, start=FIRST_ID[part]))
        for number, scene in parts[part].items():
            rng = world.rng("reference", "coco", number)
            where = PART_FOLDER[part]
            entries.append(
                {
                    "id": number,
                    "part": part,
                    "folder": where,
                    "file_name": f"COCO_{where}_{number:012d}.jpg",
                    "captions": [language.reference(scene, rng) for _ in range(sizes.references)],
                }
            )
        paths = [folder / PART_FOLDER[part] / entry["file_name"] for entry in entries if entry["part"] == part]
        write_pictures(render(drawn, world.params, f"coco-{part}"), paths)
    for name, where in zip(coco.ANNOTATIONS, ("train2014", "val2014"), strict=True):
        own = [entry for entry in entries if entry["folder"] == where]
        write_json(folder / name, _caption_file(own, world.params.image_size), compact=True)
    write_json(
        folder / coco.KARPATHY, {"images": [_karpathy(entry) for entry in entries], "dataset": "coco"}, compact=True
    )
    write_boxes(world, parts, {entry["id"]: entry["file_name"] for entry in entries}, folder)
    return parts


def write_nocaps(world: World, folder: Path) -> dict[int, Scene]:
    """The validation captions with their domains; returns the scenes by image id."""
    sizes = world.params.sizes
    scenes: dict[int, Scene] = {}
    entries: list[dict[str, Any]] = []
    for domain, kind in DOMAINS.items():
        for scene in world.scenes("test", (kind,), sizes.nocaps, f"nocaps-{domain}"):
            number = FIRST_ID["nocaps"] + len(scenes)
            scenes[number] = scene
            rng = world.rng("reference", "nocaps", number)
            name = hashlib.sha256(f"{world.seed}:nocaps:{number}".encode()).hexdigest()[:16]
            entries.append(
                {
                    "id": number,
                    "file_name": f"{name}.jpg",
                    "domain": domain,
                    "open_images_id": name,
                    "captions": [language.reference(scene, rng) for _ in range(sizes.nocaps_references)],
                }
            )
    pictures = render(list(scenes.values()), world.params, "nocaps")
    write_pictures(pictures, [folder / nocaps.IMAGES / entry["file_name"] for entry in entries])
    write_json(folder / nocaps.CAPTIONS, _caption_file(entries, world.params.image_size), compact=True)
    return scenes


def write_vqav2(world: World, scenes: dict[str, dict[int, Scene]], folder: Path) -> None:
    """Questions on COCO's train part (official train) and on its test part (official val).

    One more on each image of the test part has no answers: the real ones are about images of their own, test2015.
    """
    for split, part in (("dev", "train"), ("test", "test")):
        items = _vqa_items(world, scenes[part], world.params.sizes.questions, "vqav2")
        _write_questions(world, items, folder, vqa.VQAV2[split], PART_FOLDER[part])
    asked = _unlabelled_items(world, scenes["test"])
    write_json(folder / vqa.VQAV2_UNLABELLED, _question_file(asked, "test2015"), compact=True)


def write_domains(world: World, scenes: dict[int, Scene], folder: Path) -> None:
    """VQAv2-style questions on NoCaps' images."""
    items = _vqa_items(world, scenes, world.params.sizes.domain_questions, "domains")
    _write_questions(world, items, folder, vqa.DOMAINS["test"], "nocaps_val")


def write_okvqa(world: World, scenes: dict[str, dict[int, Scene]], folder: Path) -> None:
    """Questions that need a fact, one on an image, the kinds in turn."""
    limits = {"train": len(scenes["train"]), "test": world.params.sizes.okvqa_test}
    kinds = list(KNOWLEDGE)
    for split, part in (("dev", "train"), ("test", "test")):
        items = [
            (number, number * 10 + 5, knowledge_question(scene, kinds[index % len(kinds)], world.facts))
            for index, (number, scene) in enumerate(list(scenes[part].items())[: limits[part]])
        ]
        questions, annotations = okvqa.FILES[split]
        write_json(folder / questions, _question_file(items, PART_FOLDER[part]), compact=True)
        entries = [_okvqa_annotation(world, *item) for item in items]
        head = {"info": INFO, "task_type": "Open-Ended", "license": {}, "data_subtype": PART_FOLDER[part]}
        types = {"three": "Objects, Material and Clothing", "five": "Cooking and Food"}
        write_json(folder / annotations, {**head, "annotations": entries, "question_types": types}, compact=True)


def write_texts(world: World, folder: Path) -> None:
    """The corpus and the two text tasks as JSON lines."""
    sizes = world.params.sizes
    write_jsonl(folder / "corpus" / text.CORPUS, corpus.documents(world, sizes.corpus))
    for pool, count in zip(POOLS, (sizes.text_train, sizes.text_dev, sizes.text_test), strict=True):
        write_jsonl(folder / "reading" / f"{pool}.jsonl", corpus.reading_items(world, pool, count))
        write_jsonl(folder / "summary" / f"{pool}.jsonl", corpus.summary_items(world, pool, count))


def _coco_and_questions(world: World, folder: Path) -> None:
    scenes = write_coco(world, folder / "coco")
    write_vqav2(world, scenes, folder / "vqav2")
    write_okvqa(world, scenes, folder / "okvqa")


PARTS: dict[tuple[str, ...], Callable[[World, Path], None]] = {
    ("cc3m",): lambda world, folder: write_cc3m(world, folder / "cc3m"),
    ("coco", "vqav2", "okvqa"): _coco_and_questions,
    ("nocaps", "domains"): lambda world, folder: write_domains(
        world, write_nocaps(world, folder / "nocaps"), folder / "domains"
    ),
    ("corpus", "reading", "summary"): write_texts,
    ("flickr30k", "snli_ve"): lambda world, folder: write_snli_ve(
        world, write_flickr30k(world, folder / "flickr30k"), folder / "snli_ve"
    ),
    ("vcr",): lambda world, folder: write_vcr(world, folder / "vcr"),
    ("vg",): lambda world, folder: write_vg(world, folder / "vg"),
}
"""What writes which sets; no part draws anything that another needs, so that they can be rendered at the same time."""


def _caption_file(entries: Sequence[dict[str, Any]], side: int) -> dict[str, Any]:
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for entry in entries:
        extra: dict[str, Any] = {key: entry[key] for key in ("domain", "open_images_id") if key in entry}
        url = f"{ADDRESS}/images/{entry['file_name']}"
        images.append(
            {
                "license": 1,
                "file_name": entry["file_name"],
                "coco_url": url,
                "height": side,
                "width": side,
                "id": entry["id"],
                **extra,
            }
        )
        for index, caption in enumerate(entry["captions"]):
            annotations.append({"image_id": entry["id"], "id": entry["id"] * 100 + index, "caption": caption})
    licences = [{"id": 1, "name": "MIT", "url": f"{ADDRESS}/licence"}]
    return {"info": INFO, "images": images, "licenses": licences, "annotations": annotations}


def _karpathy(entry: dict[str, Any]) -> dict[str, Any]:
    ids = [entry["id"] * 100 + index for index in range(len(entry["captions"]))]
    sentences = [
        {"tokens": raw.replace(" .", "").replace(" ,", "").split(), "raw": raw, "imgid": entry["id"], "sentid": sentid}
        for raw, sentid in zip(entry["captions"], ids, strict=True)
    ]
    return {
        "filepath": entry["folder"],
        "sentids": ids,
        "filename": entry["file_name"],
        "imgid": entry["id"],
        "split": entry["part"],
        "sentences": sentences,
        "cocoid": entry["id"],
    }


Item = tuple[int, int, Question]  # image id, question id, question


def _vqa_items(world: World, scenes: dict[int, Scene], each: int, name: str) -> list[Item]:
    balance = Balance()
    return [
        (number, number * 1000 + index, question)
        for number, scene in scenes.items()
        for index, question in enumerate(vqa_questions(scene, each, world.rng("question", name, number), balance))
    ]


def _unlabelled_items(world: World, scenes: dict[int, Scene]) -> list[Item]:
    drawn = _vqa_items(world, scenes, 1, "unlabelled")
    return [(image, number + FIRST_UNLABELLED, question) for image, number, question in drawn]


def _question_file(items: Sequence[Item], subtype: str) -> dict[str, Any]:
    questions = [
        {"image_id": image, "question": question.text, "question_id": number} for image, number, question in items
    ]
    head = {"info": INFO, "task_type": "Open-Ended", "data_type": "mscoco", "license": {}, "data_subtype": subtype}
    return {**head, "questions": questions}


def _write_questions(world: World, items: Sequence[Item], folder: Path, names: tuple[str, str], subtype: str) -> None:
    write_json(folder / names[0], _question_file(items, subtype), compact=True)
    annotations = []
    for image, number, question in items:
        rng = world.rng("annotators", subtype, number)
        given = annotate(question, 10, world.params.disagreement, rng)
        answers = [
            {"answer": answer, "answer_confidence": _confidence(rng), "answer_id": index}
            for index, answer in enumerate(given, start=1)
        ]
        annotations.append(
            {
                "question_type": question.question_type,
                "multiple_choice_answer": Counter(given).most_common(1)[0][0],
                "answers": answers,
                "image_id": image,
                "answer_type": question.answer_type,
                "question_id": number,
            }
        )
    head = {"info": INFO, "license": {}, "data_subtype": subtype, "data_type": "mscoco"}
    write_json(folder / names[1], {**head, "annotations": annotations}, compact=True)


def _okvqa_annotation(world: World, image: int, number: int, question: Question) -> dict[str, Any]:
    rng = world.rng("annotators", "okvqa", number)
    given = annotate(question, 5, world.params.disagreement, rng)
    answers = [
        {"answer_id": index + 1, "raw_answer": raw, "answer_confidence": _confidence(rng), "answer": raw}
        for index, raw in enumerate(answer for answer in given for _ in range(2))
    ]
    return {
        "image_id": image,
        "answer_type": "other",
        "question_type": question.question_type,
        "question_id": number,
        "answers": answers,
        "confidence": 3,
    }


def _confidence(rng: Any) -> str:
    return str(rng.choices(("yes", "maybe", "no"), (0.8, 0.15, 0.05))[0])
