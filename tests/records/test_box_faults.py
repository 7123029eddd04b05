"""Damage to boxes, tags, labels and metadata: errors that name the file, the record and the field."""

import json
import re

import pytest

from tests.records.handmade import FLICKR
from tests.records.test_faults import (
    BARE,
    CP_Q,
    INSTANCES,
    SNLI_VE,
    VCR,
    VG_OBJECTS,
    VG_PHRASES,
    VG_SIZES,
    edit,
    refused,
)
from vldistill.download.convert import convert
from vldistill.errors import InputError
from vldistill.files import read_json, read_jsonl
from vldistill.records import RegionsRecord, read_regions, write_regions
from vldistill.records.fields import Row
from vldistill.records.regions import BoxCheck

XML = f"flickr30k/Annotations/{FLICKR[1]}.xml"


def metadata(files):
    """The metadata file that the first training question of VCR names."""
    return files / "vcr" / "vcr1images" / read_jsonl(files / VCR)[0]["metadata_fn"]


@pytest.mark.parametrize(
    ("change", "field", "problem"),
    [
        (lambda row: row["question"].__setitem__(2, [3]), "question[2]", "object 3, but there are 3 objects"),
        (lambda row: row["question"].__setitem__(2, [-1]), "question[2]", "object -1"),
        (lambda row: row["question"].__setitem__(2, ["0"]), "question[2]", "neither a word nor a list"),
        (lambda row: row["question"].__setitem__(2, []), "question[2]", "neither a word nor a list"),
        (lambda row: row["answer_choices"][1].__setitem__(0, [0, 9]), "answer_choices[1][0]", "object 9"),
        (lambda row: row["answer_choices"].pop(), "answer_choices", "3 choices instead of 4"),
        (lambda row: row["rationale_choices"].__setitem__(2, []), "rationale_choices[2]", "empty list"),
        (lambda row: row["rationale_choices"].__setitem__(2, "a"), "rationale_choices[2]", "text instead of a list"),
        (lambda row: row.update(answer_label=4), "answer_label", "4 is not in 0..3"),
        (lambda row: row.update(rationale_label=-1), "rationale_label", "-1 is not in 0..3"),
        (lambda row: row["objects"].__setitem__(0, "dog"), "objects", "other objects than in"),
        (lambda row: row.update(img_fn="gone.jpg"), "img_fn", "gone.jpg is missing"),
        (lambda row: row.update(metadata_fn="gone.json"), "metadata_fn", "gone.json is missing"),
    ],
)
def test_broken_questions_of_vcr(files, change, field, problem):
    edit(files / VCR, None, lambda rows: change(rows[0]))
    error = refused(files, "vcr")
    assert (error.file, error.record, error.field) == (files / VCR, "line 1", field)
    assert problem in error.problem


@pytest.mark.parametrize(
    ("change", "field", "problem"),
    [
        (lambda top: top.pop("boxes"), "boxes", "missing"),
        (lambda top: top.pop("names"), "names", "missing"),
        (lambda top: top.update(width="48"), "width", "text instead of a whole number"),
        (lambda top: top.update(height=0), "height", "0 pixels"),
        (lambda top: top["boxes"].pop(), "boxes", "2 boxes, but 3 names"),
        (lambda top: top["boxes"].__setitem__(1, 7), "boxes[1]", "a number instead of a list"),
        (lambda top: top["boxes"].__setitem__(1, [1, 2, 3]), "boxes[1]", "3 numbers instead of 4"),
        (lambda top: top["boxes"][1].__setitem__(0, "1"), "boxes[1][0]", "text instead of a number"),
        (lambda top: top["boxes"][1].__setitem__(0, float("nan")), "boxes[1][0]", "no finite number"),
        (lambda top: top["boxes"][1].__setitem__(2, 60), "boxes[1]", "partly outside the picture of 48 x 48"),
        (lambda top: top["boxes"].__setitem__(1, [50, 1, 60, 9]), "boxes[1]", "outside the picture"),
        (lambda top: top["boxes"].__setitem__(1, [9, 9, 9, 20]), "boxes[1]", "without area"),
    ],
)
def test_broken_metadata_of_vcr(files, change, field, problem):
    path = metadata(files)
    top = read_json(path)
    change(top)
    path.write_text(json.dumps(top))
    error = refused(files, "vcr")
    assert (error.file, error.record, error.field) == (path, "the document", field)
    assert problem in error.problem


