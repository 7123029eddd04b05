"""Sentences, questions, annotators and documents."""

import random
import re
from collections import Counter, defaultdict

import pytest

from vldistill.params.world import World as WorldParams
from vldistill.world import corpus, language
from vldistill.world.concepts import FACTS, SLOTS, VALUES, WORDS, Scene
from vldistill.world.questions import (
    Balance,
    annotate,
    knowledge_question,
    open_question,
    vqa_questions,
    yes_no_question,
)
from vldistill.world.scenes import PAIR_CLASSES, World


@pytest.fixture(scope="module")
def world():
    return World(WorldParams())


@pytest.fixture(scope="module")
def scenes(world):
    return world.scenes("train", PAIR_CLASSES, 1500, "language")


def words_of(text):
    return set(re.findall(r"[a-z]+", text))


def said(scene, slot, text):
    forms = set(WORDS[slot][scene.value(slot)])
    if slot == "shape":
        forms |= {language.plural(form) for form in forms}
    if slot == "count":
        forms |= {"pair"} if scene.count == "two" else {"trio"} if scene.count == "three" else set()
    return bool(forms & words_of(text))


def test_no_two_values_share_a_word():
    every = [word for slot in SLOTS for words in WORDS[slot].values() for word in words]
    assert len(every) == len(set(every))


def test_captions_tell_the_truth_and_nothing_else(scenes):
    for index, scene in enumerate(scenes):
        for make in (language.caption, language.reference):
            text = make(scene, random.Random(index))
            for slot in SLOTS:
                others = {w for value in VALUES[slot] if value != scene.value(slot) for w in WORDS[slot][value]}
                assert not others & words_of(text), text
            assert all(said(scene, slot, text) for slot in ("count", "color", "shape")), text


def test_captions_are_partial(scenes):
    told = Counter(
        slot
        for index, scene in enumerate(scenes)
        for slot in SLOTS
        if said(scene, slot, language.caption(scene, random.Random(index)))
    )
    for slot in ("size", "tone", "pattern", "side"):
        assert 0.6 < told[slot] / len(scenes) < 0.8


def frame(text):
    """A sentence without the words for values: its template."""
    values = {word for slot in SLOTS for forms in WORDS[slot].values() for word in forms}
    values |= {language.plural(word) for forms in WORDS["shape"].values() for word in forms} | {
        "pair",
        "trio",
        "of",
        "a",
        "an",
    }
    return " ".join(word for word in text.split() if word not in values)


def test_references_share_no_template_with_captions_and_documents(world, scenes):
    rng = random.Random(0)
    references = {frame(language.reference(scene, rng)) for scene in scenes for _ in range(3)}
    captions = {frame(language.caption(scene, rng)) for scene in scenes for _ in range(3)}
    documents = {frame(document["text"]) for document in corpus.documents(world, 8000)}
    assert not references & captions
    assert not references & documents


def test_facts_occur_in_texts_only(world, scenes):
    facts = {value for values in FACTS.values() for value in values}
    rng = random.Random(0)
    for scene in scenes:
        text = language.caption(scene, rng) + " " + language.reference(scene, rng)
        assert not facts & words_of(text)
    in_corpus = {word for document in corpus.documents(world, 2000) for word in words_of(document["text"])}
    assert facts <= in_corpus


def test_the_corpus_is_small_in_words_and_short(world):
    documents = list(corpus.documents(world, 4000))
    vocabulary = {word for document in documents for word in words_of(document["text"])}
    assert len(vocabulary) < 250
    assert max(len(re.findall(r"\w+|[^\w\s]", document["text"])) for document in documents) <= 45
    shares = Counter(document["kind"] for document in documents)
    for kind, share in corpus.SHARES.items():
        assert shares[kind] / len(documents) == pytest.approx(share, abs=0.03)
    assert len({document["id"] for document in documents}) == len(documents)


def test_direct_documents_hold_no_description(world):
    direct = [document["text"] for document in corpus.documents(world, 3000) if document["kind"] == "direct"]
    assert direct
    assert all(re.fullmatch(r"question: [^?]+\? answer: \w+", text) for text in direct)


def answer_by_rule(world, document, question):
    """What a reader who knows words and facts answers from the document alone."""
    values = {
        slot: next((v for v in VALUES[slot] if WORDS[slot][v] and _mentions(slot, v, document)), None) for slot in SLOTS
    }
    for fact, cue in (("taste", "taste"), ("use", "used")):
        if cue in question:
            return world.facts[fact][values["shape"]]
    if question.startswith(("is ", "are ")):
        asked = words_of(question)
        slot, value = next((s, v) for s in SLOTS for v in VALUES[s] if v in asked)
        return "yes" if values[slot] == value else "no"
    cues = {"many": "count", "background": "pattern", "wall": "side", "kind": "shape", "type": "shape"}
    slot = (
        "tone"
        if "color of the background" in question
        else next((s for c, s in cues.items() if c in question), "color")
    )
    return values[slot]


def _mentions(slot, value, text):
    return said(Scene(*(value if s == slot else VALUES[s][0] for s in SLOTS)), slot, text)


def test_reading_questions_are_answerable_from_their_documents(world):
    for item in corpus.reading_items(world, "test", 1000):
        assert answer_by_rule(world, item["document"], item["question"]) == item["answer"], item


def test_tasks_and_corpus_speak_of_different_scenes(world):
    headlines = defaultdict(set)
    for pool in ("train", "test"):
        for item in corpus.summary_items(world, pool, 300):
            headlines[pool].add(item["document"])
    assert not headlines["train"] & headlines["test"]


def test_headlines_summarise_every_slot_they_name(world, scenes):
    for scene in scenes[:100]:
        text = language.headline(scene)
        assert all(said(scene, slot, text) for slot in ("count", "size", "color", "shape", "side"))


def test_questions_of_one_image_differ(scenes):
    for index, scene in enumerate(scenes[:200]):
        questions = vqa_questions(scene, 5, random.Random(index), Balance())
        assert len({question.text for question in questions}) == 5


def test_annotators_agree_mostly_and_write_digits(world, scenes):
    rng = random.Random(0)
    right = total = 0
    for scene in scenes[:300]:
        for question in (
            open_question(scene, "count", rng),
            open_question(scene, "color", rng),
            yes_no_question(scene, "shape", rng),
        ):
            answers = annotate(question, 10, 0.1, rng)
            assert len(answers) == 10
            truth = {"one": "1", "two": "2", "three": "3"}.get(question.answer, question.answer)
            right += answers.count(truth)
            total += 10
    assert 0.84 < right / total < 0.92
    assert not any(
        set(annotate(open_question(scene, "count", rng), 10, 0.1, rng)) - {"1", "2", "3"} for scene in scenes[:50]
    )


def test_annotators_without_disagreement_all_say_the_truth(world, scenes):
    question = knowledge_question(scenes[0], "taste", world.facts)
    assert set(annotate(question, 5, 0.0, random.Random(0))) == {world.facts["taste"][scenes[0].shape]}
