"""MAD's lists: whole, nested, disjoint, the same whatever the order of the records."""

import hashlib
import random
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vldistill import layout
from vldistill.artifact import publish, publish_absent
from vldistill.errors import InputError
from vldistill.files import read_json
from vldistill.params import Params
from vldistill.params.split import Limits, MadSplits, Split
from vldistill.records import (
    ChoiceRecord,
    EntailmentRecord,
    QuestionRecord,
    read_choices,
    write_records,
)
from vldistill.split import MAD_TASKS, list_names, low_shot_name, mad_splits, run
from vldistill.split.mad import choice_lists, entailment_lists, question_lists

LABELS = ("entailment", "neutral", "contradiction")


def params(seed=0, **options):
    # not checked against the cells that other stages would train on these lists
    return Params().model_copy(update={"split": Split(seed=seed, mad=MadSplits(**options))})


def entailments(counts=(90, 30, 60)):
    """Three pairs on each image; half of the hypotheses tell their label."""
    made = []
    for split, images in zip(("train", "dev", "test"), counts, strict=True):
        for number in range(images):
            for index, label in enumerate(LABELS):
                text = f"a {label} thing" if (number + index) % 2 else "a plain thing"
                made.append(EntailmentRecord(f"{split}-{number}-{index}", f"{split}{number}.jpg", text, label, split))
    return made


def choices(movies=20, each=6):
    made = []
    for movie in range(movies):
        split = "train" if movie < movies // 2 else "unlabelled" if movie == movies - 1 else "test"
        for index in range(each):
            tag = [0] if index % 2 else [0, 1]
            answers = [[tag, "run", "."], [[2], "runs", "."], ["he", "runs", "."], ["they", "run", "."]]
            labels = (None, None) if split == "unlabelled" else (0, 1)
            made.append(
                ChoiceRecord(
                    f"{split}-{movie}-{index}",
                    f"{movie}/{index // 2}.jpg",
                    f"movie{movie}",
                    ["person"] * 3,
                    ["what", "does", tag, "do", "?"],
                    answers,
                    labels[0],
                    answers,
                    labels[1],
                    split,
                )
            )
    return made


def questions(images=120, seed=0):
    rng = random.Random(seed)
    made = []
    for image in range(images):
        for index in range(5):
            kind, answers = rng.choice([("is it", ("yes", "no")), ("what", ("red", "blue", "green"))])
            answer = rng.choice(answers)
            split = "dev" if image < images // 2 else "test"
            made.append(
                QuestionRecord(
                    str(image * 10 + index), f"{image}.jpg", "coco", "?", [answer] * 10, "other", kind, split
                )
            )
    return made


def unlabelled_questions(images=6):
    """Questions without answers, on images of their own."""
    rows = [(str(9000 + number), f"test{number}.jpg") for number in range(images)]
    return [QuestionRecord(key, image, "coco", "?", [], "", "", "unlabelled") for key, image in rows]


ANSWERED = questions()
RECORDS = {"snli_ve": entailments(), "vcr": choices(), "vqa": [*ANSWERED, *unlabelled_questions()]}
MAKE = {"snli_ve": entailment_lists, "vcr": choice_lists, "vqa": question_lists}


@pytest.fixture
def project(tmp_path):
    for task, records in RECORDS.items():
        publish(layout.download(tmp_path, MAD_TASKS[task]), lambda folder, rows=records: write_records(folder, rows))
    publish_absent(layout.download(tmp_path, "vqa_cp"), "there is none")
    return tmp_path


def units(task, lists, name):
    """The images or movies of a list."""
    field = "movie" if task == "vcr" else "image"
    unit_of = {record.id: getattr(record, field) for record in RECORDS[task]}
    return {unit_of[identity] for identity in lists[name]["ids"]}


