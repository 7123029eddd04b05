"""The words and the region that the gallery marks are those that training would choose, and are on the page."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from tests.report.mad import factory
from vldistill import layout
from vldistill.cells import MadCell
from vldistill.distill.mad.data import boxes_of, make_items, store_of
from vldistill.distill.mad.inputs import Pictures, make_inputs
from vldistill.distill.mad.targets import teacher_vectors
from vldistill.distill.mad.teaching import _picks
from vldistill.evaluate.items import Item
from vldistill.evaluate.mad.data import READERS
from vldistill.features.sentences import Wording, bare
from vldistill.models.student import SingleStream
from vldistill.params import Params
from vldistill.params.mad_grid import TASKS, Task
from vldistill.params.mad_parts import Confidence
from vldistill.records import ChoiceRecord
from vldistill.report.mad import gallery
from vldistill.report.mad.choice import choices, weight_of
from vldistill.report.mad.drawing import NUMBERED, SIDE, Box, Drawing, Label, draw
from vldistill.report.mad.found import Found, read
from vldistill.report.mad.part import _gallery_sentence


@pytest.fixture(scope="module")
def found(both: Path, both_params: Params) -> Found:
    made = read(both_params, both)
    assert made is not None
    return made


def with_tokens(params: Params, tokens: int) -> Params:
    tree = params.model_dump()
    tree["distill"]["mad"]["tokens"] = tokens
    return Params.model_validate(tree)


def of_task(shown: dict[str, list[gallery.Example]], task: Task) -> Iterator[gallery.Example]:
    for title, examples in shown.items():
        if title.startswith({"snli_ve": "SNLI-VE", "vcr": "VCR", "vqa": "VQA"}[task]):
            yield from examples


def trained(params: Params, root: Path, task: Task, ids: list[str]) -> dict[str, tuple[list[str], int]]:
    """What training would pick of the items: words, best first, and the region, of the text that the gallery shows."""
    records, images = factory.SETS[task]
    by_id = {record.id: record for record in READERS[task](layout.download(root, records))}
    items = make_items(task, [by_id[key] for key in ids], ["crimson"], Wording.of(params.features))
    pictures = Pictures(
        layout.download(root, images),
        store_of(layout.features(root, "clip", images)),
        boxes_of(layout.download(root, images)),
    )
    seen = make_inputs(items, factory.student(), pictures)
    texts = store_of(layout.features(root, "clip", layout.TEXTS))
    vectors = teacher_vectors(items, seen, pictures.features, texts, None)
    options = params.distill.mad.options_of("mad", task, 10)
    picks = _picks(items, seen, vectors, texts, options, 0)
    assert picks is not None
    most = options.tokens
    rows = {
        key: at * items.choices + (factory.labels(factory._place(key))["answer_label"] if task == "vcr" else 0)
        for at, key in enumerate(ids)
    }
    return {
        key: (list(dict.fromkeys(picks.words[row * most : (row + 1) * most])), int(picks.region[row]))
        for key, row in rows.items()
    }


@pytest.mark.parametrize("tokens", [None, 1, 3])
def test_the_choice_is_that_of_training(tokens: int | None, both: Path, both_params: Params, found: Found) -> None:
    params = both_params if tokens is None else with_tokens(both_params, tokens)
    shown = gallery.galleries(params, both, found)
    for task in TASKS:
        examples = list(of_task(shown, task))
        most = params.distill.mad.options_of("mad", task, 10).tokens
        picked = trained(params, both, task, [example.key for example in examples])
        for example in examples:
            words, region = picked[example.key]
            chosen = [word for word in example.words if word.chosen]
            ranked = sorted(chosen, key=lambda word: -(word.weight or 0.0))
            assert [bare(word.text) for word in ranked] == words
            assert example.boxes[region] == example.region
            # and it is what the page says it is: the nearest of all
            weighed = [word for word in example.words if word.weight is not None]
            assert len(chosen) == min(most, len(weighed))
            assert min(word.weight or 0.0 for word in chosen) >= max(
                (word.weight for word in weighed if word.weight is not None and not word.chosen), default=-1.0
            )
            assert example.region.weight == max(box.weight for box in example.boxes)


def test_the_words_shown_are_those_that_the_teacher_reads() -> None:
    choices = [["it", "is", [0]], ["no"], ["no"], ["no"]]
    record = ChoiceRecord("c", "x.png", "film", ["person"], ["who", "is", [0], "?"], choices, 0, choices, 0, "test")
    said = Item({"answer": 1}, {"answer": 0}, {}, "film")
    alone, whole = (
        gallery._choice_question(record, said, said, vcr_text) for vcr_text in ("choice", "question_choice")
    )
    assert (alone.question, alone.words) == ("who is person ?", ["it", "is", "person"])
    assert (whole.question, whole.words) == ("", ["who", "is", "person", "?", "it", "is", "person"])


def test_the_page_says_how_many_words_without_a_number(both: Path, both_params: Params, found: Found) -> None:
    shown = gallery.galleries(both_params, both, found)
    told = {_gallery_sentence(with_tokens(both_params, tokens), found, shown) for tokens in (1, 2, 5)}
    assert len(told) == 1 and "distill.mad.tokens" in told.pop()


def test_a_word_that_was_cut_is_neither_weighed_nor_chosen(
    both: Path, both_params: Params, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in training: it has no token."""
    record = next(record for record in READERS["snli_ve"](layout.download(both, "snli_ve")))
    boxes = boxes_of(layout.download(both, "flickr30k"))
    cell = MadCell("snli_ve", 10, "mad", 0)
    (whole,) = choices(both_params, both, cell, [record], boxes)
    monkeypatch.setattr(SingleStream, "positions", 6)
    (cut,) = choices(both_params, both, cell, [record], boxes)
    # [CLS], four words, [SEP]
    assert cut.words == pytest.approx({number: weight for number, weight in whole.words.items() if number < 4})
    assert cut.words.keys() < whole.words.keys() and set(cut.chosen) <= cut.words.keys()