def test_metadata_of_vcr_cut_short_or_in_another_encoding(files):
    path = metadata(files)
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    error = refused(files, "vcr")
    assert error.file == path and "not valid JSON" in error.problem
    path.write_bytes(data.replace(b"person", b"pers\xffon", 1))
    error = refused(files, "vcr")
    assert error.file == path and "UTF-8" in error.problem


@pytest.mark.parametrize("part", ["train", "val"])
def test_a_labelled_part_of_vcr_without_questions(files, part):
    (files / "vcr" / f"{part}.jsonl").write_text("\n")
    error = refused(files, "vcr")
    assert error.file == files / "vcr" / f"{part}.jsonl" and "no questions" in error.problem


@pytest.mark.parametrize(
    ("pattern", "new", "record", "field", "problem"),
    [
        ("<size>.*</size>", "", "the document", "size", "missing"),
        ("<width>48</width>", "", "size", "width", "missing"),
        ("<width>48<", "<width>wide<", "size", "width", "text instead of a whole number"),
        ("<ymin>28</ymin>", "", "object[1]", "ymin", "missing"),
        ("<ymin>28<", "<ymin><", "object[1]", "ymin", "text instead of a number"),
        ("<xmax>30<", "<xmax>99<", "object[1]", "bndbox", "partly outside the picture of 48 x 48"),
        ("<xmin>10<", "<xmin>30<", "object[1]", "bndbox", "without area"),
    ],
)
def test_broken_boxes_of_flickr30k(files, pattern, new, record, field, problem):
    path = files / XML
    text = path.read_text()
    path.write_text(re.sub(pattern, new, text))
    error = refused(files, "flickr30k")
    assert (error.file, error.record, error.field) == (path, record, field)
    assert problem in error.problem