@pytest.mark.parametrize("task", MAD_TASKS)
def test_every_list_is_written_and_sound(project, task):
    options = params(fractions=[5, 50, 100], seeds=2, fraction_seeds={"5": 3})
    paths = mad_splits(options, project, task)
    assert [path.stem for path in paths] == list_names(options, task)
    assert {low_shot_name(5, 2), low_shot_name(100, 1), "dev", "test"} < {path.stem for path in paths}
    assert low_shot_name(50, 2) not in {path.stem for path in paths}
    known = {record.id for record in RECORDS[task]}
    for path in paths:
        made = read_json(path)
        assert made["sha256"] == hashlib.sha256("\n".join(made["ids"]).encode()).hexdigest()
        assert made["ids"] and len(set(made["ids"])) == len(made["ids"]) and set(made["ids"]) <= known
        assert made.keys() >= {"ids", "unit", "seed", "fraction", "sha256"}
    record = read_json(layout.run_record(paths[0].parent))
    assert record["stage"] == "split" and record["task"] == task


@pytest.mark.parametrize("task", MAD_TASKS)
def test_parts_share_no_unit_and_subsets_are_nested_whole_units(task):
    options = params(fractions=[10, 25, 100], seeds=2)
    lists = MAKE[task](options, RECORDS[task])
    parts = [units(task, lists, name) for name in (low_shot_name(100, 0), "dev", "test")]
    assert all(not one & other for index, one in enumerate(parts) for other in parts[index + 1 :])
    for seed in range(2):
        small, middle, full = (lists[low_shot_name(percent, seed)]["ids"] for percent in (10, 25, 100))
        assert middle[: len(small)] == small and full[: len(middle)] == middle
        inside = units(task, lists, low_shot_name(10, seed))
        rest = [identity for identity in full if identity not in set(small)]
        lists["rest"] = {"ids": rest}
        assert not inside & units(task, lists, "rest"), "all items of a unit go together"
    assert lists[low_shot_name(10, 0)]["ids"] != lists[low_shot_name(10, 1)]["ids"]
    assert set(lists[low_shot_name(100, 0)]["ids"]) == set(lists[low_shot_name(100, 1)]["ids"])


@pytest.mark.parametrize("task", MAD_TASKS)
@settings(max_examples=8)
@given(rng=st.randoms())
def test_lists_do_not_depend_on_the_order_of_records(task, rng):
    options = params(fractions=[10, 100], seeds=1)
    records = RECORDS[task]
    assert MAKE[task](options, rng.sample(records, len(records))) == MAKE[task](options, records)


# items of each unit of an official part
SIZES = st.lists(st.integers(1, 4), min_size=1, max_size=25)


def drawn(task, parts, rng):
    """Records of a task in any order; ``parts`` are its official parts."""
    splits = {"snli_ve": ("train", "test", "dev"), "vcr": ("train", "test"), "vqa": ("dev", "test")}[task]
    made = []
    for split, sizes in zip(splits, parts, strict=False):
        for number, size in enumerate(sizes):
            unit = f"{split}{number}"
            made += [drawn_item(task, f"{unit}-{index}", unit, split, rng) for index in range(size)]
    return rng.sample(made, len(made))


def drawn_item(task, identity, unit, split, rng):
    if task == "snli_ve":
        return EntailmentRecord(identity, unit, rng.choice(["a thing", "a dog", "no"]), rng.choice(LABELS), split)
    if task == "vqa":
        kind, answers = rng.choice([("is it", ("yes", "no")), ("what", ("red", "blue", "green"))])
        return QuestionRecord(identity, unit, "coco", "?", [rng.choice(answers)] * 10, "other", kind, split)
    choices = [[[0], "runs"], [[1], "runs"], ["he", "runs"], ["they", "run"]]
    question, image = ["what", "does", [0], "do", "?"], f"{unit}/{rng.randrange(3)}.jpg"
    return ChoiceRecord(identity, image, unit, ["person"] * 2, question, choices, 0, choices, rng.randrange(4), split)


