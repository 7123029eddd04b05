"""Items, picks, maps, out-of-fold confidence and adaptation, each by itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional

from vldistill.cells import MadCell
from vldistill.distill.mad.adapt import Adapter, adapted, contrastive_loss, fitted_adapter
from vldistill.distill.mad.confidence import fold_of, out_of_fold
from vldistill.distill.mad.data import held_groups
from vldistill.distill.mad.inputs import Inputs
from vldistill.distill.mad.items import ANSWERS, RATIONALES, Items, choice_items, joined, question_items
from vldistill.distill.mad.projections import places_of, ridge
from vldistill.distill.mad.targets import Picks, Vectors, content_words, of_parts, pick
from vldistill.distill.mad.visual_inputs import StoredRegions
from vldistill.features.sentences import SEGMENT, Wording
from vldistill.models.student.tokens import learn_vocabulary
from vldistill.params.mad_parts import Adaptation, TeacherHead
from vldistill.records import LABELS, ChoiceRecord, EntailmentRecord, QuestionRecord
from vldistill.split import low_shot_name

CHOICE = ChoiceRecord(
    id="q0", image="a.png", movie="film", objects=["person", "dog"], question=["who", "is", [1], "?"],
    answers=[["it", "is", [0]], ["a", "red", "one"], [[0, 1], "run"], ["no"]], answer_label=1,
    rationales=[["because", word] for word in "abcd"], rationale_label=3, split="train",
)  # fmt: skip


class Words:
    """A store of texts whose vectors are given; every other text has the first one's."""

    kinds: ClassVar = {"text": [2]}

    def __init__(self, vectors: dict[str, list[float]]) -> None:
        from vldistill.features.store import sentence_key

        self.vectors = {sentence_key(text): vector for text, vector in vectors.items()}
        self.other = next(iter(vectors.values()))

    def get(self, kind: str, keys: Sequence[str], *, dtype: Any) -> np.ndarray:
        return np.asarray([self.vectors.get(key, self.other) for key in keys], dtype=dtype)


def entailments(count: int, classes: int = 3) -> Items:
    return Items(
        task="snli_ve",
        ids=[str(at) for at in range(count)],
        groups=[f"{at // 2}.png" for at in range(count)],
        images=[f"{at // 2}.png" for at in range(count)],
        texts=[["x"]] * count,
        teacher_texts=[f"text {at}" for at in range(count)],
        choices=1,
        targets=torch.arange(count) % classes,
        objects=[()] * count,
    )


def seen(texts: list[list[str]], images: list[int], mask: Tensor, choices: int = 1) -> Inputs:
    tokenizer = learn_vocabulary([" ".join(text) for text in texts], [], 500, ["[0]", "[1]"])
    tokens = tokenizer.encode(texts, longest=30, segment_types=(0,))
    visual = StoredRegions(torch.zeros(*mask.shape, 1), torch.zeros(*mask.shape, 7), mask, torch.zeros(mask.shape))
    keys = [str(at) for at in range(len(mask))]
    boxes = torch.zeros(*mask.shape, 4)
    return Inputs(tokens, boxes, mask, torch.tensor(images), choices, keys, left_out=0, visual=visual)


def all_regions(images: int, count: int) -> Tensor:
    return torch.ones(images, count, dtype=torch.bool)


def test_vcr_texts_for_student_and_teacher() -> None:
    answers, reasons = choice_items([CHOICE], ANSWERS), choice_items([CHOICE], RATIONALES, Wording("it"))
    assert answers.texts[0] == ["who is [1] ?", "it is [0]"] and answers.texts[2][1] == "[0] and [1] run"
    assert answers.teacher_texts[0] == "it is person" and answers.targets.tolist() == [1]
    assert reasons.texts[3] == ["who is [1] ?", "a red one", "because d"] and reasons.targets.tolist() == [3]
    both = joined(answers, reasons)
    assert len(both) == 2 and len(both.texts) == 8 and both.groups == ["film"] * 2
    assert both.take([1]).texts == reasons.texts and both.objects == [tuple(CHOICE.objects)] * 2
    assert choice_items([replace(CHOICE, answer_label=None)], ANSWERS).targets.tolist() == [-1]
    assert choice_items([CHOICE], ANSWERS, Wording("it")).teacher_texts[2] == "it and it run"


