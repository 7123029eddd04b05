"""What the tracked registry makes of the published files is what the readers of records expect.

The addresses of the registry's own rows lead to a local server here, which holds small files of the published names and
formats; everything between the address and the records is what runs at the papers' scale.
"""

import csv
import gzip
import io
import json
import tarfile
import zipfile
from pathlib import Path

import pytest

from tests.download_fetch.server import Served, serving
from vldistill.download.registry import COLUMNS, REGISTRY, materialise, read_registry
from vldistill.records import cc3m, coco, nocaps, okvqa, vqa

ROOT = Path(__file__).parents[2]
DATASETS = ("coco", "nocaps", "vqav2", "okvqa", "cc3m", "glue", "snli", "snli_ve", "xsum", "vqa_cp", "vg")
TRAIN, VAL, OPEN = "COCO_train2014_000000000001.jpg", "COCO_val2014_000000000002.jpg", "0013ea2087020901.jpg"


def captions(*images, **more):
    return {
        "images": [{"id": number, "file_name": name, **more} for number, name in images],
        "annotations": [{"id": number, "image_id": number, "caption": f"image {number}"} for number, _ in images],
    }


def questions(image):
    return {"questions": [{"question_id": 10 + image, "image_id": image, "question": "What is it?"}]}


def answers(image):
    row = {"question_id": 10 + image, "image_id": image, "question_type": "what is", "answer_type": "other"}
    given = [{"answer": "a cat", "answer_id": index, "answer_confidence": "yes"} for index in range(1, 11)]
    return {"annotations": [{**row, "multiple_choice_answer": "a cat", "answers": given}]}


CONTENT = {
    "annotations/captions_train2014.json": captions((1, TRAIN)),
    "annotations/captions_val2014.json": captions((2, VAL)),
    "dataset_coco.json": {
        "images": [
            {"cocoid": 1, "filename": TRAIN, "filepath": "train2014", "split": "restval", "sentences": []},
            {"cocoid": 2, "filename": VAL, "filepath": "val2014", "split": "test", "sentences": []},
        ]
    },
    "train2014": {TRAIN: b"jpeg 1"},
    "val2014": {VAL: b"jpeg 2"},
    "validation": {OPEN: b"jpeg 3"},
    "nocaps_val_4500_captions.json": captions((3, OPEN), domain="out-domain"),
    "v2_OpenEnded_mscoco_train2014_questions.json": questions(1),
    "v2_mscoco_train2014_annotations.json": answers(1),
    "v2_OpenEnded_mscoco_val2014_questions.json": questions(2),
    "v2_mscoco_val2014_annotations.json": answers(2),
    "OpenEnded_mscoco_train2014_questions.json": questions(1),
    "mscoco_train2014_annotations.json": answers(1),
    "OpenEnded_mscoco_val2014_questions.json": questions(2),
    "mscoco_val2014_annotations.json": answers(2),
}


def packed(source):
    """An archive of the published name that holds the members the registry asks for."""
    files = {}
    for member in source.members:
        value = CONTENT.get(member, {})
        if isinstance(value, dict) and all(isinstance(data, bytes) for data in value.values()) and value:
            files |= {f"{member}/{name}": data for name, data in value.items()}
        else:
            files[member] = json.dumps(value).encode()
    buffer = io.BytesIO()
    if source.file.endswith(".zip"):
        with zipfile.ZipFile(buffer, "w") as archive:
            for name, data in files.items():
                archive.writestr(name, data)
    elif source.file.endswith(".tar.gz"):
        with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
            for name, data in files.items():
                info = tarfile.TarInfo(name)
                info.size = len(data)
                archive.addfile(info, io.BytesIO(data))
    else:
        (data,) = files.values()
        return gzip.compress(data)
    return buffer.getvalue()


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A project whose registry is the tracked one, with every address on this machine and no checksums."""
    root = tmp_path_factory.mktemp("project")
    (root / "data").mkdir()
    with open(ROOT / REGISTRY, encoding="utf-8") as handle:
        rows = list(csv.DictReader(handle))
    sources = read_registry(ROOT / REGISTRY)
    served = {}
    for source in sources:
        value = CONTENT.get(source.file, {})
        body = packed(source) if source.kind == "archive" else json.dumps(value).encode()
        served[f"/{source.key}"] = Served(body)
    served["/cc3m/Train_GCC-training.tsv"] = Served(b"a cat\thttp://example.org/1\na dog\thttp://example.org/2\n")
    with serving(served) as base:
        for row in rows:
            row |= {"bytes": "", "sha256": "", "md5": ""}
            row["urls"] = row["urls"] and f"{base}/{row['set']}/{row['file']}"
        with open(root / REGISTRY, "w", encoding="utf-8", newline="") as handle:
            writer = csv.DictWriter(handle, COLUMNS, lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)
        images = root / "data" / "raw" / "cc3m" / "images"
        images.mkdir(parents=True)
        (images / cc3m.image_name("http://example.org/1")).write_bytes(b"jpeg")
        for name in DATASETS:
            materialise(name, root)
        yield root


def folder(project, name):
    return materialise(name, project)


def test_coco(project):
    records, images = coco.read(folder(project, "coco"))
    assert [(r.image, r.captions, r.split) for r in records] == [
        (TRAIN, ["image 1"], "train"),
        (VAL, ["image 2"], "test"),
    ]
    assert images[TRAIN].read() == b"jpeg 1"


def test_nocaps(project):
    (record,), images = nocaps.read(folder(project, "nocaps"))
    assert (record.image, record.domain) == (OPEN, "out-domain")
    assert images[OPEN].read() == b"jpeg 3"


@pytest.mark.parametrize("name", ["vqav2", "okvqa"])
def test_questions(project, name):
    keys = coco.image_names(folder(project, "coco"))
    here = folder(project, name)
    records = vqa.read(here, vqa.VQAV2, "coco", keys) if name == "vqav2" else okvqa.read(here, keys)
    assert [(r.image, r.split) for r in records] == [(TRAIN, "dev"), (VAL, "test")]


def test_cc3m(project):
    records, _, counts = cc3m.read(folder(project, "cc3m"), 0.5)
    assert counts == {"addresses": 2, "found": 1}
    assert records[0].captions == ["a cat"]


def test_every_name_of_the_registry_stands_in_its_folder(project):
    for source in read_registry(project / REGISTRY):
        if source.set in DATASETS:
            for name in source.names:
                assert (project / "data" / "raw" / source.set / name).exists(), f"{source.key}: {name}"