@pytest.mark.parametrize("task", MAD_TASKS)
@settings(max_examples=15)
@given(
    parts=st.tuples(SIZES, SIZES, SIZES),
    share=st.floats(0.05, 0.95),
    seed=st.integers(0, 99),
    limit=st.none() | st.integers(1, 30),
    draws=st.integers(0, 2**32),
)
def test_no_image_or_movie_stands_on_both_sides_of_a_split(task, parts, share, seed, limit, draws):
    records = drawn(task, parts, random.Random(draws))
    limits = {task: Limits(dev=limit, test=limit)}
    options = params(seed, fractions=[10, 40, 100], seeds=2, dev_share=share, **limits)
    lists = MAKE[task](options, records)
    unit_of = {r.id: r.movie if task == "vcr" else r.image for r in records}
    found = {name: {unit_of[identity] for identity in made["ids"]} for name, made in lists.items()}
    trained = [name for name in found if name.startswith(("train-", "cp-train-"))]
    others = {"dev", "test", *(name for name in found if name not in trained)}
    tested = others - {"dev", "cp-dev"}
    for name in trained:
        assert not found[name] & set().union(*(found[other] for other in others)), name
    assert not (found["dev"] | found.get("cp-dev", set())) & set().union(*(found[other] for other in tested))
    # whole units: of what is trained on, no item of the same unit is left over (the changed priors choose items)
    for name in (name for name in trained if name.startswith("train-")):
        assert set(lists[name]["ids"]) == {
            identity for identity in lists[low_shot_name(100, 0)]["ids"] if unit_of[identity] in found[name]
        }
    if limit is None:
        every = set().union(*(set(lists[name]["ids"]) for name in (low_shot_name(100, 0), "dev", "test")))
        assert every == {record.id for record in records}, "nothing is lost"


def test_hard_items_depend_on_nothing_but_the_training_subset_and_the_test_items():
    options, records = params(fractions=[10, 100], seeds=1), RECORDS["snli_ve"]
    lists = entailment_lists(options, records)
    kept = {*lists[low_shot_name(10, 0)]["ids"], *lists["test"]["ids"]}
    # the rest lies: each wording that tells a label stands under another one
    lying = {label: LABELS[number - 1] for number, label in enumerate(LABELS)}
    again = entailment_lists(options, [r if r.id in kept else replace(r, label=lying[r.label]) for r in records])
    assert again[low_shot_name(10, 0, "hard")] == lists[low_shot_name(10, 0, "hard")]
    assert again[low_shot_name(100, 0, "hard")] != lists[low_shot_name(100, 0, "hard")], "nothing was changed"


def test_changed_priors_keep_images_apart_and_reverse_the_prior():
    lists = question_lists(params(), RECORDS["vqa"])
    trained = units("vqa", lists, low_shot_name(100, 0, "cp-train"))
    assert trained <= units("vqa", lists, low_shot_name(100, 0))
    for name in ("cp-iid", "cp-shift"):
        assert not trained & units("vqa", lists, name)
        assert set(lists[name]["ids"]) <= set(lists["test"]["ids"]) and len(lists[name]["ids"]) > 80
    assert set(lists["cp-dev"]["ids"]) <= set(lists["dev"]["ids"])
    answer_of = {record.id: record.answers[0] for record in ANSWERED}

    def share(name):
        given = [answer_of[identity] for identity in lists[name]["ids"]]
        return given.count("yes") / (given.count("yes") + given.count("no"))

    preferred = share(low_shot_name(100, 0, "cp-train"))
    assert preferred == pytest.approx(share("cp-iid"), abs=0.05) == pytest.approx(1 - share("cp-shift"), abs=0.05)
    assert abs(preferred - 0.5) > 0.3


def test_published_lists_of_changed_priors_are_taken_where_they_are(project):
    published = [
        QuestionRecord(
            **{**{name: getattr(r, name) for name in r.__slots__}, "split": "train" if number % 3 else "test"}
        )
        for number, r in enumerate(ANSWERED)
    ]
    publish(layout.download(project, "vqa_cp"), lambda folder: write_records(folder, published))
    made = {path.stem: set(read_json(path)["ids"]) for path in mad_splits(params(), project, "vqa")}
    assert made["cp-shift"] == {record.id for record in published if record.split == "test"}
    train = [made[name] for name in (low_shot_name(100, 0, "cp-train"), "cp-dev", "cp-iid")]
    assert set().union(*train) == {record.id for record in published if record.split == "train"}
    assert sum(map(len, train)) == len(set().union(*train)) and all(train)
    assert made["unlabelled"] == {record.id for record in unlabelled_questions()}, "those of VQA v2"