def articles(root: Path) -> list[ElementTree.Element]:
    html = (layout.report(root) / "index.html").read_text(encoding="utf-8")
    found = re.findall(r'<article class="item example">.*?</article>', html, flags=re.DOTALL)
    return [ElementTree.fromstring(article.replace("&thinsp;", " ")) for article in found]


def of_class(element: ElementTree.Element, tag: str, css: str) -> list[ElementTree.Element]:
    return [one for one in element.iter(tag) if one.get("class") == css]


def test_the_weights_are_drawn_on_the_picture_and_stand_at_the_words(
    both: Path, both_params: Params, found: Found
) -> None:
    shown = [one for examples in gallery.galleries(both_params, both, found).values() for one in examples]
    drawn = articles(both)
    for article, example in zip(drawn, shown, strict=True):
        assert of_class(article, "p", "key")[0].text == example.key
        picture = article.find("svg")
        assert picture is not None and example.region is not None
        (frame,) = of_class(picture, "g", "region chosen")
        (number,) = of_class(picture, "g", "number chosen")
        assert [text.text for text in number.iter("text")] == [printed(example.region.weight)]
        assert frame.findtext("title") == f"{example.region.name}: {printed(example.region.weight)}"
        # every other region has a frame; its number is there or in its title
        others = [box for box in example.boxes[1:] if not box.chosen]
        titles = {one.findtext("title") for one in of_class(picture, "g", "region")}
        assert titles == {f"{box.name}: {printed(box.weight)}" for box in others}
        numbers = [one.findtext("text") for one in of_class(picture, "g", "number")]
        assert set(numbers) <= {printed(box.weight) for box in others}
        marked = [(span.text, span.findtext("sub")) for span in of_class(article, "span", "chosen")]
        assert marked == [(word.text, printed(word.weight or 0.0)) for word in example.words if word.chosen]
    assert any(of_class(article, "g", "number") for article in drawn), "numbers of other regions, too"


