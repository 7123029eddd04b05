"""SNLI-VE-style hypotheses, VCR-style questions and region descriptions: true where they say so, biased as planted."""

from collections import Counter
from dataclasses import asdict
from statistics import mean

import pytest

from vldistill.cli.split_files import records_of
from vldistill.evaluate.mad.data import BLIND
from vldistill.evaluate.mad.references import reference_rows
from vldistill.params import Params
from vldistill.params.world import World as WorldParams
from vldistill.records import CHOICES, ChoiceRecord, EntailmentRecord, snli_ve, vqa
from vldistill.records.vcr import read_record
from vldistill.split.mad import choice_lists, entailment_lists, question_lists
from vldistill.split.priors import majority
from vldistill.world import entailment, genome, official, official_mad, vcr
from vldistill.world.concepts import SLOTS, VALUES, WORDS, plural
from vldistill.world.groups import CELLS, draw_groups
from vldistill.world.scenes import World

PARAMS = WorldParams()
WORD_OF = {
    word: (slot, value)
    for slot, values in WORDS.items()
    for value, words in values.items()
    for one in words
    for word in ((one, plural(one)) if slot == "shape" else (one,))
} | {"pair": ("count", "two"), "trio": ("count", "three")}


@pytest.fixture(scope="module")
def world():
    return World(PARAMS)


@pytest.fixture(scope="module")
def hypotheses(world):
    """(scene, hypothesis) of the train and test pools."""
    return {
        pool: [
            (scene, entailment.hypothesis(scene, world.rng(pool, index, number), PARAMS.cue))
            for index, scene in enumerate(world.scenes(pool, ("seen",), 1500, pool))
            for number in range(3)
        ]
        for pool in ("train", "test")
    }


@pytest.fixture(scope="module")
def items(world):
    """(group, item) of the train and test pools."""
    return {
        pool: [
            (group, item)
            for index, group in enumerate(draw_groups(world, pool, 1200, pool))
            for item in vcr.items(group, 2, world.rng(pool, index), PARAMS.tag_repeat)
        ]
        for pool in ("train", "test")
    }


def told(words):
    """Slot -> value of all that a sentence tells; the side is the word after 'the wall is to the' or before 'wall'."""
    return {WORD_OF[word][0]: WORD_OF[word][1] for word in words if word in WORD_OF}


def test_hypotheses_are_true_or_false_as_their_label_says(hypotheses):
    for scene, drawn in hypotheses["train"]:
        said = told(drawn.text.split())
        assert said
        false = [slot for slot, value in said.items() if value != scene.value(slot)]
        claimed = any(claim in drawn.text for claim in entailment.CLAIMS)
        assert (len(false) == 1) == (drawn.label == "contradiction"), (scene, drawn)
        if drawn.label != "contradiction":
            assert claimed == (drawn.label == "neutral")


def test_contradictions_are_wrong_in_every_slot_alike(hypotheses):
    wrong = Counter(
        slot
        for scene, drawn in hypotheses["train"]
        for slot, value in told(drawn.text.split()).items()
        if value != scene.value(slot)
    )
    assert set(wrong) == set(SLOTS)


def blind_gain(train, test):
    """Points that the classifier without the image gains over the majority on (hypothesis, label) pairs."""
    parts = {
        split: [
            EntailmentRecord(f"{split}-{number}", "", text, label, split) for number, (text, label) in enumerate(drawn)
        ]
        for split, drawn in (("train", train), ("test", test))
    }
    rows = reference_rows(BLIND, "snli_ve", parts["train"], {"test": parts["test"]}, most=len(train))["test"]
    right = mean(row["prediction"] == record.label for row, record in zip(rows, parts["test"], strict=True))
    return 100 * (right - Counter(label for _, label in test).most_common(1)[0][1] / len(test))


@pytest.mark.slow
def test_a_hypothesis_only_classifier_gains_what_was_planted(hypotheses):
    train, test = ([(drawn.text, drawn.label) for _, drawn in hypotheses[pool]] for pool in ("train", "test"))
    assert 5 <= blind_gain(train, test) <= 25


@pytest.mark.slow
def test_without_claims_and_openings_a_hypothesis_tells_nothing(hypotheses):
    def bare(drawn):
        longest_first = sorted((o for each in entailment.OPENINGS.values() for o in each), key=len, reverse=True)
        opening = next(o for o in longest_first if drawn.text.startswith(f"{o} "))
        text = drawn.text.removeprefix(f"{opening} ")
        for claim in entailment.CLAIMS:
            text = text.replace(f" {claim}", "")
        return text

    train, test = ([(bare(drawn), drawn.label) for _, drawn in hypotheses[pool]] for pool in ("train", "test"))
    assert blind_gain(train, test) <= 5


