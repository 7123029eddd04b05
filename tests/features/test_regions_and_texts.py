"""Regions in the image table, and the stores of texts."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from vldistill import artifact, features, layout
from vldistill.errors import InputError
from vldistill.features.sentences import SEGMENT, Wording, bare, spelled, texts_of, untagged
from vldistill.features.store import open_store, sentence_key, verify
from vldistill.features.texts import fitted
from vldistill.models.images import open_image
from vldistill.models.regions import encode_regions, shares
from vldistill.models.teacher import load_teacher
from vldistill.params import Params
from vldistill.records import (
    ChoiceRecord,
    EntailmentRecord,
    PhraseRecord,
    QuestionRecord,
    RegionsRecord,
    read_regions,
    write_records,
    write_regions,
)
from vldistill.split.pronouns import rewrite

LOOKS = ["it", "is", [0, 1]]


@pytest.fixture
def texts(project: Path) -> Path:
    """The project with one record in each set whose texts are encoded."""
    choice = ChoiceRecord(
        "c", "x.png", "film", ["person", "dog"], ["who", "?"], [LOOKS] * 4, 0, [["because", *LOOKS]] * 4, 1, "train"
    )
    records = {
        "snli_ve": EntailmentRecord("e", "000.png", "A dog, perhaps.", "neutral", "train"),
        "vqav2": QuestionRecord("q", "000.png", "coco", "what is it?", ["dog"] * 10, "other", "what", "dev"),
        "vcr": choice,
        "vg": PhraseRecord("p", "000.png", "[1] near [7]", [0, 0, 1, 1], "train"),
    }
    for name, record in records.items():

        def build(folder: Path, record=record) -> None:
            write_records(folder, [record])
            write_regions(folder, [RegionsRecord("000.png", 4, 4, [[0, 0, 1, 1]] * 2, ["cat", "cow"])])

        artifact.publish(layout.download(project, name), build)
    return project


def test_regions_are_those_of_the_crops(project: Path, params: Params, png) -> None:
    store = open_store(features.run(params, project, "clip", "coco"))
    assert store.kinds["region"] == [3, 32] and store.kinds["region_pooled"] == [3, 24]
    keys, boxes = ["011.png", "004.png"], read_regions(layout.download(project, "coco"))
    tower = load_teacher(layout.pretrain(project, "clip")).images
    images = [
        (open_image(png(int(key[:3]))), shares(boxes[key].boxes, boxes[key].width, boxes[key].height)) for key in keys
    ]
    found = encode_regions(tower, images, most=3)
    np.testing.assert_allclose(store.get("region", keys), found.features, rtol=2e-3, atol=2e-3)
    np.testing.assert_allclose(store.get("region_pooled", keys), found.pooled, rtol=2e-3, atol=2e-3)
    assert len(boxes["011.png"].boxes) == 2 and len(boxes["004.png"].boxes) == 3
    verify(store.folder)


def test_images_of_a_set_without_captions_are_those_of_its_boxes(project: Path, params: Params, png) -> None:
    def build(folder: Path) -> None:
        write_regions(folder, [RegionsRecord(f"{at}.png", 16, 16, [], []) for at in (1, 2)])
        with zipfile.ZipFile(folder / "images.zip", "w") as archive:
            for at in (1, 2, 3):
                archive.writestr(f"{at}.png", png(at))

    artifact.publish(layout.download(project, "flickr30k"), build)
    store = open_store(features.run(params, project, "clip", "flickr30k"))
    assert store.keys == ["1.png", "2.png"] and set(store.kinds) == {"region", "region_pooled"}
    assert not store.get("region", ["1.png"])[0, 1:].any()


def test_the_untrained_control_has_no_regions(project: Path, params: Params) -> None:
    with pytest.raises(InputError, match="no student is taught by it"):
        features.run(params, project, "clip_untrained", "vcr")


def test_an_image_without_boxes_is_named(project: Path, params: Params) -> None:
    folder = layout.download(project, "coco")
    lines = (folder / "regions.jsonl").read_text().splitlines()
    (folder / "regions.jsonl").write_text("\n".join(lines[1:]) + "\n")
    with pytest.raises(InputError, match=r"regions\.jsonl.*000\.png.*no boxes"):
        features.run(params, project, "clip", "coco")


@pytest.mark.parametrize("other", [{"margin": 0.5}, {"pad": False}])
def test_how_crops_are_made_is_part_of_the_key(project: Path, params: Params, other: dict) -> None:
    wide = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (16, 48, 3), dtype=np.uint8)).save(wide, "PNG")

    def build(folder: Path) -> None:
        write_regions(folder, [RegionsRecord("wide.png", 48, 16, [[4, 4, 12, 12]], ["cat"])])
        with zipfile.ZipFile(folder / "images.zip", "w") as archive:
            archive.writestr("wide.png", wide.getvalue())

    artifact.publish(layout.download(project, "flickr30k"), build)
    first = artifact.fingerprint(features.run(params, project, "clip", "flickr30k"))
    wider = params.model_dump()
    wider["pretrain"]["student"]["regions"] |= other
    assert artifact.fingerprint(features.run(Params.model_validate(wider), project, "clip", "flickr30k")) != first


def test_objects_are_called_by_their_class() -> None:
    assert spelled(LOOKS, ["person", "dog"]) == "it is person and dog"
    assert spelled(LOOKS, ["person", "dog"], "one") == "it is one and one"
    assert untagged("[1] near [7]", ["cat", "cow"]) == "cow near [7]"
    assert untagged("[0] red", [""]) == "[0] red"
    assert bare('"Dogs,"') == "dogs" and bare("--") == "--" and bare("...") == ""


def test_every_text_and_every_word_has_one_row(texts: Path, params: Params) -> None:
    sentences = texts_of(texts)
    whole = {"A dog, perhaps.", "what is it?", "it is person and dog", "because it is person and dog", "cow near [7]"}
    assert whole | {"dog", "perhaps", "what", "because", "cow"} <= set(sentences)
    store = open_store(features.run(params, texts, "clip", layout.TEXTS))
    assert store.text_keys == [sentence_key(text) for text in sentences]
    teacher = load_teacher(layout.pretrain(texts, "clip"))
    some = sentences[::5]
    found = store.get("text", [sentence_key(text) for text in some])
    np.testing.assert_allclose(found, teacher.encode_text(some), rtol=2e-3, atol=2e-3)
    assert store.fingerprint == teacher.fingerprint


def test_a_language_models_vectors_do_not_depend_on_the_batch(texts: Path, params: Params) -> None:
    from tests.distill.project import make_bart

    artifact.publish(layout.pretrain(texts, "bart"), lambda folder: make_bart().save(folder))
    store = open_store(features.run(params, texts, "bart", layout.TEXTS))
    model = make_bart()
    ids, mask = model.tokenize(["dog"])
    with torch.inference_mode():
        alone = model.pool(model.encode(ids, mask), mask, "mean")
    np.testing.assert_allclose(store.get("text", [sentence_key("dog")]), alone, rtol=3e-3, atol=3e-3)
    assert store.fingerprint["pool"] == "mean"


@pytest.mark.parametrize("encoder", ["clip", "bart"])
def test_the_share_of_texts_that_are_cut_is_on_record(texts: Path, params: Params, encoder: str) -> None:
    from tests.distill.project import make_bart

    artifact.publish(layout.pretrain(texts, "bart"), lambda folder: make_bart().save(folder))
    folder = features.run(params, texts, encoder, layout.TEXTS)
    assert artifact.read_manifest(folder)["meta"]["cut"] == 0
    records = [EntailmentRecord(str(at), "000.png", "dog! " * 99 + str(at), "neutral", "train") for at in range(2)]
    artifact.publish(layout.download(texts, "snli_ve"), lambda folder: write_records(folder, records))
    again = features.run(params, texts, encoder, layout.TEXTS)
    meta = artifact.read_manifest(again)["meta"]
    assert meta["cut"] == pytest.approx(2 / meta["texts"], abs=1e-6)


IN_CONTEXT = Wording(vcr_text="question_choice")


def test_texts_with_their_question_and_answer_are_those_that_are_asked(texts: Path) -> None:
    looks = "it is person and dog"
    asked = {f"who ?{SEGMENT}{looks}", f"who ?{SEGMENT}{looks}{SEGMENT}because {looks}"}
    found = set(texts_of(texts, IN_CONTEXT))
    assert asked | {"who", "because", "person"} <= found and looks not in found
    assert not any(SEGMENT in text for text in texts_of(texts))
    answers, rationales = [[word] for word in "abcd"], [["for", word] for word in "efgh"]
    board = ChoiceRecord("b", "x.png", "film", [], ["why"], answers, None, rationales, None, "unlabelled")
    artifact.publish(layout.download(texts, "vcr"), lambda folder: write_records(folder, [board]))
    found = {text for text in texts_of(texts, IN_CONTEXT) if SEGMENT in text}
    assert len(found) == 4 + 16 and f"why{SEGMENT}d{SEGMENT}for e" in found, "the board asks of each answer"


def test_a_question_is_cut_before_the_choice() -> None:
    calls: list[list[str]] = []

    def filled(given: Sequence[str]) -> list[bool]:
        calls.append(list(given))
        return [len(text.split()) >= 5 for text in given]

    assert fitted(["a b c d e f", "a b"], filled) == ["a b c d e f", "a b"] and not calls
    text = SEGMENT.join
    assert fitted([text(["a b", "c"]), text(["a b c d", "e f"])], filled) == ["a b c", "a b e f"]
    assert fitted([text(["a b c", "d e", "f g h"])], filled) == ["d f g h"], "the question first, then the answer"
    assert fitted([text(["a b", "c d e f g"])], filled) == ["c d e f g"], "too long by itself"


@pytest.mark.parametrize("encoder", ["clip", "bart"])
def test_the_vector_of_a_long_question_is_of_what_fits(texts: Path, params: Params, encoder: str) -> None:
    from tests.distill.project import make_bart

    artifact.publish(layout.pretrain(texts, "bart"), lambda folder: make_bart().save(folder))
    question = ["dog!"] * 99
    records = [
        ChoiceRecord(
            str(at), "x.png", "film", [], asked, [["a", word] for word in "abcd"], 0, [["yes"]] * 4, 0, "train"
        )
        for at, asked in enumerate((question, ["who", "?"]))
    ]
    artifact.publish(layout.download(texts, "vcr"), lambda folder: write_records(folder, records))
    tree = params.model_dump()
    tree["features"]["vcr_text"] = "question_choice"
    folder = features.run(Params.model_validate(tree), texts, encoder, layout.TEXTS)
    meta = artifact.read_manifest(folder)["meta"]
    # of each question four answers and one different rationale
    assert meta["cut_before_choice"] == 0.5 and meta["cut"] == pytest.approx(5 / meta["texts"], abs=1e-6)
    store = open_store(folder)
    long = [" ".join([*question, "a", word]) for word in "ab"]
    one, other = store.get("text", [sentence_key(SEGMENT.join([" ".join(question), f"a {word}"])) for word in "ab"])
    assert not np.allclose(one, other, atol=1e-4), "the choice is read"
    if encoder == "clip":
        teacher = load_teacher(layout.pretrain(texts, "clip"))
        shown = fitted([SEGMENT.join([" ".join(question), "a a"])], teacher.filled)
        assert shown[0].endswith("dog! a a") and len(shown[0]) < len(long[0])
        np.testing.assert_allclose(one, teacher.encode_text(shown)[0], rtol=2e-3, atol=2e-3)
    assert "cut_before_choice" not in artifact.read_manifest(features.run(params, texts, encoder, layout.TEXTS))["meta"]


def test_texts_that_the_rules_rewrite_are_among_them(texts: Path) -> None:
    right, wrong = [[0], "'s", "hat"], ["his", "coat"]
    film = {"image": "x.png", "movie": "film", "objects": ["person"], "question": ["what", "is", [0], "wearing", "?"]}
    choices = {"answers": [right, wrong, wrong, wrong], "answer_label": 0, "rationales": [["it", "is"]] * 4}
    records = [ChoiceRecord(part, **film, **choices, rationale_label=0, split=part) for part in ("train", "test")]
    artifact.publish(layout.download(texts, "vcr"), lambda folder: write_records(folder, records))
    done = rewrite(records[1], "singular")
    assert done is not None
    assert {"person 's coat", *(spelled(answer, done.objects) for answer in done.answers)} <= set(texts_of(texts))
    assert "person 's coat" not in texts_of(texts, tagged=["dog"])
    artifact.publish(layout.download(texts, "vcr"), lambda folder: write_records(folder, records[:1]))
    assert "person 's coat" not in texts_of(texts), "training texts are not rewritten"


def test_an_absent_set_has_no_texts(texts: Path) -> None:
    artifact.publish_absent(layout.download(texts, "vcr"), "not supplied")
    assert not any("person" in text for text in texts_of(texts))
