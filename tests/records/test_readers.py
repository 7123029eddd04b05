"""What the readers make of good files, in the layouts in which they come."""

import io
import json
import shutil
import tarfile

import pytest

from vldistill.download.convert import SETS, convert
from vldistill.errors import InputError
from vldistill.files import read_json
from vldistill.records import (
    CaptionRecord,
    ChoiceRecord,
    PhraseRecord,
    QuestionRecord,
    TextRecord,
    cc3m,
    coco,
    read_captions,
    read_choices,
    read_entailments,
    read_phrases,
    read_questions,
    read_regions,
    read_texts,
    vqa,
    write_records,
    write_regions,
)


def converted(files, name, least_found=1.0):
    return convert(name, lambda other: files / other, least_found)


def test_coco_has_karpathys_splits_and_the_official_captions(files):
    made = converted(files, "coco")
    assert [sum(record.split == split for record in made.records) for split in ("train", "dev", "test")] == [6, 4, 5]
    official = read_json(files / "coco" / coco.ANNOTATIONS[1])
    for record in made.records:
        if record.split != "train":
            assert record.captions == [a["caption"] for a in official["annotations"] if str(a["image_id"]) == record.id]
    assert set(made.images) == {record.image for record in made.records}


def test_restval_counts_as_train(files):
    path = files / "coco" / coco.KARPATHY
    document = read_json(path)
    document["images"][-1]["split"] = "restval"
    path.write_text(json.dumps(document))
    assert converted(files, "coco").records[-1].split == "train"


def test_nocaps_has_domains_and_is_all_test(files):
    records = converted(files, "nocaps").records
    assert [record.domain for record in records] == ["in-domain"] * 2 + ["near-domain"] * 2 + ["out-domain"] * 2
    assert {record.split for record in records} == {"test"}
    assert all(len(record.captions) == 3 for record in records)


@pytest.mark.parametrize(("name", "image_set"), [("vqav2", "coco"), ("okvqa", "coco"), ("domains", "nocaps")])
def test_questions_lead_to_images_that_exist(files, name, image_set):
    records = converted(files, name).records
    assert {record.image_set for record in records} == {image_set}
    assert {record.image for record in records} <= set(converted(files, image_set).images)
    assert all(len(record.answers) == 10 for record in records if record.split != "unlabelled")
    assert len({record.id for record in records}) == len(records)


def test_domains_of_questions_are_those_of_their_images(files):
    by_key = {record.image: record.domain for record in converted(files, "nocaps").records}
    records = converted(files, "domains").records
    assert len(records) == 12
    assert all(record.domain == by_key[record.image] for record in records)


def test_dev_questions_are_on_other_images_than_test_questions(files):
    for name in ("vqav2", "okvqa"):
        records = converted(files, name).records
        images = {split: {r.image for r in records if r.split == split} for split in ("dev", "test")}
        assert images["dev"] and images["test"] and not images["dev"] & images["test"]


def test_questions_without_public_answers_are_kept_where_their_image_is(files, tmp_path):
    made = converted(files, "vqav2")
    kept = [record for record in made.records if record.split == "unlabelled"]
    assert kept and made.counts == {"unlabelled": len(kept), "unlabelled_without_image": 0}
    assert {(tuple(record.answers), record.answer_type, record.question_type) for record in kept} == {((), "", "")}
    path = files / "vqav2" / vqa.VQAV2_UNLABELLED
    document = read_json(path)
    document["questions"][0]["image_id"] = 999
    path.write_text(json.dumps(document))
    again = converted(files, "vqav2")
    assert again.counts == {"unlabelled": len(kept) - 1, "unlabelled_without_image": 1}
    write_records(tmp_path, again.records)
    assert read_questions(tmp_path) == list(again.records)


def test_only_an_unlabelled_record_may_lack_its_answers(tmp_path):
    lacking = QuestionRecord("1", "a.jpg", "coco", "what is it?", [], "other", "what", "test")
    write_records(tmp_path, [lacking])
    with pytest.raises(InputError, match="field answers: empty list"):
        read_questions(tmp_path)
    write_records(tmp_path, [CaptionRecord("1", "a.jpg", [], "train")])
    with pytest.raises(InputError, match="field captions: empty list"):
        read_captions(tmp_path)