def test_teachers_read_the_question_where_it_is_asked_for() -> None:
    whole = Wording(vcr_text="question_choice")
    answers, reasons = choice_items([CHOICE], ANSWERS, whole), choice_items([CHOICE], RATIONALES, whole)
    assert answers.texts == choice_items([CHOICE], ANSWERS).texts, "the student reads the same in any case"
    assert answers.teacher_texts[0].split(SEGMENT) == ["who is dog ?", "it is person"]
    assert reasons.teacher_texts[3].split(SEGMENT) == ["who is dog ?", "a red one", "because d"]


def test_vqa_targets_are_soft() -> None:
    record = QuestionRecord(
        "1", "a.png", "coco", "what?", ["Two"] * 5 + ["2"] + ["a cat"] * 2 + ["x", "y"], "o", "w", "dev"
    )
    fewer = replace(record, answers=["a cat"] * 2 + ["x"] * 3)
    targets = question_items([record, fewer], ["cat", "none", "2", "x"]).targets[torch.arange(2)]
    # the official accuracy, each annotator held against the others; of five annotators it is no 0.3 a vote
    assert targets[0].tolist() == pytest.approx([0.6, 0.0, 1.0, 0.3])
    assert targets[1].tolist() == pytest.approx([(2 * 1 + 3 * 2) / 15, 0.0, 0.0, (3 * 2 + 2 * 3) / 15])
    assert question_items([record], []).targets.shape == (1, 0)


def test_content_words_are_those_of_the_judged_segment() -> None:
    assert content_words(["what does [1] look like ?", "the red [0] is a ball ."]) == [(7, "red"), (11, "ball")]
    assert content_words(["it is not"]) == [(0, "it"), (1, "is"), (2, "not")]
    assert content_words(["[0]"]) == []
    asked = ["what does [1] look like ?", "the red [0] is a ball ."]
    assert content_words(asked, 2) == [(3, "look"), (4, "like"), (7, "red"), (11, "ball")]
    assert content_words(asked, 1) == content_words(asked)
    assert content_words(["[1] and [²]"]) == [(2, "[²]")], "a tag holds a decimal number"


WORDS = Words({"red": [1.0, 0.0], "cone": [0.0, 1.0], "blue": [0.8, 0.6]})


def picture_of(texts: list[list[str]]) -> tuple[Items, Inputs, Vectors]:
    """Three texts, the first and last on an image that is all red, the second on one that is all cone."""
    mask = all_regions(2, 3)
    mask[1, 2] = False
    inputs = seen(texts, [0, 1, 0], mask)
    vectors = Vectors(
        image=torch.tensor([[1.0, 0.0], [0.0, 1.0]]),
        regions=functional.normalize(torch.tensor([[[1.0, 0], [0, 1], [1, 1]], [[1, 0], [0, 1], [5, 9]]]), dim=-1),
        text=torch.tensor([[0.0, 1.0], [0.0, 1.0], [1.0, 0.0]]),
        language_model=None,
    )
    items = Items(
        "snli_ve", list("abc"), list("abc"), list("aba"), texts, ["x"] * 3, 1, torch.zeros(3).long(), [()] * 3
    )
    return items, inputs, vectors


def test_the_best_the_worst_and_any_word_and_region() -> None:
    items, inputs, vectors = picture_of([["the red cone"], ["a blue cone"], ["[0]"]])

    def picked(how: Any, seed: int = 0) -> tuple[list[int], list[int]]:
        found = pick(items, inputs, vectors, WORDS, how, np.random.default_rng(seed))  # type: ignore[arg-type]
        assert found.token.shape == (3, 1)
        return found.token[:, 0].tolist(), found.region.tolist()

    # places among the text states, [CLS] not counted; the padded region is never picked
    assert picked("selected") == ([1, 2, 0], [1, 1, 0])
    assert picked("argmin") == ([2, 1, 0], [0, 0, 1])
    draws = [picked("random", seed) for seed in range(20)]
    assert {draw[0][0] for draw in draws} == {1, 2} and {draw[1][1] for draw in draws} == {0, 1}
    assert picked("random", 3) == picked("random", 3)
    best = pick(items, inputs, vectors, WORDS, "selected", np.random.default_rng(0))  # type: ignore[arg-type]
    assert best.words == ["red", "cone", "a"]


