"""Words that a student is kept from, words it has tokens for, and recipes of students."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from vldistill import artifact, layout, pretrain
from vldistill.cli.pretrain import command
from vldistill.distill.mad.items import student_text
from vldistill.errors import InputError
from vldistill.params import Params, parse
from vldistill.pretrain import STUDENTS
from vldistill.pretrain.student_recipe import recipe_of
from vldistill.pretrain.student_words import TASK_SETS, task_words, withheld_words
from vldistill.records import ChoiceRecord, EntailmentRecord, QuestionRecord, write_records
from vldistill.records.synsets import ATTRIBUTES, OBJECTS, read_official, write_synsets
from vldistill.world import entailment, genome, questions, vcr
from vldistill.world.concepts import WORDS, plural
from vldistill.world.groups import draw_groups
from vldistill.world.official_mad import write_vg
from vldistill.world.scenes import World

GAPLESS: dict[str, Any] = {"extra": {"parts": {"arms": []}}}


def question(identity: str, text: str, split: str) -> QuestionRecord:
    return QuestionRecord(identity, f"{identity}.jpg", "coco", text, ["yes"] * 10, "yes/no", "is", split)


def choice(identity: str, word: str, split: str) -> ChoiceRecord:
    texts = [["because", [0], word]] * 4
    return ChoiceRecord(identity, "a.jpg", "a", ["person"], ["why", [0], "?"], texts, 0, texts, 0, split)


@pytest.fixture
def tasks(tmp_path: Path) -> dict[str, Path]:
    folders = {name: tmp_path / name for name in TASK_SETS}
    for folder in folders.values():
        folder.mkdir()
    pairs = [EntailmentRecord(split, "a.jpg", f"there is {split}", "neutral", split) for split in ("train", "test")]
    write_records(folders["snli_ve"], pairs)
    write_records(folders["vcr"], [choice("1", "red", "train"), choice("2", "unlabelled", "test")])
    write_records(folders["vqav2"], [question("1", "is it azure ?", "dev"), question("2", "unasked", "test")])
    return folders


def test_words_of_the_tasks_come_from_their_official_training_texts(tasks: dict[str, Path]) -> None:
    assert task_words(tasks) == sorted({"there", "is", "train", "because", "red", "why", "?", "it", "azure"})


def test_the_world_tells_its_synonyms_and_a_student_is_kept_from_a_growing_share_of_them(tmp_path: Path) -> None:
    params = Params.model_validate({"world": {"sizes": {"vg": 8, "phrases": 1, "figure_phrases": 1}}})
    write_vg(World(params.world), tmp_path / "official")
    write_synsets(tmp_path, read_official(tmp_path / "official"))
    meant = {word for values in WORDS.values() for words in values.values() for word in words[1:]}
    meant |= {plural(word) for words in WORDS["shape"].values() for word in words[1:]}
    kept = {percent: set(withheld_words(tmp_path, percent)) for percent in (0, 25, 50, 100)}
    assert kept[0] == set()
    assert kept[0] < kept[25] < kept[50] < kept[100] == meant
    synsets = sum(len(values) for values in WORDS.values())
    of_synset = {word: value for values in WORDS.values() for value, words in values.items() for word in words}
    assert len({of_synset[word] for word in kept[50] if word in of_synset}) == -(-synsets // 2)


def words_of(texts: Iterable[str]) -> set[str]:
    """Without the tags of objects, which are tokens in any case."""
    return {word for text in texts for word in text.replace("?", "").split() if not word.startswith("[")}


def test_the_smallest_subset_has_all_that_the_rendered_tasks_add_to_the_words_of_vg(tmp_path: Path) -> None:
    """So no text outside a training subset decides what is a token, though all of a task's are read for words.

    Of VCR's it is the 5 % subset: one question in twenty asks `where`, so 1 % may lack that word.
    """
    params = Params.model_validate({"world": {"sizes": {"vg": 8, "phrases": 1, "figure_phrases": 1}}})
    world = World(params.world)
    write_vg(world, tmp_path)
    scenes = world.scenes("train", ("seen",), 1000, "words")
    phrases = [genome.scene_phrase(scene, world.rng("p", at)) for at, scene in enumerate(scenes)]
    named = set(read_official(tmp_path)) | words_of(phrases)
    groups = enumerate(draw_groups(world, "train", 1000, "g"))
    drawn = [item for at, group in groups for item in vcr.items(group, 1, world.rng("v", at), 0.7)]
    tasks = {
        "snli_ve": [entailment.hypothesis(scene, world.rng("h", at), 0.25).text for at, scene in enumerate(scenes)],
        "vcr": [" ".join(student_text(text) for text in (o.question, *o.answers, *o.rationales)) for o in drawn],
        "vqa": [questions.vqa_question(scene, world.rng("q", at)).text for at, scene in enumerate(scenes)],
    }
    for task, fewest in (("snli_ve", 60), ("vcr", 100), ("vqa", 100)):
        everything, few = words_of(tasks[task]), words_of(tasks[task][:fewest])
        assert everything - few <= named, task
        assert everything & named - few, "content words of a subset are not all: the others are words of VG"


@pytest.mark.parametrize(
    ("text", "problem"), [("[]", "a list instead of an object"), ('{"disc": 1}', "a number instead of text")]
)
def test_broken_synsets_are_named(tmp_path: Path, text: str, problem: str) -> None:
    (tmp_path / ATTRIBUTES).write_text('{"azure": "blue.s.01"}')
    assert read_official(tmp_path) == {"azure": "blue.s.01"}
    (tmp_path / OBJECTS).write_text(text)
    with pytest.raises(InputError, match=rf"{OBJECTS}.*{problem}"):
        read_official(tmp_path)


def test_a_set_without_synonyms_keeps_nobody_from_anything(tmp_path: Path) -> None:
    assert withheld_words(tmp_path, 0) == []
    with pytest.raises(InputError, match=r"synsets\.json.*no synonyms"):
        withheld_words(tmp_path, 100)


def test_recipes_differ_in_what_is_withheld_and_absent_tasks_are_left_out(tmp_path: Path) -> None:
    for name in TASK_SETS:
        artifact.publish_absent(layout.download(tmp_path, name), "not here")
    artifact.publish(layout.download(tmp_path, "vcr"), lambda folder: write_records(folder, []) and None)
    recipes = {name: recipe_of(Params(), tmp_path, name) for name in STUDENTS}
    assert "pretrain.student.gaps" in str(recipes.pop("student_gap25").absent)
    assert {name: recipe.options["withheld"] for name, recipe in recipes.items()} == {
        "student": 100,
        "student_gap0": 0,
        "student_gap50": 50,
    }
    usual = layout.pretrain(tmp_path, "student")
    read = {"features": layout.features(tmp_path, "clip", "vg")}
    read |= {name: layout.download(tmp_path, name) for name in ("vg", "vcr")}
    assert recipes["student"].inputs == read
    # those of a chosen gap go on from the usual one
    assert recipes["student_gap0"].inputs == recipes["student_gap50"].inputs == {**read, "start": usual}
    steps = {name: recipe.options["training"]["steps"] for name, recipe in recipes.items()}
    assert steps == {"student": 4000, "student_gap0": 2000, "student_gap50": 2000}


def test_another_gap_is_made_besides_the_students_that_are_there(tmp_path: Path) -> None:
    for name in TASK_SETS:
        artifact.publish_absent(layout.download(tmp_path, name), "not here")
    few, more = (
        {name: recipe_of(Params.model_validate(tree), tmp_path, name) for name in STUDENTS}
        for tree in ({"pretrain": {"student": {"gaps": gaps}}, "distill": {"mad": GAPLESS}} for gaps in ([], [25]))
    )
    assert few["student"].options == more["student"].options and not few["student"].absent
    assert more["student_gap25"].options["withheld"] == 25
    assert [name for name in STUDENTS if few[name].absent] == ["student_gap0", "student_gap25", "student_gap50"]
    folder = pretrain.run(Params(), tmp_path, "student_gap25")
    assert artifact.absence(folder) == few["student_gap25"].absent


def test_the_command_says_why_a_student_is_not_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "params.yaml").write_text("{}")
    monkeypatch.chdir(tmp_path)
    said = CliRunner().invoke(command, ["student_gap25"], catch_exceptions=False)
    assert said.exit_code == 0
    assert "student_gap25 is not made: " in said.output and "pretrain.student.gaps" in said.output


def test_a_published_student_has_no_chosen_gap(tmp_path: Path) -> None:
    student = {"source": "vilt", "published": "nobody/none"}
    params = Params.model_validate({"pretrain": {"student": student}, "distill": {"mad": GAPLESS}})
    folder = pretrain.run(params, tmp_path, "student_gap25")
    assert "cannot be kept from" in str(artifact.absence(folder))
    with pytest.raises(InputError, match="ViLT does not load"):
        pretrain.run(params, tmp_path, "student")


def test_a_warm_up_longer_than_the_steps_of_a_gap_is_refused() -> None:
    with pytest.raises(InputError, match=r"gap_steps \(100\) is shorter than training\.warmup \(150\)"):
        parse({"pretrain": {"student": {"gap_steps": 100}}})
