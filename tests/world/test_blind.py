"""Questions must not give their answers away: a trained classifier that sees no image stays at the majority."""

from collections import Counter, defaultdict
from itertools import pairwise

import numpy as np
import pytest

from vldistill.params.world import Sizes
from vldistill.params.world import World as WorldParams
from vldistill.records import okvqa, vqa
from vldistill.world import corpus, official
from vldistill.world.questions import Balance
from vldistill.world.scenes import World

MARGIN = 5.0  # points above the majority


@pytest.fixture(scope="module")
def questions(tmp_path_factory):
    """Questions as the readers give them: many more for the blind classifier's training than the default dev sets."""
    folder = tmp_path_factory.mktemp("blind")
    world = World(WorldParams(sizes=Sizes(coco_train=2500, okvqa_test=1000, questions=4)))
    scenes = {
        part: dict(enumerate(world.scenes(pool, ("seen",), count, f"coco-{part}"), start=official.FIRST_ID[part]))
        for part, pool, count in (("train", "dev", 2500), ("test", "test", 1000))
    }
    official.write_vqav2(world, scenes, folder / "vqav2")
    official.write_okvqa(world, scenes, folder / "okvqa")
    names = {number: str(number) for part in scenes.values() for number in part}
    return {
        "vqav2": vqa.read(folder / "vqav2", vqa.VQAV2, "coco", names),
        "okvqa": okvqa.read(folder / "okvqa", names),
    }


def features(texts):
    """Bags of words, word pairs and the whole question: [text, feature]."""
    bags = [{text, *(words := text.split()), *map(" ".join, pairwise(words))} for text in texts]
    names = {name: index for index, name in enumerate(sorted(set().union(*bags)))}
    matrix = np.zeros((len(texts), len(names)), np.float32)
    for row, bag in enumerate(bags):
        matrix[row, [names[name] for name in bag]] = 1
    return matrix


def blind_answers(train_texts, train_answers, test_texts):
    """Answers of a multinomial logistic regression on the question's n-grams.

    Equal questions are trained as one row with the spread of their answers as target: the same loss, far fewer rows.
    """
    import torch

    torch.manual_seed(0)
    texts, answers = sorted({*train_texts, *test_texts}), sorted(set(train_answers))
    counts = torch.zeros(len(texts), len(answers))
    for text, answer in zip(train_texts, train_answers, strict=True):
        counts[texts.index(text), answers.index(answer)] += 1
    inputs = torch.from_numpy(features(texts)).to_sparse()
    model = torch.nn.Linear(inputs.shape[1], len(answers))
    optimiser = torch.optim.Adam(model.parameters(), lr=0.1, weight_decay=1e-5)

    def scores():
        return torch.sparse.mm(inputs, model.weight.T) + model.bias

    for _ in range(300):
        optimiser.zero_grad()
        (-(counts * scores().log_softmax(dim=1)).sum() / counts.sum()).backward()
        optimiser.step()
    with torch.no_grad():
        best = scores().argmax(dim=1)
    return [answers[best[texts.index(text)]] for text in test_texts]


def most_common(record):
    return Counter(record.answers).most_common(1)[0][0]


def accuracies(records):
    """Question type -> (accuracy of the blind classifier, accuracy of the majority answer of the type, items)."""
    train = [record for record in records if record.split == "dev"]
    test = [record for record in records if record.split == "test"]
    guesses = blind_answers([r.question for r in train], [most_common(r) for r in train], [r.question for r in test])
    by_type = defaultdict(list)
    for record, guess in zip(test, guesses, strict=True):
        by_type[record.question_type].append((most_common(record), guess))
    return {
        kind: (
            100 * np.mean([truth == guess for truth, guess in pairs]),
            100 * Counter(truth for truth, _ in pairs).most_common(1)[0][1] / len(pairs),
            len(pairs),
        )
        for kind, pairs in by_type.items()
    }


@pytest.mark.parametrize("task", ["vqav2", "okvqa"])
def test_a_blind_classifier_is_at_the_majority_on_every_question_type(questions, task):
    result = accuracies(questions[task])
    assert all(count >= 50 for _, _, count in result.values())
    too_good = {kind: figures for kind, figures in result.items() if figures[0] > figures[1] + MARGIN}
    assert not too_good, result


def test_the_blind_classifier_finds_a_planted_cue(questions):
    """The test above can fail: with the answer's first letter in the question, the classifier is far above majority."""
    from dataclasses import replace

    leaky = [replace(r, question=f"{r.question} {most_common(r)[0]}") for r in questions["vqav2"]]
    figures = accuracies(leaky)
    assert all(blind > majority + MARGIN for blind, majority, _ in figures.values())


def test_yes_and_no_are_balanced_for_every_wording(questions):
    counts = defaultdict(Counter)
    for record in questions["vqav2"]:
        if record.answer_type == "yes/no":
            counts[record.split, record.question][most_common(record)] += 1
    for wording, count in counts.items():
        # annotators may turn a few answers round
        assert abs(count["yes"] - count["no"]) <= Balance.SLACK + 4, (wording, count)


def test_no_question_type_mixes_slots_with_different_answers(questions):
    answers = defaultdict(lambda: defaultdict(set))
    for record in questions["vqav2"]:
        answers[record.question_type][record.question].add(most_common(record))
    for kind, by_wording in answers.items():
        sets = {frozenset(found) for found in by_wording.values()}
        assert len(sets) == 1, (kind, sets)


def test_the_reading_task_needs_its_document():
    world = World(WorldParams())
    train, test = (list(corpus.reading_items(world, pool, count)) for pool, count in (("train", 6000), ("test", 1000)))
    guesses = blind_answers([i["question"] for i in train], [i["answer"] for i in train], [i["question"] for i in test])
    right = np.mean([item["answer"] == guess for item, guess in zip(test, guesses, strict=True)])
    seen = defaultdict(Counter)
    for item in train:
        seen[item["question"]][item["answer"]] += 1
    majority = {question: count.most_common(1)[0][0] for question, count in seen.items()}
    prior = np.mean([item["answer"] == majority.get(item["question"]) for item in test])
    assert 100 * right <= 100 * prior + MARGIN
    assert right < 0.5