def test_a_word_of_the_question_is_chosen_where_the_teacher_reads_it() -> None:
    items, inputs, vectors = picture_of([["the red cone", "blue"], ["red", "a blue cone"], ["cone", "[0]"]])

    def picked(judged: list[str]) -> tuple[list[str], list[int]]:
        asked = replace(items, teacher_texts=judged)
        found = pick(asked, inputs, vectors, WORDS, "selected", np.random.default_rng(0))  # type: ignore[arg-type]
        return found.words, found.token[:, 0].tolist()

    # the second segment begins behind a [SEP]
    assert picked(["blue", "a blue cone", "x"]) == (["blue", "cone", "a"], [4, 4, 0])
    both = [f"the red cone{SEGMENT}blue", f"red{SEGMENT}a blue cone", f"cone{SEGMENT}dog"]
    assert picked(both) == (["red", "cone", "cone"], [1, 4, 0])


def test_several_words_stand_best_first_and_the_best_is_repeated_where_there_are_fewer() -> None:
    items, inputs, vectors = picture_of([["the red cone blue"], ["a blue cone"], ["[0]"]])

    def picked(how: Any, most: int, seed: int = 0) -> Picks:
        return pick(items, inputs, vectors, WORDS, how, np.random.default_rng(seed), most)  # type: ignore[arg-type]

    found = picked("selected", 2)
    assert found.token.tolist() == [[1, 3], [2, 1], [0, 0]]
    assert found.words == ["red", "blue", "cone", "blue", "a", "a"]
    assert picked("selected", 4).token.tolist() == [[1, 3, 2, 1], [2, 1, 2, 2], [0, 0, 0, 0]]
    assert picked("argmin", 2).token.tolist() == [[2, 3], [1, 2], [0, 0]]
    # the first is what is chosen alone, and the region is one in any case
    for how in ("selected", "argmin", "random"):
        one, three = picked(how, 1), picked(how, 3)
        assert torch.equal(one.token[:, 0], three.token[:, 0]) and torch.equal(one.region, three.region)
        assert one.words == three.words[::3]
    draws = [picked("random", 3, seed).token.tolist() for seed in range(20)]
    assert all(sorted(draw[0]) == [1, 2, 3] and draw[1][2] == draw[1][0] != draw[1][1] for draw in draws)
    assert len({tuple(draw[0]) for draw in draws}) > 3


def test_of_equal_words_the_first_comes_first() -> None:
    items, inputs, vectors = picture_of([["cone red red"], ["red cone cone"], ["red red red"]])
    found = pick(items, inputs, vectors, WORDS, "selected", np.random.default_rng(0), 3)  # type: ignore[arg-type]
    assert found.token.tolist() == [[1, 2, 0], [1, 2, 0], [0, 1, 2]]


def test_several_words_are_taught_by_a_vector_each() -> None:
    items, inputs, vectors = picture_of([["the red cone blue"], ["a blue cone"], ["[0]"]])
    found = pick(items, inputs, vectors, WORDS, "selected", np.random.default_rng(0), 2)  # type: ignore[arg-type]
    parts = of_parts(found, vectors, inputs, WORDS, WORDS)  # type: ignore[arg-type]
    everything = torch.arange(3)
    red, cone, blue = [1.0, 0.0], [0.0, 1.0], [0.8, 0.6]
    expected = torch.tensor([[red, blue], [cone, blue], [red, red]])
    for teacher in ("clip_text", "language_model"):
        torch.testing.assert_close(parts[teacher][everything], expected, rtol=0, atol=1e-3)
    assert parts["clip_image"][everything].shape == (3, 2)
    assert set(of_parts(found, vectors, inputs, WORDS, None)) == {"clip_image", "clip_text"}  # type: ignore[arg-type]


def test_ridge_finds_the_map() -> None:
    generator = torch.Generator().manual_seed(0)
    inputs, true = torch.randn(400, 5, generator=generator), torch.randn(6, 3, generator=generator)
    found = ridge(inputs, inputs @ true[:-1] + true[-1], 1e-8)
    torch.testing.assert_close(found, true, rtol=1e-4, atol=1e-4)
    assert ridge(inputs, inputs @ true[:-1], 10.0).abs().max() < 0.3