@pytest.mark.parametrize("damage", [lambda data: data[: len(data) // 2], lambda data: data.replace(b"7", b"\xff\xfe")])
def test_boxes_file_of_flickr30k_that_is_no_xml(files, damage):
    path = files / XML
    path.write_bytes(damage(path.read_bytes()))
    error = refused(files, "flickr30k")
    assert error.file == path and "not valid XML" in error.problem and "line" in error.record


def test_missing_parts_of_flickr30k(files):
    (files / XML).unlink()
    assert f"{FLICKR[1]}.xml" in str(refused(files, "flickr30k"))
    for path in (files / "flickr30k" / "flickr30k-images").iterdir():
        path.unlink()
    assert "no images in a folder" in refused(files, "flickr30k").problem


def test_a_pair_on_an_image_that_is_not_there(files):
    edit(files / SNLI_VE, None, lambda rows: rows[1].update(Flickr30K_ID="7"))
    error = refused(files, "snli_ve")
    assert (error.file, error.record, error.field) == (files / SNLI_VE, "line 2", "Flickr30K_ID")
    assert "7.jpg" in error.problem


def test_an_unknown_label_and_a_part_without_pairs(files):
    edit(files / SNLI_VE, None, lambda rows: rows[1].update(gold_label="maybe"))
    error = refused(files, "snli_ve")
    assert error.field == "gold_label" and "contradiction" in error.problem
    (files / SNLI_VE).write_text("")
    assert "no labelled pair" in refused(files, "snli_ve").problem


@pytest.mark.parametrize(
    ("file", "part", "place", "field", "value", "record", "problem"),
    [
        (VG_PHRASES, "regions", 1, "region_id", 10, "[0].regions[1]", "duplicate id 10"),
        (VG_PHRASES, "regions", 1, "phrase", " ", "[0].regions[1]", "empty text"),
        (VG_PHRASES, "regions", 1, "x", "1", "[0].regions[1]", "text instead of a number"),
        (VG_PHRASES, "regions", 1, "height", None, "[0].regions[1]", "null"),
        (VG_PHRASES, "regions", 1, "x", 100, "[0].regions[1]", "outside the picture"),
        (VG_OBJECTS, "objects", 0, "names", "ball", "[0].objects[0]", "text instead of a list"),
        (VG_OBJECTS, "objects", 0, "w", [], "[0].objects[0]", "a list instead of a number"),
        (VG_OBJECTS, "objects", 0, "x", -30, "[0].objects[0]", "outside the picture"),
    ],
)
def test_broken_boxes_of_visual_genome(files, file, part, place, field, value, record, problem):
    edit(files / file, BARE, lambda rows: rows[0][part][place].update({field: value}))
    error = refused(files, "vg")
    assert (error.file, error.record, error.field) == (files / file, record, field)
    assert problem in error.problem


def test_images_of_visual_genome_must_be_in_every_file(files):
    edit(files / VG_SIZES, BARE, lambda rows: rows.pop(1))
    error = refused(files, "vg")
    assert (error.file, error.record, error.field) == (files / VG_PHRASES, "[1]", "id")
    (files / "vg" / "VG_100K" / "1.jpg").unlink()
    error = refused(files, "vg")
    assert (error.record, error.field) == ("[0]", "id") and "1.jpg is missing" in error.problem


def test_an_image_of_visual_genome_without_objects(files):
    edit(files / VG_OBJECTS, BARE, lambda rows: rows.pop(2))
    error = refused(files, "vg")
    assert error.file == files / VG_OBJECTS and "3.jpg" in error.problem


def test_boxes_of_coco_that_fit_nothing(files):
    edit(files / INSTANCES, "annotations", lambda rows: rows[2].update(category_id=5))
    error = refused(files, "coco")
    assert (error.file, error.record, error.field) == (files / INSTANCES, "annotations[2]", "category_id")
    edit(files / INSTANCES, "annotations", lambda rows: rows[2].update(category_id=3, image_id=9))
    assert refused(files, "coco").field == "image_id"
    edit(files / INSTANCES, "annotations", lambda rows: rows.pop(2))
    edit(files / INSTANCES, "images", lambda rows: rows[0].update(file_name="other.jpg"))
    error = refused(files, "coco")
    assert error.file == files / INSTANCES and "does not name the image COCO_val2014" in error.problem


def test_a_question_of_vqa_cp_on_an_image_that_is_not_there(files):
    edit(files / CP_Q, BARE, lambda rows: rows[1].update(image_id=999))
    error = refused(files, "vqa_cp")
    assert (error.file, error.record, error.field) == (files / CP_Q, "[1]", "image_id")


def test_few_blemished_boxes_are_mended_and_counted_and_many_are_refused(files):
    """Visual Genome's boxes are known to reach over their pictures; the reader allows for 5 % of them."""
    edit(files / VG_PHRASES, BARE, lambda rows: rows[0]["regions"].extend(_regions(40)))
    edit(files / VG_PHRASES, BARE, lambda rows: rows[0]["regions"][0].update(x=-5))
    made = convert("vg", lambda other: files / other, 1.0)
    assert made.records[0].box == [0, 1, 15, 13]
    assert made.counts == {"boxes": 49, "boxes_clipped": 1, "boxes_dropped": 0}
    edit(files / VG_PHRASES, BARE, lambda rows: rows[0]["regions"][1].update(x=60))
    made = convert("vg", lambda other: files / other, 1.0)
    assert made.counts == {"boxes": 49, "boxes_clipped": 1, "boxes_dropped": 1}
    assert "11" not in {record.id for record in made.records}
    edit(files / VG_PHRASES, BARE, lambda rows: rows[0]["regions"][2].update(x=60))
    error = refused(files, "vg")
    assert error.record == "[0].regions[0]" and "partly outside" in error.problem


def _regions(count):
    box = {"x": 1, "y": 1, "width": 5, "height": 5}
    return [{"region_id": 1000 + index, "image_id": 1, "phrase": "a", **box} for index in range(count)]


def test_rounding_is_no_blemish(tmp_path):
    row = Row({}, tmp_path, "line 1")
    assert BoxCheck().check(row, "box", [-0.5, 0, 48.9, 48], 48, 48) == [0, 0, 48, 48]
    with pytest.raises(InputError, match="partly outside"):
        BoxCheck().check(row, "box", [-1.5, 0, 48, 48], 48, 48)


def test_broken_regions_of_an_artifact(tmp_path):
    good = RegionsRecord("a.jpg", 48, 48, [[0.0, 1.0, 2.0, 3.5]], [""])
    assert write_regions(tmp_path, [good]) == 1
    assert read_regions(tmp_path) == {"a.jpg": good}
    for record, problem in (
        (RegionsRecord("a.jpg", 48, 48, [[0, 1, 2, 3]], []), "1 boxes, but 0 names"),
        (RegionsRecord("a.jpg", 48, 48, [[0, 1, 99, 3]], [""]), "partly outside"),
        (RegionsRecord("a.jpg", 48, -1, [], []), "-1 pixels"),
    ):
        write_regions(tmp_path, [record])
        with pytest.raises(InputError, match=problem):
            read_regions(tmp_path)
    write_regions(tmp_path, [good, good])
    with pytest.raises(InputError, match=r"line 2, field image: duplicate id 'a\.jpg'"):
        read_regions(tmp_path)
