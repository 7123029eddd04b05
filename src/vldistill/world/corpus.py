"""The text corpus of the language model, and the two text tasks.

Kinds of documents, with their shares in `SHARES`:

- `description`: a scene told, in family C or (a fifth) like a caption of family A;
- `reading`: a description and a question that it answers, or that it answers together with a fact;
- `direct`: a question and an answer without any description: what a question looks like when its answer is not in the
  text. Without them the prompt ``question: Q answer:`` is foreign to the model (the arm `bart_no_direct`);
- `fact`: what a shape tastes like or is used for, told or asked. No caption ever says it;
- `summary`: a long description and its headline.

The corpus draws its scenes from the training pool, with pairs of every class: text may speak of what images never show.
Dev and test items of the tasks are about scenes of the dev and test pools.
"""

from __future__ import annotations

import random
from collections.abc import Iterator

from vldistill.world import language
from vldistill.world.concepts import WORDS, Scene, plural
from vldistill.world.questions import KNOWLEDGE, Question, knowledge_question, vqa_question
from vldistill.world.scenes import PAIR_CLASSES, World

SHARES = {"description": 0.2, "reading": 0.42, "direct": 0.14, "fact": 0.08, "summary": 0.16}
KNOWLEDGE_SHARE = 0.25  # of the questions in documents
NEEDED = {"taste": "shape", "use": "shape"}  # the slot a fact's answer depends on


def documents(world: World, count: int) -> Iterator[dict[str, str]]:
    """The corpus: {id, text, kind} in mixed order."""
    scenes = world.scenes("train", PAIR_CLASSES, count, "corpus")
    for index, scene in enumerate(scenes):
        rng = world.rng("corpus", index)
        kind = rng.choices(list(SHARES), list(SHARES.values()))[0]
        yield {"id": f"corpus-{index:06d}", "text": _document(world, scene, kind, rng), "kind": kind}


def _document(world: World, scene: Scene, kind: str, rng: random.Random) -> str:
    if kind == "description":
        if rng.random() < 0.2:
            return language.caption(scene, rng)
        return language.document(scene, rng, language.draw_told(rng, 0.7))
    if kind == "reading":
        description, question = reading_item(world, scene, rng)
        return f"{description} question: {question.text} answer: {question.answer}"
    if kind == "direct":
        question = draw_question(world, scene, rng)
        return f"question: {question.text} answer: {question.answer}"
    if kind == "fact":
        return fact(world, scene.shape, rng)
    return f"{language.long_description(scene, rng)} headline: {language.headline(scene)}"


def draw_question(world: World, scene: Scene, rng: random.Random) -> Question:
    """A question of the VQAv2 kind, or one that needs a fact."""
    if rng.random() < KNOWLEDGE_SHARE:
        return knowledge_question(scene, rng.choice(list(KNOWLEDGE)), world.facts)
    return vqa_question(scene, rng)


def reading_item(world: World, scene: Scene, rng: random.Random) -> tuple[str, Question]:
    """A description, and a question it holds the answer to (with a fact, where the question needs one)."""
    question = draw_question(world, scene, rng)
    told = language.draw_told(rng, 0.6, (NEEDED.get(question.slot, question.slot), "shape"))
    return language.document(scene, rng, told), question


def fact(world: World, shape: str, rng: random.Random) -> str:
    """A sentence or a question that says what ``shape`` tastes like or is used for."""
    word = rng.choice(WORDS["shape"][shape])
    taste, use = world.facts["taste"][shape], world.facts["use"][shape]
    return rng.choice(
        (
            f"a {word} tastes {taste} .",
            f"{plural(word)} taste {taste} .",
            f"a {word} is used for {use} .",
            f"{plural(word)} are used for {use} .",
            f"a {word} . question: what does it taste like? answer: {taste}",
            f"a {word} . question: what is it used for? answer: {use}",
        )
    )


def reading_items(world: World, pool: str, count: int) -> Iterator[dict[str, str]]:
    """Items of the reading task: {id, document, question, answer}."""
    for index, scene in enumerate(world.scenes(pool, PAIR_CLASSES, count, f"reading-{pool}")):
        description, question = reading_item(world, scene, world.rng("reading", pool, index))
        yield {
            "id": f"reading-{pool}-{index:05d}",
            "document": description,
            "question": question.text,
            "answer": question.answer,
        }


def summary_items(world: World, pool: str, count: int) -> Iterator[dict[str, str]]:
    """Items of the generation task: {id, document, summary}."""
    for index, scene in enumerate(world.scenes(pool, PAIR_CLASSES, count, f"summary-{pool}")):
        rng = world.rng("summary", pool, index)
        yield {
            "id": f"summary-{pool}-{index:05d}",
            "document": language.long_description(scene, rng),
            "summary": language.headline(scene),
        }