def holds(group, asked, tokens):
    """Whether what a choice says of its figures is true of the figures asked for."""
    words = [token for token in tokens if isinstance(token, str)]
    figures = [group.figures[number] for number in asked]
    if "at" in words:
        row, column = (WORD_OF[word][1] for word in words if WORD_OF.get(word, ("",))[0] == "side")
        return all(CELLS[figure.cell] == (row, column) for figure in figures)
    return all(figure.value(slot) == value for figure in figures for slot, value in told(words).items())


def asked_for(item):
    return next(token for token in item.question if isinstance(token, list))


def test_of_four_choices_only_the_labelled_one_is_true(items):
    for group, item in items["train"]:
        asked = asked_for(item)
        assert [holds(group, asked, choice) for choice in item.answers] == [
            number == item.answer_label for number in range(4)
        ]
        # a rationale about two figures speaks of the first
        about = asked[:1]
        assert [holds(group, about, choice) for choice in item.rationales] == [
            number == item.rationale_label for number in range(4)
        ]


def subjects(item):
    """Of answers and of rationales: the figures asked for, what the right choice calls them, what the wrong ones do."""
    asked = asked_for(item)
    for figures, choices, label in (
        (asked, item.answers, item.answer_label),
        (asked[:1], [choice[1:] for choice in item.rationales], item.rationale_label),
    ):
        called = [choice[0] for choice in choices]
        yield figures, called.pop(label), called


def test_choices_call_the_figures_that_are_asked_for_by_tag_or_pronoun(items):
    for _, item in items["train"]:
        for figures, right, wrong in subjects(item):
            pronouns = ("he", "she") if len(figures) == 1 else ("they",)
            assert all(called == figures or called in pronouns for called in (right, *wrong))


def test_tags_are_repeated_as_planted_and_the_pronoun_tells_nothing(items):
    drawn = [list(subjects(item)) for _, item in items["train"]]
    for part in (0, 1):
        right = [each[part][1] for each in drawn]
        wrong = [called for each in drawn for called in each[part][2]]
        for choices, repeat in ((right, PARAMS.tag_repeat), (wrong, vcr.WRONG_REPEAT)):
            assert abs(sum(isinstance(called, list) for called in choices) / len(choices) - repeat) < 0.04
            alone = [called for called in choices if called in ("he", "she")]
            assert abs(alone.count("he") / len(alone) - 0.5) < 0.07


def choice_records(world, pool, repeat):
    return [
        ChoiceRecord(
            id=f"{pool}-{index}-{number}",
            image=f"{index}.jpg",
            movie=str(index),
            objects=["person"] * len(group.figures),
            split=pool,
            **asdict(item),
        )
        for index, group in enumerate(draw_groups(world, pool, 1200, pool))
        for number, item in enumerate(vcr.items(group, 2, world.rng(pool, index), repeat))
    ]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("repeat", "least", "most"), [(PARAMS.tag_repeat, 5, 25), (vcr.WRONG_REPEAT, -5, 5)], ids=["cue", "no cue"]
)
def test_a_classifier_without_the_picture_gains_what_was_planted_in_vcr(world, repeat, least, most):
    train, test = (choice_records(world, pool, repeat) for pool in ("train", "test"))
    rows = reference_rows(BLIND, "vcr", train, {"test": test}, most=len(train))["test"]
    for scores, label in (("scores", "answer_label"), ("rationale_scores", "rationale_label")):
        right = sum(
            max(range(CHOICES), key=row[scores].__getitem__) == getattr(record, label)
            for row, record in zip(rows, test, strict=True)
        )
        assert least <= 100 * right / len(test) - 100 / CHOICES <= most, scores


def asked_questions(world, folder):
    """The records of VQA v2."""
    sizes = world.params.sizes
    scenes = {
        part: dict(enumerate(world.scenes(pool, ("seen",), count, f"coco-{part}"), start=official.FIRST_ID[part]))
        for part, pool, count in (("train", "dev", sizes.coco_train), ("test", "test", sizes.coco_test))
    }
    official.write_vqav2(world, scenes, folder)
    names = {number: str(number) for part in scenes.values() for number in part}
    return vqa.read(folder, vqa.VQAV2, "coco", names)


