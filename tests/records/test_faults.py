"""Every kind of damage to every format: an error that names the file, the record, the field and what to do."""

import json
from pathlib import Path

import pytest

from vldistill.download.convert import convert
from vldistill.errors import InputError
from vldistill.files import read_json, read_jsonl
from vldistill.records import cc3m, coco, nocaps, okvqa, text, visual_genome, vqa, vqa_cp

VAL_CAPTIONS = f"coco/{coco.ANNOTATIONS[1]}"
KARPATHY = f"coco/{coco.KARPATHY}"
NOCAPS = f"nocaps/{nocaps.CAPTIONS}"
VQA_Q, VQA_A = (f"vqav2/{name}" for name in vqa.VQAV2["test"])
OK_Q, OK_A = (f"okvqa/{name}" for name in okvqa.FILES["test"])
DOM_Q, DOM_A = (f"domains/{name}" for name in vqa.DOMAINS["test"])
CORPUS, READING, SUMMARY = f"corpus/{text.CORPUS}", "reading/test.jsonl", "summary/dev.jsonl"
PAIRS = f"cc3m/{cc3m.PAIRS}"
INSTANCES = f"coco/{coco.INSTANCES[1]}"
SNLI_VE, VCR = "snli_ve/snli_ve_test.jsonl", "vcr/train.jsonl"
VG_SIZES, VG_PHRASES, VG_OBJECTS = (
    f"vg/{name}" for name in (visual_genome.SIZES, visual_genome.PHRASES, visual_genome.OBJECTS)
)
CP_Q, CP_A = (f"vqa_cp/{name}" for name in vqa_cp.FILES["train"])
BARE = ""

