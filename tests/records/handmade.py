"""Official files of the sets that only the cross-modal tasks use, as small as they can be, with what real ones hold.

Three pictures in Flickr30k, VCR and Visual Genome; boxes on COCO's; VQA-CP's lists over VQA v2's questions.
"""

import io
import json
import shutil
from pathlib import Path

from PIL import Image

from vldistill.files import read_json

SIDE = 48
FLICKR = ("1000", "1001", "1002")
SCENE, MOVIES = "{movie}/{movie}_{number}@0", ("m_one", "m_two", "m_three", "m_four")


def picture():
    buffer = io.BytesIO()
    Image.new("RGB", (SIDE, SIDE), (200, 30, 30)).save(buffer, format="JPEG")
    return buffer.getvalue()


def write(folder: Path) -> None:
    """Write every set; where a world has rendered one of these names, it makes way."""
    for name in ("flickr30k", "snli_ve", "vcr", "vg", "vqa_cp"):
        shutil.rmtree(folder / name, ignore_errors=True)
    for part in (write_flickr30k, write_snli_ve, write_vcr, write_vg, write_instances, write_vqa_cp):
        part(folder)


def put(path: Path, content: bytes | str | list | dict) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        path.write_text(content if isinstance(content, str) else json.dumps(content, indent=1))


def lines(rows) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


def write_flickr30k(folder: Path) -> None:
    for number in FLICKR:
        put(folder / "flickr30k" / "flickr30k-images" / f"{number}.jpg", picture())
        boxes = "".join(
            f"<object><name>{name}</name><bndbox><xmin>{x}</xmin><ymin>{y}</ymin><xmax>{x + 20}</xmax>"
            f"<ymax>{y + 20}</ymax></bndbox></object>\n"
            for name, x, y in (("7</name><name>8", 1, 2), ("circle", 10, 28))
        )
        scene = "<object><name>9</name><scene>1</scene><nobndbox>0</nobndbox></object>\n"
        size = f"<size><width>{SIDE}</width><height>{SIDE}</height><depth>3</depth></size>\n"
        text = f"<annotation>\n<filename>{number}.jpg</filename>\n{size}{boxes}{scene}</annotation>\n"
        put(folder / "flickr30k" / "Annotations" / f"{number}.xml", text)


def write_snli_ve(folder: Path) -> None:
    labels = ("entailment", "neutral", "contradiction", "-")
    for part, (split, field) in enumerate((("train", "Flickr30K_ID"), ("dev", "Flikr30kID"), ("test", "Flickr30K_ID"))):
        rows = [
            {
                "annotator_labels": [label],
                "captionID": f"{FLICKR[part]}.jpg#{part}",
                "gold_label": label,
                "pairID": f"{FLICKR[part]}.jpg#{part}r{index}",
                "sentence1": "a premise",
                "sentence2": f"hypothesis {index}",
                field: FLICKR[part],
            }
            for index, label in enumerate(labels)
        ]
        other = {**rows[0], "pairID": f"vg_{part}r1e", field: "none"}
        put(folder / "snli_ve" / f"snli_ve_{split}.jsonl", lines([*rows, other]))


def write_vcr(folder: Path) -> None:
    objects = ["person", "person", "bottle"]
    number = 0
    for part, movies in (("train", MOVIES[:2]), ("val", MOVIES[2:3]), ("test", MOVIES[3:])):
        rows = []
        for movie in movies:
            name = SCENE.format(movie=movie, number=number)
            put(folder / "vcr" / "vcr1images" / f"{name}.jpg", picture())
            boxes = [[1, 1, 10, 40.5, 0.99], [12.25, 2, 30, 48.4, 0.9], [31, 30, 40, 47, 0.8]]
            metadata = {"boxes": boxes, "segms": [[]] * 3, "names": objects, "width": SIDE, "height": SIDE}
            put(folder / "vcr" / "vcr1images" / f"{name}.json", metadata)
            for _ in range(2):
                rows.append(vcr_row(part, number, movie, name, objects))
                number += 1
        put(folder / "vcr" / f"{part}.jsonl", lines(rows))


def vcr_row(part, number, movie, name, objects):
    answers = [[[0], "is", word, "."] for word in ("happy", "sad", "late")] + [[[0, 1], "drink", [2], "."]]
    row = {
        "movie": movie,
        "objects": objects,
        "img_fn": f"{name}.jpg",
        "metadata_fn": f"{name}.json",
        "interesting_scores": [0],
        "question": ["What", "is", [0], "doing", "?"],
        "answer_choices": answers,
        "rationale_choices": [[["because", *tokens] for tokens in answers][(index + 1) % 4] for index in range(4)],
        "img_id": f"{part}-{number}",
        "question_number": number,
        "annot_id": f"{part}-{number}",
        "match_fold": f"{part}-0",
        "match_index": number,
    }
    return row if part == "test" else {**row, "answer_label": number % 4, "rationale_label": (number + 1) % 4}


def write_vg(folder: Path) -> None:
    sizes = [{"image_id": n, "url": f"https://x.invalid/{n}.jpg", "width": SIDE, "height": SIDE} for n in (1, 2, 3)]
    put(folder / "vg" / "image_data.json", sizes)
    regions, objects = [], []
    for n in (1, 2, 3):
        put(folder / "vg" / ("VG_100K" if n < 3 else "VG_100K_2") / f"{n}.jpg", picture())
        own = [
            {
                "region_id": n * 10 + index,
                "image_id": n,
                "phrase": f"[0] a phrase {index}",
                "x": index,
                "y": 1,
                "width": 20,
                "height": 12,
            }
            for index in range(2)
        ]
        regions.append({"id": n, "regions": own})
        thing = {"object_id": n, "names": ["ball"], "synsets": [], "x": 1, "y": 1, "w": 20, "h": 12}
        objects.append({"image_id": n, "objects": [thing], "image_url": ""})
    put(folder / "vg" / "region_descriptions.json", regions)
    put(folder / "vg" / "objects.json", objects)


def write_instances(folder: Path) -> None:
    for part in ("train2014", "val2014"):
        images = read_json(folder / "coco" / "annotations" / f"captions_{part}.json")["images"]
        annotations = [
            {"id": index, "image_id": image["id"], "category_id": 3, "bbox": [1, 2.5, 20, 20], "iscrowd": crowd}
            for index, (image, crowd) in enumerate((image, crowd) for image in images for crowd in (0, 1))
        ]
        content = {
            "images": images,
            "annotations": annotations,
            "categories": [{"id": 3, "name": "car", "supercategory": "vehicle"}],
        }
        put(folder / "coco" / "annotations" / f"instances_{part}.json", content)


def write_vqa_cp(folder: Path) -> None:
    """Real parts change sides: here train takes VQA v2's val, test its train."""
    for part, source in (("train", "val2014"), ("test", "train2014")):
        for kind, name in (
            ("questions", f"v2_OpenEnded_mscoco_{source}_questions.json"),
            ("annotations", f"v2_mscoco_{source}_annotations.json"),
        ):
            rows = read_json(folder / "vqav2" / name)[kind]
            put(
                folder / "vqa_cp" / f"vqacp_v2_{part}_{kind}.json",
                [{**row, "coco_split": source} for row in rows],
            )