def printed(weight: float) -> str:
    return f"{weight:.2f}".replace("-", "\u2212")


def test_the_weight_by_confidence_is_that_of_training(both: Path, both_params: Params, found: Found) -> None:
    shown = gallery.galleries(both_params, both, found)
    for example in of_task(shown, "snli_ve"):
        teacher, student = example.said[2].chance, example.said[0].chance
        assert teacher and student
        assert example.confidence == pytest.approx(teacher / student)
    assert all(example.confidence is None for example in of_task(shown, "vqa")), "no p of the right answer on file"
    told = [dict(zip(*terms(article), strict=True)) for article in articles(both)]
    assert {one.get("weight") for one in told} == {"1.00", None}


def terms(article: ElementTree.Element) -> tuple[list[str | None], list[str | None]]:
    return [one.text for one in article.iter("dt")], [one.text for one in article.iter("dd")]


@pytest.mark.parametrize(
    ("options", "weight"),
    [
        ({"kind": "ratio", "most": 2.0}, 2.0),
        ({"kind": "ratio", "most": 9.0}, 4.0),
        ({"kind": "p"}, 0.8),
        ({"kind": "indicator"}, 1.0),
        ({"kind": "constant"}, None),
        ({"kind": "equal_mean"}, None),
        ({"kind": "ratio", "normalise": True}, None),
    ],
)
def test_the_weight_follows_the_variant(options: dict[str, Any], weight: float | None) -> None:
    found = weight_of(0.8, 0.2, Confidence.model_validate(options))
    assert found is None if weight is None else found == pytest.approx(weight)


def labels(drawing: Drawing) -> list[Label]:
    frames = [*drawing.frames, *([drawing.chosen] if drawing.chosen else [])]
    return [frame.label for frame in frames if frame.label]


def region(x: float, y: float, width: float, height: float, weight: float, *, chosen: bool = False) -> Box:
    return Box(x, y, width, height, "thing", weight, chosen)


@pytest.mark.parametrize(
    "chosen", [(0, 0, 640, 480), (300, 200, 90, 70), (0, 0, 50, 20), (630, 470, 10, 10), (0, 0, 20, 480)]
)
def test_numbers_lie_in_the_picture_and_not_on_each_other(chosen: tuple[float, float, float, float]) -> None:
    crowd = [region(7 * at, 5 * at, 200 + at, 150, 0.01 * at) for at in range(36)]
    boxes = [region(0, 0, 640, 480, 0.2), *crowd, region(*chosen, 0.9, chosen=True)]
    drawing = draw(640, 480, boxes)
    assert (drawing.width, drawing.height) == (SIDE, SIDE * 480 / 640)
    found = labels(drawing)
    assert len(found) <= NUMBERED + 1 and len(drawing.frames) == len(crowd)
    for at, label in enumerate(found):
        assert label.x >= 0 and label.y >= 0
        assert label.x + label.width <= drawing.width and label.y + label.height <= drawing.height
        assert not any(label.meets(other) for other in found[at + 1 :])
    assert drawing.chosen is not None and drawing.chosen.label is not None and drawing.chosen.number == "0.90"
    for frame in (*drawing.frames, drawing.chosen):
        assert frame.x >= 0 and frame.x + frame.width <= drawing.width
    sizes = [frame.width * frame.height for frame in drawing.frames]
    assert sizes == sorted(sizes, reverse=True), "the small ones on top, where a pointer finds them"


def test_the_number_of_a_small_region_stays_in_its_title() -> None:
    boxes = [region(0, 0, 240, 240, 0.9, chosen=True), region(100, 100, 8, 8, -0.25), region(20, 60, 80, 80, 0.1)]
    small = next(frame for frame in draw(240, 240, boxes).frames if frame.width < 10)
    assert small.label is None and small.title == "thing: \u22120.25"
    assert len(labels(draw(240, 240, boxes))) == 2
    assert draw(240, 240, []).chosen is None