# set, file, list in the file (None: JSON lines, BARE: the whole file), field -> a value of the wrong type
FIELDS = [
    ("coco", VAL_CAPTIONS, "images", "id", "7"),
    ("coco", VAL_CAPTIONS, "images", "file_name", 7),
    ("coco", VAL_CAPTIONS, "annotations", "id", None),
    ("coco", VAL_CAPTIONS, "annotations", "image_id", 1.5),
    ("coco", VAL_CAPTIONS, "annotations", "caption", ["a"]),
    ("coco", KARPATHY, "images", "cocoid", True),
    ("coco", KARPATHY, "images", "filename", 3),
    ("coco", KARPATHY, "images", "filepath", 3),
    ("coco", KARPATHY, "images", "split", {}),
    ("nocaps", NOCAPS, "images", "id", "1"),
    ("nocaps", NOCAPS, "images", "domain", 2),
    ("nocaps", NOCAPS, "images", "file_name", None),
    ("nocaps", NOCAPS, "annotations", "caption", 5),
    *(
        (name, file, "questions", field, value)
        for name, file in (("vqav2", VQA_Q), ("okvqa", OK_Q), ("domains", DOM_Q))
        for field, value in (("question_id", "1"), ("image_id", "1"), ("question", 1))
    ),
    *(
        (name, file, "annotations", field, value)
        for name, file in (("vqav2", VQA_A), ("okvqa", OK_A), ("domains", DOM_A))
        for field, value in (
            ("question_id", "1"),
            ("image_id", "1"),
            ("answers", {}),
            ("answer_type", 1),
            ("question_type", 1),
        )
    ),
    ("corpus", CORPUS, None, "id", 1),
    ("corpus", CORPUS, None, "text", 1),
    ("corpus", CORPUS, None, "kind", []),
    ("reading", READING, None, "document", 1),
    ("reading", READING, None, "question", 1),
    ("reading", READING, None, "answer", 1),
    ("summary", SUMMARY, None, "document", False),
    ("summary", SUMMARY, None, "summary", 1),
    *(
        ("coco", INSTANCES, "images", field, value)
        for field, value in (("id", "7"), ("file_name", 1), ("width", 4.5), ("height", "48"))
    ),
    *(
        ("coco", INSTANCES, "annotations", field, value)
        for field, value in (("id", "7"), ("image_id", None), ("category_id", []), ("bbox", {}), ("iscrowd", "0"))
    ),
    *(("snli_ve", SNLI_VE, None, field, 1) for field in ("pairID", "gold_label", "sentence2", "Flickr30K_ID")),
    *(("vcr", VCR, None, field, 1) for field in ("annot_id", "movie", "img_fn", "metadata_fn", "objects", "question")),
    *(
        ("vcr", VCR, None, field, value)
        for field, value in (
            ("answer_choices", {}),
            ("rationale_choices", "a"),
            ("answer_label", "1"),
            ("rationale_label", 1.0),
        )
    ),
    ("vg", VG_SIZES, BARE, "image_id", "1"),
    ("vg", VG_SIZES, BARE, "width", "1"),
    ("vg", VG_SIZES, BARE, "height", None),
    ("vg", VG_PHRASES, BARE, "id", "1"),
    ("vg", VG_PHRASES, BARE, "regions", {}),
    ("vg", VG_OBJECTS, BARE, "image_id", "1"),
    ("vg", VG_OBJECTS, BARE, "objects", 1),
    ("vqa_cp", CP_Q, BARE, "question_id", "1"),
    ("vqa_cp", CP_Q, BARE, "question", 1),
    ("vqa_cp", CP_A, BARE, "question_id", "1"),
    ("vqa_cp", CP_A, BARE, "answers", 1),
]
IDS = [
    ("coco", VAL_CAPTIONS, "images", "id"),
    ("coco", VAL_CAPTIONS, "annotations", "id"),
    ("coco", KARPATHY, "images", "cocoid"),
    ("nocaps", NOCAPS, "images", "id"),
    ("vqav2", VQA_Q, "questions", "question_id"),
    ("vqav2", VQA_A, "annotations", "question_id"),
    ("okvqa", OK_Q, "questions", "question_id"),
    ("okvqa", OK_A, "annotations", "question_id"),
    ("domains", DOM_Q, "questions", "question_id"),
    ("domains", DOM_A, "annotations", "question_id"),
    ("corpus", CORPUS, None, "id"),
    ("reading", READING, None, "id"),
    ("summary", SUMMARY, None, "id"),
    ("coco", INSTANCES, "images", "id"),
    ("coco", INSTANCES, "annotations", "id"),
    ("snli_ve", SNLI_VE, None, "pairID"),
    ("vcr", VCR, None, "annot_id"),
    ("vg", VG_SIZES, BARE, "image_id"),
    ("vg", VG_PHRASES, BARE, "id"),
    ("vg", VG_OBJECTS, BARE, "image_id"),
    ("vqa_cp", CP_Q, BARE, "question_id"),
    ("vqa_cp", CP_A, BARE, "question_id"),
]
JSON_FILES = sorted({(name, file) for name, file, *_ in FIELDS})
NAMES = [f"{name}-{Path(file).name}-{part}-{field}" for name, file, part, field, *_ in FIELDS]


def write_json(path, value):
    path.write_text(json.dumps(value, indent=1))


def convert_set(files, name):
    return convert(name, lambda other: files / other, least_found=1.0)


def edit(path, part, change):
    """Apply ``change`` to the list of records in the file."""
    if part is None:
        rows = read_jsonl(path)
        change(rows)
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    else:
        document = read_json(path)
        change(document if part == BARE else document[part])
        write_json(path, document)


def refused(files, name):
    with pytest.raises(InputError) as caught:
        convert_set(files, name)
    error = caught.value
    assert error.action, "says what to do"
    return error


def where(part, index):
    return f"line {index + 1}" if part is None else f"{part}[{index}]"


@pytest.mark.parametrize(("name", "file", "part", "field", "value"), FIELDS, ids=NAMES)
def test_missing_key(files, name, file, part, field, value):
    edit(files / file, part, lambda rows: rows[1].pop(field))
    error = refused(files, name)
    assert (error.file, error.record, error.field) == (files / file, where(part, 1), field)
    assert "missing" in error.problem