@pytest.mark.parametrize("task", ["vcr", "vqa"])
def test_no_unlabelled_item_is_on_a_list_that_is_trained_on_or_scored(project, task):
    lists = {path.stem: set(read_json(path)["ids"]) for path in mad_splits(params(), project, task)}
    unlabelled = {record.id for record in RECORDS[task] if record.split == "unlabelled"}
    assert lists.pop("unlabelled") == unlabelled != set()
    assert not unlabelled & set().union(*lists.values())
    if task == "vqa":
        run(Params(), project, "vqav2")
        assert not [n for n in ("dev", "test") if unlabelled & set(read_json(layout.split(project, "vqav2", n))["ids"])]


def test_rewritten_items_stand_beside_their_list(project):
    lists = {path.stem: read_json(path)["ids"] for path in mad_splits(params(), project, "vcr")}
    originals = {record.id: record for record in RECORDS["vcr"]}
    for rule, tag in (("singular", [0]), ("plural", [0, 1])):
        folder = layout.split(project, "vcr", f"rule-{rule}").with_suffix("")
        records = read_choices(folder)
        assert [record.id for record in records] == lists[f"rule-{rule}"]
        assert set(lists[f"rule-{rule}"]) <= set(lists["test"])
        for record in records:
            assert record.question == originals[record.id].question and tag in record.question
            assert tag not in record.answers[record.answer_label]
    assert lists["unlabelled"] == sorted(identity for identity in originals if identity.startswith("unlabelled"))


def test_hard_items_are_those_whose_wording_misleads(project):
    lists = {path.stem: read_json(path) for path in mad_splits(params(fractions=[100], seeds=1), project, "snli_ve")}
    made = lists[low_shot_name(100, 0, "hard")]
    text_of = {record.id: record.hypothesis for record in RECORDS["snli_ve"]}
    assert {text_of[identity] for identity in made["ids"]} == {"a plain thing"}
    assert made["of"] == "test" and 0.3 < made["fraction"] < 0.5
    assert set(made["ids"]) < set(lists["test"]["ids"])


def test_limits_count_units_of_dev_and_test():
    lists = entailment_lists(params(snli_ve=Limits(dev=3, test=5)), RECORDS["snli_ve"])
    assert [len(lists[name]["ids"]) for name in ("dev", "test")] == [9, 15]
    assert set(lists[low_shot_name(10, 0, "hard")]["ids"]) <= set(lists["test"]["ids"])


def test_vlkds_lists_of_the_same_questions_are_what_they_were(project):
    """Lists that the code before MAD made of these records."""
    mad_splits(params(), project, "vqa")
    digests = [read_json(path)["sha256"][:16] for path in run(Params(), project, "vqav2")]
    assert digests == ["bc60436d6ee97216", "8abdffdbde123da2"]


def test_an_absent_set_has_empty_lists(project):
    publish_absent(layout.download(project, "snli_ve"), "gated")
    for path in mad_splits(params(), project, "snli_ve"):
        assert read_json(path)["ids"] == []


def test_faults(project):
    with pytest.raises(InputError, match="Known: snli_ve, vcr, vqa"):
        mad_splits(params(), project, "vqav2")
    publish(layout.download(project, "vcr"), lambda folder: write_records(folder, choices(movies=1)))
    with pytest.raises(InputError, match="no items for the list"):
        mad_splits(params(), project, "vcr")
    with pytest.raises(ValueError, match="stands twice"):
        params(fractions=[10, 10])
    with pytest.raises(ValueError, match="not in fractions"):
        params(fraction_seeds={"1": 5})
    with pytest.raises(ValueError, match="at least 1"):
        params(fraction_seeds={10: 0})
