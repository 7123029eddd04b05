"""`vldistill split KIND` on official files, and its errors."""

import json

import pytest
from click.testing import CliRunner

from tests.records import handmade
from tests.split.test_hypothesis import pairs
from tests.split.test_mad import questions
from vldistill.cli.split import command
from vldistill.errors import InputError
from vldistill.files import read_json, read_jsonl


def call(*arguments):
    made = CliRunner().invoke(command, list(map(str, arguments)), catch_exceptions=False)
    assert made.exit_code == 0, made.output
    return made.output


def write_pairs(path, rows):
    path.write_text(
        "".join(
            json.dumps({"pairID": name, "sentence2": text, "gold_label": label, "Flickr30K_ID": name[-2:]}) + "\n"
            for name, text, label in rows
        )
    )


@pytest.fixture
def vqa_files(tmp_path):
    asked = questions()
    image = {record.id: int(record.image.removesuffix(".jpg")) for record in asked}
    put = {
        "questions": [{"question_id": int(r.id), "image_id": image[r.id], "question": r.question} for r in asked],
        "annotations": [
            {
                "question_id": int(r.id),
                "image_id": image[r.id],
                "question_type": r.question_type,
                "answers": [{"answer": answer} for answer in r.answers],
            }
            for r in asked
        ],
    }
    for name, rows in put.items():
        handmade.put(tmp_path / f"{name}.json", {name: rows})
    return tmp_path


def test_low_shot_of_any_format(vqa_files):
    write_pairs(vqa_files / "pairs.jsonl", pairs(400, 1))
    for file, identity, unit in (
        ("pairs.jsonl", "pairID", "Flickr30K_ID"),
        ("questions.json", "question_id", "image_id"),
    ):
        sizes = []
        for fraction in (0.1, 0.5):
            out = vqa_files / "out" / f"{fraction}.json"
            given = ("--records", vqa_files / file, "--id", identity, "--unit", unit, "--seed", 3)
            assert "items" in call("low-shot", *given, "--fraction", fraction, "--out", out)
            made = read_json(out)
            assert (made["unit"], made["seed"], made["fraction"]) == (unit, 3, fraction)
            sizes.append(made["ids"])
        assert sizes[1][: len(sizes[0])] == sizes[0] and 0 < len(sizes[0]) < len(sizes[1])