def test_okvqa_has_each_annotator_twice(files):
    for record in converted(files, "okvqa").records:
        assert record.answers[::2] == record.answers[1::2]


def test_captions_of_one_address_belong_together_and_equal_rows_count_once(files):
    path = files / "cc3m" / cc3m.PAIRS
    rows = path.read_text().splitlines()
    path.write_text("\n".join([*rows, rows[0]]) + "\n")
    made = converted(files, "cc3m")
    assert len(made.records) == 12 and made.counts == {"addresses": 12, "found": 12}
    assert all(1 <= len(record.captions) <= 2 for record in made.records)


def test_dead_addresses_are_counted_up_to_a_limit(files):
    for path in sorted((files / "cc3m" / cc3m.IMAGES).iterdir())[:3]:
        path.unlink()
    made = converted(files, "cc3m", least_found=0.7)
    assert made.counts == {"addresses": 12, "found": 9} and len(made.records) == len(made.images) == 9
    with pytest.raises(InputError, match="3 of 12"):
        converted(files, "cc3m", least_found=0.8)


def test_img2dataset_shards_give_the_same_as_single_files(files):
    single = converted(files, "cc3m")
    expected = {key: image.read() for key, image in single.images.items()}
    folder = files / "cc3m" / cc3m.IMAGES
    urls = list(dict.fromkeys(row.split("\t")[1] for row in (files / "cc3m" / cc3m.PAIRS).read_text().splitlines()))
    for shard in range(2):
        with tarfile.open(folder / f"{shard:05d}.tar", "w") as archive:
            for number, url in enumerate(urls[shard::2]):
                picture = folder / cc3m.image_name(url)
                for suffix, data in (
                    ("jpg", picture.read_bytes()),
                    ("json", json.dumps({"url": url}).encode()),
                    ("txt", b"x"),
                ):
                    entry = tarfile.TarInfo(f"{shard:05d}{number:04d}.{suffix}")
                    entry.size = len(data)
                    archive.addfile(entry, io.BytesIO(data))
                picture.unlink()
    sharded = converted(files, "cc3m")
    assert {key: image.read() for key, image in sharded.images.items()} == expected
    assert sharded.records == single.records
    (folder / "00001.tar").write_bytes(b"no archive")
    with pytest.raises(InputError, match="broken shard"):
        converted(files, "cc3m")


@pytest.mark.parametrize("name", SETS)
def test_files_may_lie_in_folders_of_their_archives(files, name):
    flat = converted(files, name)
    for dataset in SETS:
        if dataset == "cc3m":
            continue  # one file and one folder, in no archive
        inner = files / dataset / "unpacked"
        inner.mkdir()
        for path in list((files / dataset).iterdir()):
            if path != inner:
                shutil.move(path, inner / path.name)
    deep = converted(files, name)
    assert deep.records == flat.records and deep.images.keys() == flat.images.keys() and deep.regions == flat.regions


def test_records_survive_writing_and_reading(files, tmp_path):
    for name, read in (
        ("coco", read_captions),
        ("domains", read_questions),
        ("corpus", read_texts),
        ("summary", read_texts),
        ("snli_ve", read_entailments),
        ("vcr", read_choices),
        ("vg", read_phrases),
        ("vqa_cp", read_questions),
    ):
        records = converted(files, name).records
        assert write_records(tmp_path, records) == len(records)
        assert read(tmp_path) == list(records)


@pytest.mark.parametrize("name", ["coco", "flickr30k", "vcr", "vg"])
def test_every_image_has_boxes_which_survive_writing_and_reading(files, tmp_path, name):
    made = converted(files, name)
    assert [region.image for region in made.regions] == sorted(made.images)
    assert made.counts["boxes"] >= sum(len(region.boxes) for region in made.regions) > 0
    assert write_regions(tmp_path, made.regions) == len(made.images)
    assert list(read_regions(tmp_path).values()) == made.regions