def test_places_of_targets() -> None:
    assert places_of("clip_text", "selected") == ("token",) and places_of("clip_image", "random") == ("region",)
    assert places_of("language_model", "both") == ("cls", "token") and places_of("clip_image", "cls") == ("cls",)


def test_no_head_judges_an_image_it_saw() -> None:
    items, options = entailments(40), TeacherHead(folds=4, steps=20, hidden=4)
    folds = fold_of(items, 4, seed=1)
    assert {len(set(folds[at : at + 2].tolist())) for at in range(0, 40, 2)} == {1}
    assert sorted(torch.bincount(folds).tolist()) == [10, 10, 10, 10]
    features = torch.randn(40, 6, generator=torch.Generator().manual_seed(0))
    before = out_of_fold(features, items, options, seed=1)
    # another label of one item moves the judgement of other folds' items, never that of its own fold's
    changed = replace(items, targets=items.targets.clone())
    changed.targets[0] = (changed.targets[0] + 1) % 3
    after = out_of_fold(features, changed, options, seed=1)
    own = folds == folds[0]
    assert torch.equal(before[own][1:], after[own][1:]) and not torch.equal(before[~own], after[~own])


def test_heads_know_what_can_be_known_and_draw_nothing_from_others() -> None:
    items = entailments(300)
    features = functional.one_hot(items.targets, 3).float() + 0.1 * torch.randn(300, 3)
    state = torch.get_rng_state()
    found = out_of_fold(features, items, TeacherHead(steps=100, hidden=8), seed=0)
    assert torch.equal(state, torch.get_rng_state())
    assert found.mean() > 0.9
    alone = out_of_fold(features[:2], items.take([0, 1]), TeacherHead(steps=2), seed=0)
    assert alone.tolist() == pytest.approx([1 / 3, 1 / 3])