@pytest.mark.parametrize(("name", "file", "part", "field", "value"), FIELDS, ids=NAMES)
def test_wrong_type(files, name, file, part, field, value):
    edit(files / file, part, lambda rows: rows[1].update({field: value}))
    error = refused(files, name)
    assert (error.file, error.record, error.field) == (files / file, where(part, 1), field)
    assert "instead of" in error.problem


@pytest.mark.parametrize(("name", "file", "part", "field"), IDS)
def test_duplicate_id(files, name, file, part, field):
    edit(files / file, part, lambda rows: rows[2].update({field: rows[0][field]}))
    error = refused(files, name)
    assert (error.file, error.record, error.field) == (files / file, where(part, 2), field)
    assert "duplicate" in error.problem and where(part, 0) in error.problem


@pytest.mark.parametrize(("name", "file"), JSON_FILES)
def test_truncated_json(files, name, file):
    data = (files / file).read_bytes()
    (files / file).write_bytes(data[: len(data) * 2 // 3])
    error = refused(files, name)
    assert error.file == files / file and "line" in str(error.record)
    assert "not valid JSON" in error.problem


@pytest.mark.parametrize(("name", "file"), [*JSON_FILES, ("cc3m", PAIRS)])
def test_bad_utf8(files, name, file):
    data = (files / file).read_bytes()
    # a little into the second line, where a letter was
    at = data.index(b"\n") + 8
    line = data[:at].count(b"\n") + 1
    (files / file).write_bytes(data[:at] + b"\xff\xfe" + data[at:])
    error = refused(files, name)
    assert (error.file, error.record) == (files / file, f"line {line}")
    assert "UTF-8" in error.problem and "0xff" in error.problem


@pytest.mark.parametrize(("name", "file"), [*JSON_FILES, ("cc3m", PAIRS)])
def test_missing_file(files, name, file):
    (files / file).unlink()
    error = refused(files, name)
    assert Path(file).name in str(error)


@pytest.mark.parametrize(("name", "file", "part"), sorted({(n, f, str(p)) for n, f, p, *_ in FIELDS if p}))
def test_list_missing_or_no_list(files, name, file, part):
    document = read_json(files / file)
    write_json(files / file, {**document, part: {"0": 1}})
    error = refused(files, name)
    assert (error.file, error.field) == (files / file, part) and "instead of a list" in error.problem
    del document[part]
    write_json(files / file, document)
    assert "missing" in refused(files, name).problem


@pytest.mark.parametrize(("name", "file"), JSON_FILES)
def test_a_record_or_document_of_another_kind(files, name, file):
    jsonl = file.endswith(".jsonl")
    bare = any(part == BARE for _, other, part, *_ in FIELDS if other == file)
    (files / file).write_text("[1]\n" if jsonl else "{}" if bare else "[]")
    error = refused(files, name)
    assert error.file == files / file and f"instead of {'a list' if bare else 'an object'}" in error.problem


@pytest.mark.parametrize("field", ["id", "text", "kind"])
def test_empty_text(files, field):
    edit(files / CORPUS, None, lambda rows: rows[3].update({field: " "}))
    error = refused(files, "corpus")
    assert (error.record, error.field) == ("line 4", field)


def test_a_missing_image_file_names_its_record(files):
    first = read_json(files / KARPATHY)["images"][2]
    (files / "coco" / first["filepath"] / first["filename"]).unlink()
    error = refused(files, "coco")
    assert (error.file, error.record, error.field) == (files / KARPATHY, "images[2]", "filename")
    assert first["filename"] in error.problem
    name = read_json(files / NOCAPS)["images"][0]["file_name"]
    (files / "nocaps" / nocaps.IMAGES / name).unlink()
    error = refused(files, "nocaps")
    assert (error.file, error.record, error.field) == (files / NOCAPS, "images[0]", "file_name")


@pytest.mark.parametrize(("name", "file"), [("vqav2", VQA_Q), ("okvqa", OK_Q), ("domains", DOM_Q)])
def test_a_question_on_an_image_that_is_not_there(files, name, file):
    edit(files / file, "questions", lambda rows: rows[1].update(image_id=999))
    error = refused(files, name)
    assert (error.file, error.record, error.field) == (files / file, "questions[1]", "image_id")
    assert "999" in error.problem


def test_a_caption_of_an_image_that_is_not_there(files):
    edit(files / NOCAPS, "annotations", lambda rows: rows[1].update(image_id=999))
    error = refused(files, "nocaps")
    assert (error.record, error.field) == ("annotations[1]", "image_id")


def test_an_image_without_captions(files):
    edit(files / VAL_CAPTIONS, "annotations", lambda rows: rows.__delitem__(slice(0, 2)))
    error = refused(files, "coco")
    assert error.file == files / KARPATHY and "no captions" in error.problem


@pytest.mark.parametrize(
    ("name", "asked", "answered"), [("vqav2", VQA_Q, VQA_A), ("okvqa", OK_Q, OK_A), ("domains", DOM_Q, DOM_A)]
)
def test_questions_and_annotations_must_match(files, name, asked, answered):
    edit(files / answered, "annotations", lambda rows: rows.pop(1))
    error = refused(files, name)
    assert error.file == files / asked and error.field == "question_id"
    edit(files / asked, "questions", lambda rows: (rows.pop(1), rows.pop(0)))
    error = refused(files, name)
    assert (error.file, error.record) == (files / answered, "annotations[0]")


@pytest.mark.parametrize(
    ("change", "field"),
    [
        (lambda answers: answers.pop(), "answers"),
        (lambda answers: answers[3].pop("answer"), "answer"),
        (lambda answers: answers[3].update(answer=3), "answer"),
        (lambda answers: answers[3].update(answer_id=1), "answer_id"),
    ],
)
def test_broken_answers(files, change, field):
    edit(files / VQA_A, "annotations", lambda rows: change(rows[0]["answers"]))
    error = refused(files, "vqav2")
    assert error.file == files / VQA_A and error.field == field
    assert str(error.record).startswith("annotations[0]")


def test_unknown_values_of_closed_lists(files):
    edit(files / VQA_A, "annotations", lambda rows: rows[0].update(answer_type="maybe"))
    assert "yes/no" in refused(files, "vqav2").problem
    edit(files / NOCAPS, "images", lambda rows: rows[0].update(domain="far"))
    assert "near-domain" in refused(files, "nocaps").problem
    edit(files / KARPATHY, "images", lambda rows: rows[0].update(split="training"))
    assert "restval" in refused(files, "coco").problem


@pytest.mark.parametrize(
    ("line", "problem", "field"),
    [
        (b"only a caption", "1 columns", None),
        (b"a caption\thttps://x.invalid/a.jpg\tmore", "3 columns", None),
        (b"\thttps://x.invalid/a.jpg", "empty", "caption"),
        (b"a caption\t ", "empty", "url"),
        (b"a caption\tno address", "no address", "url"),
    ],
)
def test_broken_caption_rows(files, line, problem, field):
    rows = (files / PAIRS).read_bytes().split(b"\n")
    (files / PAIRS).write_bytes(b"\n".join([*rows[:2], line, *rows[2:]]))
    error = refused(files, "cc3m")
    assert (error.file, error.record, error.field) == (files / PAIRS, "line 3", field)
    assert problem in error.problem


def test_a_caption_image_that_was_not_got(files):
    url = (files / PAIRS).read_text().splitlines()[0].split("\t")[1]
    (files / "cc3m" / cc3m.IMAGES / cc3m.image_name(url)).unlink()
    error = refused(files, "cc3m")
    assert (error.file, error.record, error.field) == (files / PAIRS, url, "url")
    assert "1 of 12" in error.problem and "download.least_found" in error.action


def test_a_task_without_records(files):
    (files / READING).write_text("\n")
    assert "no records" in refused(files, "reading").problem


def test_an_id_may_not_stand_in_two_splits(files):
    other = json.loads((files / "reading/train.jsonl").read_text().splitlines()[0])["id"]
    edit(files / READING, None, lambda rows: rows[0].update(id=other))
    assert "duplicate" in refused(files, "reading").problem