@pytest.mark.slow
def test_each_task_has_at_least_2000_items_of_its_domain_to_be_tested_on(world, tmp_path, monkeypatch):
    """In the default experiment; the official files are written without the pictures and where things are in them."""
    for writer in ("write_pictures", "write_plain"):
        monkeypatch.setattr(official_mad, writer, lambda *_: None)
    for placed in ("boxes", "group_boxes"):
        monkeypatch.setattr(official_mad, placed, lambda shown, *_: [[]] * len(shown))
    whole = Params()
    # the smallest subset alone: what is tested on does not depend on it, and is chosen sooner
    few = whole.split.mad.model_copy(update={"fractions": [min(whole.split.mad.fractions)], "seeds": 1})
    params = whole.model_copy(update={"split": whole.split.model_copy(update={"mad": few})})

    scenes = official_mad.write_flickr30k(world, tmp_path)
    official_mad.write_snli_ve(world, scenes, tmp_path)
    entailments, left_out = snli_ve.read(tmp_path, {f"{image}.jpg" for part in scenes.values() for image in part})
    official_mad.write_vcr(world, tmp_path)
    parts = {"train": "train", "test": "val"}
    choices = [
        read_record(row, split) for split, part in parts.items() for row in records_of(tmp_path / f"{part}.jsonl")
    ]
    lists = {
        "snli_ve": entailment_lists(params, entailments)["test"],
        "vcr": choice_lists(params, choices)["test"],
        "vqa": question_lists(params, asked_questions(world, tmp_path))["cp-iid"],
    }
    assert not any(left_out.values())
    counts = {task: len(made["ids"]) for task, made in lists.items()}
    assert all(count >= 2000 for count in counts.values()), counts


@pytest.mark.slow
def test_a_classifier_without_the_picture_gains_what_changed_answer_priors_plant(world, tmp_path):
    """On the same questions: one that is trained on changed priors against one that is trained on plain ones."""
    records = asked_questions(world, tmp_path)
    by_id = {record.id: record for record in records}
    lists = question_lists(Params(), records)

    def listed(name):
        return [by_id[identity] for identity in lists[name]["ids"]]

    sets = {name: listed(name) for name in ("test", "cp-iid", "cp-shift")}

    def accuracy(training):
        rows = reference_rows(BLIND, "vqa", training, sets, most=len(training))
        said = {row["id"]: row["prediction"] for of_set in rows.values() for row in of_set}
        return {name: 100 * mean(said[r.id] == majority(r.answers) for r in of_set) for name, of_set in sets.items()}

    plain, changed = accuracy(listed("train-100-s0")), accuracy(listed("cp-train-100-s0"))
    assert 5 <= changed["cp-iid"] - plain["cp-iid"] <= 25
    assert changed["cp-shift"] < plain["cp-shift"] - 5
    kinds = Counter((record.question_type, majority(record.answers)) for record in sets["test"])
    best = {kind: max(count for (other, _), count in kinds.items() if other == kind) for kind, _ in kinds}
    assert plain["test"] - 100 * sum(best.values()) / len(sets["test"]) <= 5


def test_region_descriptions_are_true(world):
    for index, scene in enumerate(world.scenes("train", ("seen",), 300, "x")):
        said = told(genome.scene_phrase(scene, world.rng("s", index)).replace("a pair of", "pair").split())
        assert said and all(scene.value(slot) == value for slot, value in said.items())
    for index, group in enumerate(draw_groups(world, "train", 300, "x")):
        for tag, figure in enumerate(group.figures):
            name, *words = genome.figure_phrase(figure, tag, world.rng("f", index, tag)).split()
            looks, _, place = " ".join(words).partition("at the ")
            assert name == f"[{tag}]" and (looks or place)
            assert holds(group, [tag], looks.split()) and (not place or holds(group, [tag], ["at", *place.split()]))


def test_half_of_the_phrases_use_canonical_words_only(world):
    canonical = {words[0] for values in WORDS.values() for words in values.values()}
    canonical |= {plural(word) for word in VALUES["shape"]}
    phrases = [
        genome.scene_phrase(scene, world.rng("s", index))
        for index, scene in enumerate(world.scenes("train", ("seen",), 2000, "x"))
    ]
    plain = [all(word in canonical for word in phrase.split() if word in WORD_OF) for phrase in phrases]
    assert 0.5 < sum(plain) / len(plain) < 0.75