def test_adaptation_begins_at_the_teacher_and_learns_the_subset() -> None:
    items = entailments(60)
    inputs = seen(items.texts, [at // 2 for at in range(60)], all_regions(30, 2))
    draw = torch.Generator().manual_seed(0)
    image, text = (functional.normalize(torch.randn(n, 8, generator=draw), dim=-1) for n in (30, 60))
    vectors = Vectors(image, image[:, None].expand(-1, 2, -1), text, None)
    target = {"clip_image": image, "clip_text": text, "language_model": text}
    same = adapted(fitted_adapter(vectors, items, inputs, Adaptation(steps=0), seed=0), target)
    torch.testing.assert_close(same, target)

    def loss(of: Vectors) -> float:
        everything = torch.arange(60)
        return contrastive_loss(Adapter(8), of, items, inputs, everything, everything, 20.0).item()

    adapter = fitted_adapter(vectors, items, inputs, Adaptation(steps=60, learning_rate=0.01), seed=0)
    moved = adapted(adapter, target)
    assert loss(replace(vectors, image=moved["clip_image"], text=moved["clip_text"])) < 0.7 * loss(vectors)
    assert torch.equal(moved["language_model"], text)
    # parts, too: several words of a text stand in one row
    words = adapted(adapter, {"clip_text": text.view(30, 2, 8)})
    torch.testing.assert_close(words["clip_text"], moved["clip_text"].view(30, 2, 8))


def of_task(task: str, count: int, choices: int = 1) -> tuple[Items, Inputs, Vectors]:
    """Random unit vectors of ``count`` items, each about an image of its own."""
    texts = [["x"]] * (count * choices)
    items = replace(
        entailments(count), task=task, texts=texts, choices=choices, teacher_texts=[str(at) for at in range(len(texts))]
    )
    inputs = seen(texts, list(range(count)), all_regions(count, 2), choices)
    draw = torch.Generator().manual_seed(0)
    image, text = (functional.normalize(torch.randn(n, 8, generator=draw), dim=-1) for n in (count, len(texts)))
    return items, inputs, Vectors(image, image[:, None].expand(-1, 2, -1), text, None)


def adaptation_loss(vectors: Vectors, items: Items, inputs: Inputs, chosen: list[int]) -> Tensor:
    """L before the adapter has learnt anything, s = 20."""
    rows = torch.arange(len(items) * items.choices)
    return contrastive_loss(Adapter(8), vectors, items, inputs, torch.tensor(chosen), rows, 20.0)


def test_hard_negatives_of_an_item_are_its_contradiction_or_its_wrong_choices() -> None:
    items, inputs, vectors = of_task("vcr", 3, choices=4)
    text = vectors.text.requires_grad_()
    cosines = torch.einsum("bd,bcd->bc", vectors.image, text.view(3, 4, 8))
    # of one item alone, there are no other pairs to be held against
    loss = adaptation_loss(vectors, items, inputs, [1])
    torch.testing.assert_close(loss, functional.cross_entropy(20 * cosines[1:2], items.targets[1:2]))
    loss.backward()
    assert text.grad is not None
    # a step down moves the right choice to the image, and each wrong one away from it
    towards = -(text.grad.view(3, 4, 8) * vectors.image[:, None]).sum(dim=-1)
    assert [value > 0 for value in towards[1].tolist()] == [at == items.targets[1] for at in range(4)]
    assert (towards[1] != 0).all() and not towards[[0, 2]].any()

    items, inputs, vectors = of_task("snli_ve", 3)
    text = vectors.text.requires_grad_()
    for row, label in enumerate(items.targets.tolist()):
        text.grad = None
        loss = adaptation_loss(vectors, items, inputs, [row])
        if LABELS[label] == "neutral":
            assert not loss.requires_grad and loss == 0
            continue
        true = torch.tensor(float(LABELS[label] == "entailment"))
        logit = 20 * (vectors.image[row] * text[row]).sum()
        torch.testing.assert_close(loss, functional.binary_cross_entropy_with_logits(logit, true))
        loss.backward()
        assert text.grad is not None
        assert (-(text.grad[row] * vectors.image[row]).sum() > 0) == bool(true)


@pytest.mark.parametrize(("task", "choices"), [("vcr", 4), ("vqa", 1)])
def test_true_pairs_of_several_items_are_held_against_each_other(task: str, choices: int) -> None:
    items, inputs, vectors = of_task(task, 5, choices)
    place = items.targets if task == "vcr" else torch.zeros(5, dtype=torch.long)
    texts = vectors.text.view(5, choices, 8)
    logits = 20 * vectors.image @ texts[torch.arange(5), place].T
    own = torch.arange(5)
    expected = 0.5 * (functional.cross_entropy(logits, own) + functional.cross_entropy(logits.T, own))
    if task == "vcr":
        expected = expected + functional.cross_entropy(20 * torch.einsum("bd,bcd->bc", vectors.image, texts), place)
    torch.testing.assert_close(adaptation_loss(vectors, items, inputs, list(range(5))), expected)


def test_adaptation_learns_vcrs_right_choices() -> None:
    items, inputs, vectors = of_task("vcr", 40, choices=4)

    def right(image: Tensor, text: Tensor) -> float:
        found = torch.einsum("bd,bcd->bc", image, text.view(40, 4, 8)).argmax(dim=1)
        return (found == items.targets).float().mean().item()

    adapter = fitted_adapter(vectors, items, inputs, Adaptation(steps=100, learning_rate=0.01), seed=0)
    with torch.no_grad():
        after = right(adapter.images(vectors.image), adapter.texts(vectors.text))
    assert after > right(vectors.image, vectors.text) + 0.2


def test_holdout_takes_whole_groups() -> None:
    records = [EntailmentRecord(str(at), f"{at // 3}.png", "x", "neutral", "train") for at in range(30)]
    held = held_groups("snli_ve", records, 0.25, seed=0)
    assert len(held) == 3 and held != held_groups("snli_ve", records, 0.25, seed=1)
    assert held_groups("snli_ve", records, 0.0, seed=0) == set()


def test_names_of_subsets_are_those_of_the_split_stage() -> None:
    assert MadCell("vcr", 10, "mad", 2).subset("changed") == low_shot_name(10, 2)
    assert MadCell("vqa", 25, "mad", 0).subset("changed") == low_shot_name(25, 0, "cp-train")
    assert MadCell("vqa", 25, "mad", 0).subset("official") == low_shot_name(25, 0)