def test_boxes_of_each_format_become_corners_with_names(files):
    boxes = {name: converted(files, name).regions[0] for name in ("coco", "flickr30k", "vcr", "vg")}
    assert (boxes["coco"].boxes, boxes["coco"].names) == ([[1, 2.5, 21, 22.5]], ["car"])  # without the crowd
    assert boxes["flickr30k"].boxes == [[1, 2, 21, 22], [10, 28, 30, 48]]
    assert boxes["flickr30k"].names == ["", "circle"]  # chains of mentions have no name
    # the third coordinate of a pixel that counts from 0 may lie on the edge
    assert boxes["vcr"].boxes[1] == [12.25, 2, 30, 48] and boxes["vcr"].names == ["person", "person", "bottle"]
    assert (boxes["vg"].boxes, boxes["vg"].names) == ([[1, 1, 21, 13]], ["ball"])


def test_coco_may_come_without_boxes(files):
    for name in coco.INSTANCES:
        (files / "coco" / name).unlink()
    assert converted(files, "coco").regions is None


def test_snli_ve_leaves_out_and_counts_what_has_no_label_or_another_image(files):
    made = converted(files, "snli_ve")
    assert [record.split for record in made.records] == ["train"] * 3 + ["dev"] * 3 + ["test"] * 3
    assert made.counts == {"unlabelled": 3, "visual_genome": 3}
    first = made.records[0]
    assert (first.id, first.image, first.label) == ("1000.jpg#0r0", "1000.jpg", "entailment")
    assert first.hypothesis == "hypothesis 0"
    assert {record.image for record in made.records} <= set(converted(files, "flickr30k").images)


def test_vcrs_val_is_our_test_and_its_test_has_no_labels(files):
    made = converted(files, "vcr")
    assert [record.split for record in made.records] == ["train"] * 4 + ["test"] * 2 + ["unlabelled"] * 2
    record = made.records[1]
    assert record == ChoiceRecord(
        id="train-1",
        image="m_one/m_one_0@0.jpg",
        movie="m_one",
        objects=["person", "person", "bottle"],
        question=["What", "is", [0], "doing", "?"],
        answers=[[[0], "is", word, "."] for word in ("happy", "sad", "late")] + [[[0, 1], "drink", [2], "."]],
        answer_label=1,
        rationales=record.rationales,
        rationale_label=2,
        split="train",
    )
    assert record.rationales[3][:2] == ["because", [0]] and len(record.rationales) == 4
    assert made.records[-1].answer_label is made.records[-1].rationale_label is None
    assert set(made.images) == {record.image for record in made.records}


def test_phrases_of_visual_genome(files):
    made = converted(files, "vg")
    assert made.records[3] == PhraseRecord("21", "2.jpg", "[0] a phrase 1", [1, 1, 21, 13], "train")
    assert set(made.images) == {"1.jpg", "2.jpg", "3.jpg"}  # of both image folders


def test_vqa_cp_deals_the_questions_of_vqa_v2_anew(files):
    ids = {split: {r.id for r in converted(files, "vqav2").records if r.split == split} for split in ("dev", "test")}
    made = converted(files, "vqa_cp").records
    assert {record.id for record in made if record.split == "train"} == ids["test"]
    assert {record.id for record in made if record.split == "test"} == ids["dev"]


def test_records_of_another_kind_are_refused(tmp_path):
    write_records(tmp_path, [TextRecord("1", "a", None, "description", "train")])
    with pytest.raises(InputError, match=r"line 1, field text: unknown; a CaptionRecord has id"):
        read_captions(tmp_path)
    write_records(tmp_path, [CaptionRecord("1", "a.jpg", ["a"], "train"), CaptionRecord("1", "b.jpg", ["b"], "train")])
    with pytest.raises(InputError, match="duplicate id '1', first in line 1"):
        read_captions(tmp_path)
    write_records(tmp_path, [CaptionRecord("1", "a.jpg", ["a"], "validation")])
    with pytest.raises(InputError, match="train, dev, test"):
        read_captions(tmp_path)


def test_line_separators_inside_texts_do_not_cut_records(tmp_path):
    records = [TextRecord("1", "one\u2028two\x0bthree", "a\x85b", "summary", "test")]
    write_records(tmp_path, records)
    assert read_texts(tmp_path) == records
