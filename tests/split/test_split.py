"""Id lists: nested, disjoint, whole units, whatever the order of the records."""

import hashlib
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vldistill import layout
from vldistill.artifact import publish, publish_absent
from vldistill.errors import InputError
from vldistill.files import read_json
from vldistill.params import Params
from vldistill.params.split import Limits, Split
from vldistill.records import CaptionRecord, QuestionRecord, TextRecord, write_records
from vldistill.split import run
from vldistill.split.lists import first, id_list, order

names = st.lists(st.text("abcdef0123456789", min_size=1, max_size=6), min_size=1, max_size=60, unique=True)
fractions = st.floats(0, 1)


@given(names, st.integers(0, 99), st.randoms())
def test_the_order_depends_on_seed_and_names_only(units, seed, rng):
    shuffled = list(units)
    rng.shuffle(shuffled)
    assert order(units, seed) == order(shuffled, seed) == order([*units, *units], seed)
    assert sorted(order(units, seed)) == sorted(units)


def test_the_order_is_that_of_the_hash():
    units = ["7", "8", "9"]
    expected = sorted(units, key=lambda unit: hashlib.sha256(f"3:{unit}".encode()).hexdigest())
    assert order(units, 3) == expected


@given(names, fractions, fractions)
def test_lists_are_nested(units, one, other):
    small, large = sorted((one, other))
    ordered = order(units, 0)
    assert first(ordered, large)[: len(first(ordered, small))] == first(ordered, small)


@pytest.mark.parametrize(
    ("count", "fraction", "kept"), [(10, 0.1, 1), (10, 0.11, 2), (100, 0.07, 7), (3, 0, 0), (7, 1, 7)]
)
def test_the_first_ceil_of_f_n_are_kept(count, fraction, kept):
    # 0.07 * 100 is 7.000000000000001 in floating point
    assert len(first([str(i) for i in range(count)], fraction)) == kept


@given(names, st.integers(1, 80), st.integers(1, 4), st.randoms())
def test_units_stay_together_and_limits_nest(units, limit, each, rng):
    unit_of = {f"{unit}-{index}": unit for unit in units for index in range(each)}
    shuffled = dict(rng.sample(list(unit_of.items()), len(unit_of)))
    made = id_list(shuffled, "image", 0, limit)
    assert made == id_list(unit_of, "image", 0, limit)
    kept = {unit_of[identity] for identity in made["ids"]}
    assert len(kept) == min(limit, len(units)) and len(made["ids"]) == len(kept) * each
    assert made["sha256"] == hashlib.sha256("\n".join(made["ids"]).encode()).hexdigest()
    larger = id_list(unit_of, "image", 0, limit + 1)["ids"]
    assert larger[: len(made["ids"])] == made["ids"]
    assert made["fraction"] == pytest.approx(len(kept) / len(units))


def question(number, image, split):
    return QuestionRecord(str(number), image, "coco", "how many?", ["1"] * 10, "number", "how many", split)


@pytest.fixture
def project(tmp_path):
    records = [question(n, f"{n // 3}.jpg", "dev" if n < 30 else "test") for n in range(90)]
    random.Random(0).shuffle(records)
    for task, rows in {
        "vqav2": records,
        "nocaps": [CaptionRecord(str(n), f"{n}.jpg", ["a"], "test", "in-domain") for n in range(5)],
        "reading": [TextRecord(f"r{n}", "t", "a", "reading", ("train", "dev", "test")[n % 3]) for n in range(12)],
        "summary": [TextRecord("s", "t", "a", "summary", "train")],
    }.items():
        publish(layout.download(tmp_path, task), lambda folder, rows=rows: write_records(folder, rows))
    return tmp_path


def test_dev_and_test_are_disjoint_and_limits_count_images(project):
    params = Params(split=Split(vqav2=Limits(dev=4)))
    paths = run(params, project, "vqav2")
    assert paths == [layout.split(project, "vqav2", name) for name in ("dev", "test")]
    dev, test = map(read_json, paths)
    assert len(dev["ids"]) == 12 and len(test["ids"]) == 60
    assert dev["unit"] == "image" and dev["fraction"] == 0.4 and test["fraction"] == 1
    assert not set(dev["ids"]) & set(test["ids"])
    assert {int(identity) // 30 for identity in dev["ids"]} == {0}


def test_texts_are_units_of_their_own_and_train_is_left_out(project):
    dev, test = map(read_json, run(Params(), project, "reading"))
    assert len(dev["ids"]) == len(test["ids"]) == 4 and dev["unit"] == "id"


def test_a_set_without_dev_part_gets_an_empty_list(project):
    dev, test = map(read_json, run(Params(), project, "nocaps"))
    assert dev["ids"] == [] and len(test["ids"]) == 5


def test_faults(project):
    with pytest.raises(InputError, match="Known: coco"):
        run(Params(), project, "imagenet")
    with pytest.raises(InputError, match="no test records"):
        run(Params(), project, "summary")
    with pytest.raises(InputError, match="no finished artifact"):
        run(Params(), project, "coco")


def test_an_absent_set_has_empty_lists(project):
    publish_absent(layout.download(project, "domains"), "there is none")
    for path in run(Params(), project, "domains"):
        assert read_json(path)["ids"] == []
