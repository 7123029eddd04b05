"""The stage as a whole: artifacts whose bytes depend on the parameters only."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time

import pytest

from tests.records import handmade
from vldistill import layout
from vldistill.artifact import absence, fingerprint, read_manifest, verify
from vldistill.download import SETS, official, run
from vldistill.errors import InputError
from vldistill.files import read_json, sha256_file
from vldistill.images import open_images
from vldistill.params import Params
from vldistill.params.download import Download
from vldistill.params.world import World as WorldParams
from vldistill.records import (
    read_captions,
    read_choices,
    read_entailments,
    read_phrases,
    read_questions,
    read_regions,
    read_texts,
)
from vldistill.world.official import write
from vldistill.world.scenes import World

# the sets that the rendered world has
RENDERED = [name for name in SETS if name != "vqa_cp"]
READ = {
    **dict.fromkeys(("cc3m", "coco", "nocaps"), read_captions),
    **dict.fromkeys(("vqav2", "okvqa", "domains"), read_questions),
    **dict.fromkeys(("corpus", "reading", "summary"), read_texts),
    "flickr30k": lambda folder: list(read_regions(folder).values()),
    "snli_ve": read_entailments,
    "vcr": read_choices,
    "vg": read_phrases,
}
OF_IMAGES = ("cc3m", "coco", "nocaps", "flickr30k", "vcr", "vg")
WITH_BOXES = ("coco", "flickr30k", "vcr", "vg")


@pytest.mark.parametrize("name", RENDERED)
def test_every_set_becomes_a_sound_artifact(params, tmp_path, name):
    folder = run(params, tmp_path, name)
    assert folder == layout.download(tmp_path, name)
    manifest = verify(folder)
    records = READ[name](folder)
    assert len(records) > 0 and manifest["meta"]["records"] == (0 if name == "flickr30k" else len(records))
    assert ("images.zip" in manifest["files"]) == (name in OF_IMAGES)
    assert ("regions.jsonl" in manifest["files"]) == (name in WITH_BOXES)
    assert read_json(layout.run_record(folder))["stage"] == "download"
    if "images.zip" in manifest["files"]:
        with open_images(folder) as images:
            assert images.keys == sorted({record.image for record in records})
            if name in WITH_BOXES:
                boxes = read_regions(folder)
                assert list(boxes) == images.keys
                assert all(images.read(key).size == (box.width, box.height) for key, box in boxes.items())
            else:
                assert images.read(records[0].image).size == (48, 48)


@pytest.mark.slow
def test_bytes_depend_on_the_parameters_only(params, tmp_path):
    prints = {}
    for place in ("one", "two"):
        root = tmp_path / place
        prints[place] = {name: fingerprint(run(params, root, name)) for name in RENDERED}
        if place == "one":
            time.sleep(2)  # zip files keep times to two seconds
    assert prints["one"] == prints["two"]
    other = params.model_copy(update={"world": params.world.model_copy(update={"seed": 1})})
    changed = {name: fingerprint(run(other, tmp_path / "one", name)) for name in RENDERED}
    assert all(changed[name] != prints["one"][name] for name in RENDERED)


def test_sets_on_the_same_images_are_rendered_once_and_others_apart(params, tmp_path):
    folder = official(params, tmp_path, "coco")
    assert not (folder.parent / "cc3m").exists()
    stamps = {path: path.stat().st_mtime_ns for path in folder.rglob("*.jpg")}
    apart = {name: official(params, tmp_path, name) for name in RENDERED}
    assert stamps == {path: path.stat().st_mtime_ns for path in folder.rglob("*.jpg")}
    assert apart["vqav2"].parent == apart["okvqa"].parent == folder.parent != apart["vg"].parent
    write(World(params.world), tmp_path / "whole")
    assert {path.name for path in (tmp_path / "whole").iterdir()} == set(RENDERED)
    for name, own in apart.items():
        assert content(own) == content(tmp_path / "whole" / name)


def content(folder):
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_no_evaluation_image_repeats_a_combination_seen_in_training(monkeypatch, params, tmp_path):
    """Full default sizes; the scenes are caught where they are drawn, just before they become pixels."""
    from vldistill.world import official as writers
    from vldistill.world.scenes import DOMAINS

    drawn = {}
    monkeypatch.setattr(writers, "render", lambda scenes, params, name: drawn.update({name: list(scenes)}))
    monkeypatch.setattr(writers, "write_pictures", lambda pictures, paths: None)
    world = World(WorldParams())
    writers.write_cc3m(world, tmp_path / "cc3m")
    writers.write_coco(world, tmp_path / "coco")
    held_out = writers.write_nocaps(world, tmp_path / "nocaps")
    trained = set(drawn["cc3m"])
    sets = {name: set(scenes) for name, scenes in drawn.items() if name != "cc3m"}
    assert sets.keys() == {"coco-train", "coco-val", "coco-test", "nocaps"}
    assert all(len(scenes) > 400 and not scenes & trained for scenes in sets.values())
    assert not (sets["coco-train"] | sets["coco-val"]) & (sets["coco-test"] | sets["nocaps"])
    # pairs: never-seen ones are in no training image, rare ones in few, seen ones in many
    counts: dict[str, list[int]] = {kind: [] for kind in DOMAINS.values()}
    for pair, kind in world.pair_class.items():
        counts[kind].append(sum(scene.pair == pair for scene in drawn["cc3m"]))
    assert max(counts["never"]) == 0
    assert min(counts["rare"]) > 0 and max(counts["rare"]) * 3 < min(counts["seen"])
    domains = [kind for kind in DOMAINS.values() for _ in range(world.params.sizes.nocaps)]
    assert [world.pair_class[scene.pair] for scene in held_out.values()] == domains
    assert all(world.pair_class[scene.pair] == "seen" for scene in sets["coco-test"])


@pytest.mark.slow
def test_a_killed_rendering_starts_again_and_ends_alike(params, tmp_path):
    """kill -9 while the world is written: the half-made folder is never taken for a finished one."""
    sizes = params.world.sizes.model_copy(update={"cc3m": 600})
    params = params.model_copy(update={"world": params.world.model_copy(update={"sizes": sizes})})
    expected = fingerprint(run(params, tmp_path / "calm", "cc3m"))
    root = tmp_path / "killed"
    (root / "params").mkdir(parents=True)
    (root / "params.json").write_text(params.model_dump_json())
    code = (
        "import sys; from vldistill.params import Params; from vldistill.download import run;"
        f"run(Params.model_validate_json(open({str(root / 'params.json')!r}).read()), {str(root)!r}, 'cc3m')"
    )
    child = subprocess.Popen([sys.executable, "-c", code])
    while not list((root / "scratch").rglob("*.jpg")):
        assert child.poll() is None
        time.sleep(0.005)
    os.kill(child.pid, signal.SIGKILL)
    child.wait()
    assert not layout.download(root, "cc3m").exists()
    assert fingerprint(run(params, root, "cc3m")) == expected


def test_larger_images_are_scaled_down_and_broken_ones_kept(params, tmp_path):
    folder = official(params, tmp_path, "nocaps")
    broken = sorted(folder.rglob("*.jpg"))[0]
    broken.write_bytes(b"no image")
    small = params.model_copy(update={"download": Download(resize=24)})
    with open_images(run(small, tmp_path, "nocaps")) as images:
        assert images.read_bytes(broken.name) == b"no image"
        assert {images.read(key).size for key in images.keys if key != broken.name} == {(24, 24)}


def test_a_broken_official_file_leaves_the_old_artifact_alone(params, tmp_path):
    folder = run(params, tmp_path, "corpus")
    before = sha256_file(folder / "records.jsonl")
    (official(params, tmp_path, "corpus") / "corpus.jsonl").write_text("{")
    with pytest.raises(InputError, match=r"corpus\.jsonl, record line 1"):
        run(params, tmp_path, "corpus")
    assert sha256_file(folder / "records.jsonl") == before and verify(folder)


def test_sets_of_the_cross_modal_tasks(params, tmp_path, monkeypatch):
    """Hand-made official files, as a user would supply them."""
    data = tmp_path / "data"
    for name in ("coco", "vqav2"):
        shutil.copytree(official(params, tmp_path / "world", name), data / name)
    handmade.write(data)
    from vldistill.download import registry

    monkeypatch.setattr(registry, "materialise", lambda name, root: data / name)
    monkeypatch.setattr(registry, "supplied", lambda name, root: True)
    real = params.model_copy(update={"download": Download(source="registry", gated_remote="gated")})
    files = {name: set(verify(run(real, tmp_path, name))["files"]) for name in ("coco", *SETS[-5:])}
    images, boxes = "images.zip", "regions.jsonl"
    assert files == {
        "coco": {"records.jsonl", images, boxes},
        "flickr30k": {images, boxes},
        "snli_ve": {"records.jsonl"},
        "vcr": {"records.jsonl", images, boxes},
        "vg": {"records.jsonl", images, boxes},
        "vqa_cp": {"records.jsonl"},
    }
    vcr = layout.download(tmp_path, "vcr")
    with open_images(vcr) as opened:
        assert opened.keys == sorted({record.image for record in read_choices(vcr)}) == list(read_regions(vcr))
    assert read_manifest(layout.download(tmp_path, "snli_ve"))["meta"]["visual_genome"] == 3


def test_vqa_cp_is_absent_where_nobody_has_its_files(params, tmp_path, monkeypatch):
    assert "split anew" in absence(run(params, tmp_path, "vqa_cp"))
    with pytest.raises(InputError, match="no set vqa_cp"):
        official(params, tmp_path, "vqa_cp")
    from vldistill.download import registry

    monkeypatch.setattr(registry, "supplied", lambda name, root: False)
    real = params.model_copy(update={"download": Download(source="registry", gated_remote="gated")})
    assert "vldistill download vqa_cp" in absence(run(real, tmp_path, "vqa_cp"))


def test_unknown_set(params, tmp_path):
    with pytest.raises(InputError, match="Known: cc3m"):
        run(params, tmp_path, "imagenet")


PLACES = {
    "coco": {
        "train2014": "train2014/train2014",
        "val2014": "val2014/val2014",
        "annotations": "annotations_trainval2014/annotations",
        "dataset_coco.json": "caption_datasets/dataset_coco.json",
    },
    "vqav2": {
        "v2_OpenEnded_mscoco_train2014_questions.json": "v2_Questions_Train_mscoco",
        "v2_OpenEnded_mscoco_val2014_questions.json": "v2_Questions_Val_mscoco",
        "v2_OpenEnded_mscoco_test2015_questions.json": "v2_Questions_Test_mscoco",
        "v2_mscoco_train2014_annotations.json": "v2_Annotations_Train_mscoco",
        "v2_mscoco_val2014_annotations.json": "v2_Annotations_Val_mscoco",
    },
}


@pytest.fixture
def unpacked(params, tmp_path, monkeypatch):
    """COCO and VQA v2 in the layout of unpacked archives below a folder, and an experiment that reads them there."""
    data = tmp_path / "data"
    for name, moves in PLACES.items():
        source = official(params, tmp_path / "world", name)
        for path, target in moves.items():
            (data / name / target).parent.mkdir(parents=True, exist_ok=True)
            if (source / path).is_dir():
                shutil.copytree(source / path, data / name / target)
            elif name == "coco":
                shutil.copy(source / path, data / name / target)
            else:
                (data / name / target).mkdir()
                shutil.copy(source / path, data / name / target / path)
    from vldistill.download import registry

    monkeypatch.setattr(registry, "materialise", lambda name, root: data / name)
    monkeypatch.setattr(registry, "supplied", lambda name, root: (data / name).is_dir())
    return data, params.model_copy(update={"download": Download(source="registry", gated_remote="gated")})


def test_files_of_the_registry_go_through_the_same_readers(params, tmp_path, unpacked):
    """Files a user supplies give the records that rendering gave."""
    _, real = unpacked
    for name in PLACES:
        rendered, got = run(params, tmp_path / "world", name), run(real, tmp_path / "real", name)
        assert read_manifest(got)["files"] == read_manifest(rendered)["files"]


def test_images_of_unlabelled_questions_are_used_where_somebody_brought_them(tmp_path, unpacked):
    data, real = unpacked
    file = data / "vqav2/v2_Questions_Test_mscoco/v2_OpenEnded_mscoco_test2015_questions.json"
    document = read_json(file)
    for number, question in enumerate(document["questions"]):
        question["image_id"] = 555_555 + number
    file.write_text(json.dumps(document))
    asked, key = len(document["questions"]), "COCO_test2015_000000555555.jpg"

    def counts():
        meta = read_manifest(run(real, tmp_path, "vqav2"))["meta"]
        return meta["unlabelled"], meta["unlabelled_without_image"]

    assert counts() == (0, asked), "left out and counted, no error"
    without = {record.id for record in read_captions(run(real, tmp_path, "coco"))}
    (data / "coco_test2015/test2015").mkdir(parents=True)
    shutil.copy(next((data / "coco/val2014").rglob("*.jpg")), data / "coco_test2015/test2015" / key)
    assert counts() == (1, asked - 1)
    coco = run(real, tmp_path, "coco")
    (more,) = (record for record in read_captions(coco) if record.id not in without)
    assert (more.image, more.captions, more.split) == (key, [], "unlabelled")
    place = read_regions(coco)[key]
    assert (place.boxes, place.names) == ([], []) and place.width > 0 and place.height > 0
    with open_images(coco) as images:
        assert images.read(key).size == (place.width, place.height)
    (question,) = (r for r in read_questions(layout.download(tmp_path, "vqav2")) if r.split == "unlabelled")
    assert question.image == key


def test_a_broken_image_of_unlabelled_questions_is_named(tmp_path, unpacked):
    data, real = unpacked
    broken = data / "coco_test2015/test2015/COCO_test2015_000000000007.jpg"
    broken.parent.mkdir(parents=True)
    whole = next((data / "coco/val2014").rglob("*.jpg")).read_bytes()
    for content in (b"no picture", whole[:30]):
        broken.write_bytes(content)
        with pytest.raises(InputError, match=f"{broken.name}.*not an image"):
            run(real, tmp_path, "coco")


def test_params_of_the_defaults_are_the_miniature():
    assert Params().download.source == "world"