def test_changed_priors_of_a_vqa_format_set(vqa_files):
    out = vqa_files / "cp"
    files = ("--questions", vqa_files / "questions.json", "--annotations", vqa_files / "annotations.json")
    call("vqa-cp", *files, "--test-share", 0.5, "--out", out)
    lists = {name: read_json(out / f"{name}.json")["ids"] for name in ("cp-train", "cp-iid", "cp-shift")}
    images = {name: {int(identity) // 10 for identity in ids} for name, ids in lists.items()}
    assert all(lists.values())
    assert not images["cp-train"] & (images["cp-iid"] | images["cp-shift"])
    # bare lists, as VQA-CP has them, are read alike
    for name in ("questions", "annotations"):
        path = vqa_files / f"{name}.json"
        handmade.put(path, read_json(path)[name])
    call("vqa-cp", *files, "--test-share", 0.5, "--out", vqa_files / "again")
    assert read_json(vqa_files / "again" / "cp-shift.json")["ids"] == lists["cp-shift"]


def test_rules_on_an_official_file(tmp_path):
    handmade.write_vcr(tmp_path)
    source, out = tmp_path / "vcr" / "train.jsonl", tmp_path / "singular.jsonl"
    assert "3 items" in call("vcr-rules", "--annotations", source, "--rule", "singular", "--out", out)
    before = {row["annot_id"]: row for row in read_jsonl(source)}
    for row in read_jsonl(out):
        old = before[row["annot_id"]]
        assert row.keys() == old.keys() and row["answer_choices"] != old["answer_choices"]
        assert {key: row[key] for key in row if key != "answer_choices"} == {
            key: old[key] for key in old if key != "answer_choices"
        }
        assert row["answer_choices"][row["answer_label"]][0] in ("He", "She")
    assert "0 items" in call("vcr-rules", "--annotations", source, "--rule", "plural", "--out", out)


def test_hard_pairs_of_a_subset(tmp_path):
    train, test, subset = (tmp_path / name for name in ("train.jsonl", "test.jsonl", "subset.json"))
    write_pairs(train, pairs(600, 1))
    write_pairs(test, [*pairs(300, 2), ("vg_1", "a", "neutral"), ("x", "a", "-")])
    files = ("--records", train, "--id", "pairID", "--unit", "Flickr30K_ID")
    call("low-shot", *files, "--fraction", 0.3, "--seed", 2, "--out", subset)
    made = {}
    for name, given in {"all": (), "subset": ("--subset", subset)}.items():
        call("snli-ve-hard", "--train", train, *given, "--test", test, "--out", tmp_path / f"hard-{name}.json")
        made[name] = read_json(tmp_path / f"hard-{name}.json")
    assert made["subset"]["seed"] == 2 and made["all"]["seed"] == 0
    assert set(made["all"]["ids"]) != set(made["subset"]["ids"])
    assert all(name.startswith("2-") for name in made["all"]["ids"])


def test_hard_pairs_of_a_subset_that_lists_pairs_without_a_label(tmp_path):
    train, test, subset, out = (tmp_path / f for f in ("train.jsonl", "test.jsonl", "subset.json", "hard.json"))
    kept = pairs(300, 1)
    texts = [text for _, text, label in kept if label != "entailment"]
    left_out = [(f"3-{number}", text, "-") for number, text in enumerate(texts)]
    left_out += [(f"vg_{number}", text, "entailment") for number, text in enumerate(texts)]
    write_pairs(test, pairs(200, 2))
    made = []
    for rows in ([*left_out, *kept], kept):
        write_pairs(train, rows)
        files = ("--records", train, "--id", "pairID", "--unit", "pairID", "--fraction", 1, "--seed", 2)
        call("low-shot", *files, "--out", subset)
        assert len(read_json(subset)["ids"]) == len(rows)
        call("snli-ve-hard", "--train", train, "--subset", subset, "--test", test, "--out", out)
        made.append(read_json(out))
    assert made[0] == made[1] and made[0]["ids"]
    # with labels and names of the kind that is kept, these pairs change the list
    write_pairs(train, [*((f"4-{number}", text, "entailment") for number, text in enumerate(texts)), *kept])
    call("snli-ve-hard", "--train", train, "--test", test, "--out", out)
    assert read_json(out)["ids"] != made[0]["ids"]
    write_pairs(train, left_out)
    call("low-shot", "--records", train, "--id", "pairID", "--unit", "pairID", "--fraction", 1, "--out", subset)
    with pytest.raises(InputError, match=r"subset\.json: holds no labelled pair"):
        call("snli-ve-hard", "--train", train, "--subset", subset, "--test", test, "--out", out)


def test_faults(vqa_files, tmp_path):
    out = ("--out", tmp_path / "out.json")
    questions_file, annotations = vqa_files / "questions.json", vqa_files / "annotations.json"

    def low_shot(file, *more):
        call("low-shot", "--records", file, "--unit", "image_id", "--fraction", 1, *more, *out)

    with pytest.raises(InputError, match="no such JSON file"):
        low_shot(tmp_path / "none.json")
    with pytest.raises(InputError, match=r"questions\[0\], field id: missing"):
        low_shot(questions_file)
    handmade.put(tmp_path / "two.json", {"questions": [], "images": []})
    with pytest.raises(InputError, match="holds 2 of the lists"):
        low_shot(tmp_path / "two.json")
    rows = read_json(annotations)["annotations"]
    handmade.put(tmp_path / "few.json", {"annotations": rows[1:]})
    files = ("--questions", questions_file, "--annotations")
    with pytest.raises(InputError, match=r"few\.json, record 0: has no annotation"):
        call("vqa-cp", *files, tmp_path / "few.json", *out)
    handmade.put(tmp_path / "few.json", {"annotations": [*rows, {**rows[0], "question_id": 9999}]})
    with pytest.raises(InputError, match="question 9999 is not in questions"):
        call("vqa-cp", *files, tmp_path / "few.json", *out)
    handmade.write_vcr(tmp_path)
    with pytest.raises(InputError, match=r"test\.jsonl, record line 1, field answer_label: missing"):
        call("vcr-rules", "--annotations", tmp_path / "vcr" / "test.jsonl", "--rule", "plural", *out)
    write_pairs(tmp_path / "pairs.jsonl", pairs(20, 1))
    handmade.put(tmp_path / "list.json", {"ids": ["9"], "seed": 0})
    both = ("--train", tmp_path / "pairs.jsonl", "--test", tmp_path / "pairs.jsonl")
    with pytest.raises(InputError, match=r"the pair 9 is not in pairs\.jsonl"):
        call("snli-ve-hard", *both, "--subset", tmp_path / "list.json", *out)


def refused(*arguments):
    """The message of a call that click refuses."""
    made = CliRunner().invoke(command, list(map(str, arguments)))
    assert made.exit_code == 2, made.output
    return made.output


def test_files_that_would_be_lost_and_numbers_that_are_none_are_refused(tmp_path):
    source = tmp_path / "pairs.jsonl"
    write_pairs(source, pairs(20, 1))
    before = source.read_bytes()
    given = ("low-shot", "--records", source, "--id", "pairID", "--unit", "Flickr30K_ID")
    assert "name another file" in refused(*given, "--fraction", 0.5, "--out", source)
    assert "name another file" in refused("snli-ve-hard", "--train", source, "--test", source, "--out", source)
    assert "is a directory" in refused(*given, "--fraction", 0.5, "--out", tmp_path)
    assert "no finite number" in refused(*given, "--fraction", "nan", "--out", tmp_path / "out.json")
    assert source.read_bytes() == before and not (tmp_path / "out.json").exists()
    files = ("--questions", source, "--annotations", source)
    assert "is a file" in refused("vqa-cp", *files, "--out", source)


def test_nothing_to_split_and_what_stands_twice_are_faults(vqa_files, tmp_path):
    out = ("--out", tmp_path / "out.json")
    (tmp_path / "empty.jsonl").write_text("")
    with pytest.raises(InputError, match=r"empty\.jsonl: holds no items"):
        call("low-shot", "--records", tmp_path / "empty.jsonl", "--unit", "image", "--fraction", 0.5, *out)
    handmade.write_vcr(tmp_path)
    rules = ("vcr-rules", "--annotations", tmp_path / "vcr" / "train.jsonl", "--rule", "singular", *out)
    with pytest.raises(InputError, match=r"no item has an object of class persn\. Classes there: .*person"):
        call(*rules, "--class", "persn")
    write_pairs(tmp_path / "twice.jsonl", [*pairs(20, 1), *pairs(1, 1)])
    write_pairs(tmp_path / "once.jsonl", pairs(20, 1))
    for train, test in (("once", "twice"), ("twice", "once")):
        with pytest.raises(InputError, match=r"twice\.jsonl, record line 21, field pairID"):
            call("snli-ve-hard", "--train", tmp_path / f"{train}.jsonl", "--test", tmp_path / f"{test}.jsonl", *out)
    rows = read_json(vqa_files / "annotations.json")["annotations"]
    files = ("vqa-cp", "--questions", vqa_files / "questions.json", "--annotations", tmp_path / "other.json")
    handmade.put(tmp_path / "other.json", {"annotations": [*rows, rows[0]]})
    with pytest.raises(InputError, match=r"other\.json, record annotations\[\d+\], field question_id"):
        call(*files, "--out", tmp_path / "cp")
    handmade.put(tmp_path / "other.json", {"annotations": [{**rows[0], "image_id": 77777}, *rows[1:]]})
    with pytest.raises(InputError, match=r"annotations\[0\], field image_id: another image than question"):
        call(*files, "--out", tmp_path / "cp")
    handmade.put(tmp_path / "other.json", {"annotations": rows})
    with pytest.raises(InputError, match=r"a test share of 1 leaves no image for training"):
        call(*files, "--test-share", 1, "--out", tmp_path / "cp")
    assert not (tmp_path / "out.json").exists() and not (tmp_path / "cp").exists()


def test_hard_pairs_do_not_depend_on_the_order_of_the_files(tmp_path):
    made = []
    for name, step in (("one", 1), ("other", -1)):
        write_pairs(tmp_path / f"{name}.jsonl", pairs(300, 1)[::step])
        write_pairs(tmp_path / "test.jsonl", pairs(200, 2)[::step])
        call(
            "snli-ve-hard",
            "--train",
            tmp_path / f"{name}.jsonl",
            "--test",
            tmp_path / "test.jsonl",
            "--out",
            tmp_path / "o",
        )
        made.append(set(read_json(tmp_path / "o")["ids"]))
    assert made[0] == made[1] and made[0]


def test_help_names_kinds_and_tasks():
    said = call("--help")
    assert all(name in said for name in ("low-shot", "vqa-cp", "vcr-rules", "snli-ve-hard", "snli_ve", "vqav2"))
