"""Grounding: negatives found in the data, masked batches, a student that looks; saved as a folder of its own."""

from __future__ import annotations

import io
import random
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from open_clip.model import CLIP
from PIL import Image

from vldistill import artifact, features, layout
from vldistill.errors import InputError
from vldistill.features.store import open_store
from vldistill.models.regions import Regions, geometry, tag_ids
from vldistill.models.student import SingleStream, load_student, object_tag
from vldistill.models.student.matching import load_matching, save_matching
from vldistill.models.student.tokens import learn_vocabulary
from vldistill.models.teacher import save_teacher
from vldistill.params import Params
from vldistill.params.compute import Compute
from vldistill.params.student import Student as Settings
from vldistill.pretrain.student import (
    Phrases,
    collect,
    cut,
    ground,
    make,
    region_of,
    shape_of,
    standardise,
    stored_regions,
)
from vldistill.pretrain.student_negatives import Negatives
from vldistill.pretrain.student_start import carry_over
from vldistill.pretrain.student_task import NO_TARGET, Corpus, Grounding, GroundingTask, dev_figures, matching_loss
from vldistill.records import PhraseRecord, RegionsRecord, read_regions, write_records, write_regions
from vldistill.training import Run

COLORS, SHAPES = ("red", "green", "blue", "pink"), ("circle", "square", "star")
COMPUTE = Compute.model_validate({})


def settings(**changes) -> Settings:
    model = {"width": 32, "layers": 2, "heads": 2, "feedforward": 64, "positions": 16}
    training = {"steps": 6, "batch_size": 8, "warmup": 1, "log_every": 3, "checkpoint_every": 3}
    return Settings.model_validate(
        {"model": model, "held_out": 0.2, **changes, "training": {**training, **changes.get("training", {})}}
    )


def scenes(count: int) -> tuple[Phrases, Regions]:
    """Two objects an image, whose colour and shape are plain in the features of their regions."""
    rng = random.Random(0)
    texts: dict[str, int] = {}
    pairs, said, features = [], [], np.zeros((count, 3, 8), np.float32)
    for image in range(count):
        said.append(set())
        for index in range(2):
            color, shape = rng.randrange(4), rng.randrange(3)
            features[image, index + 1, [color, 4 + shape]] = 1.0
            phrase = f"[{index}] a {COLORS[color]} {SHAPES[shape]}"
            number = texts.setdefault(phrase, len(texts))
            said[-1].add(number)
            pairs.append((number, image, index + 1))
    features[:, 0] = features[:, 1:].sum(axis=1)
    boxes = geometry(np.asarray([[0, 0, 1, 1], [0, 0, 0.5, 1], [0.5, 0, 1, 1]], np.float32))
    regions = Regions(
        features=torch.from_numpy(features),
        boxes=torch.from_numpy(np.tile(boxes, (count, 1, 1))),
        mask=torch.ones(count, 3, dtype=torch.bool),
        pooled=None,
        left_out=torch.zeros(count, dtype=torch.long),
    )
    return Phrases(list(texts), np.asarray(pairs), said), regions


def test_hard_negatives_differ_in_one_word_and_are_not_said_of_the_image() -> None:
    phrases, _ = scenes(60)
    negatives, rng = Negatives(phrases.texts, phrases.said), np.random.default_rng(0)
    assert negatives.share_with_hard() == 1.0
    kinds = set()
    for phrase, image, _ in phrases.pairs:
        other = negatives.hard(phrase, image, rng)
        assert other is not None and other not in phrases.said[image]
        words = zip(phrases.texts[phrase].split(), phrases.texts[other].split(), strict=True)
        (differing,) = [at for at, (one, two) in enumerate(words) if one != two]
        kinds.add(differing)
        assert negatives.random(image, rng) not in phrases.said[image]
    assert kinds == {0, 2, 3}, "tags, colours and shapes"


def test_words_that_stand_with_the_same_images_do_not_exclude_each_other() -> None:
    texts = ["a red star", "a crimson star", "a blue star", "alone"]
    said = [{0, 1}] * 10 + [{0}] * 10 + [{2}] * 60 + [{3}]
    negatives, rng = Negatives(texts, said), np.random.default_rng(0)
    assert {negatives.hard(0, 10, rng) for _ in range(20)} == {2}
    assert negatives.hard(3, 80, rng) is None


def test_a_withheld_word_keeps_its_phrases_out() -> None:
    regions = {"a.png": RegionsRecord("a.png", 20, 10, [[0, 0, 10, 10], [10, 0, 20, 10]], ["", ""])}
    records = [
        PhraseRecord("1", "a.png", "A  Red star", [0, 0, 10, 9], "train"),
        PhraseRecord("2", "a.png", "a crimson star", [0, 0, 10, 9], "train"),
        PhraseRecord("3", "a.png", "two stars", [0, 0, 20, 10], "train"),
    ]
    phrases = collect(records, regions, 3, {"crimson"})
    assert phrases.texts == ["a red star", "two stars"] and phrases.pairs.tolist() == [[0, 0, 1], [1, 0, 0]]
    assert region_of([11, 0, 20, 10], regions["a.png"], 3) == 2 and region_of([11, 0, 20, 10], regions["a.png"], 2) == 0


def task_of(**changes) -> tuple[GroundingTask, Phrases, SingleStream]:
    phrases, regions = scenes(40)
    options = settings(**changes)
    names = [object_tag(index) for index in range(2)]
    tokenizer = learn_vocabulary(phrases.texts, [], 1000, names)
    student = SingleStream(shape_of(options.model, len(tokenizer), 8), tokenizer)
    ids = {name: tokenizer.word_id(name) for name in names}
    corpus = Corpus(
        student.tokenize([[text] for text in phrases.texts]),
        regions,
        tag_ids([names] * 40, 3, ids),
        Negatives(phrases.texts, phrases.said),
    )
    module = Grounding(student, corpus.tokens.ids.unique())
    return GroundingTask(module, corpus, phrases.pairs, options), phrases, student


def test_a_batch_holds_pairs_negatives_and_masked_phrases() -> None:
    task, _, student = task_of(matched=0.5, focus=0.0, focus_first=0.0)
    batch = task.collate(task.sampler.batch(0), np.random.default_rng(0))
    assert batch["pairs"] == 4 and batch["ids"].shape[0] == 16 and batch["region_mask"].all()
    assert (batch["targets"][:8] == NO_TARGET).all()
    masked = batch["targets"][8:] != NO_TARGET
    assert masked.any(dim=1).all() and (batch["ids"][8:][masked] == student.tokenizer.mask).all()
    assert not masked[:, 0].any() and student.tokenizer.sep not in batch["targets"]
    assert (batch["ids"][:4] != batch["ids"][4:8]).any(dim=1).all()
    assert torch.equal(batch["region_features"][:4], batch["region_features"][4:8])
    assert batch["region_tags"][0].tolist() == [0, *(student.tokenizer.word_id(f"[{index}]") for index in range(2))]
    assert task.sizes(batch) == {"matching": 4.0, "mlm": float(masked.sum())}
    assert set(task.loss(batch)) == {"matching", "mlm"}


def test_words_that_no_phrase_has_are_never_predicted_and_answers_start_as_text(tmp_path: Path) -> None:
    phrases, regions = scenes(40)
    run = Run(tmp_path / "run", "student", 0, COMPUTE)
    ground(settings(), phrases, regions, tmp_path / "model", run, words=["crimson"])
    student = load_student(tmp_path / "model")
    assert isinstance(student, SingleStream)
    types = student.embeddings.token_type_embeddings.weight
    assert torch.equal(types[2], types[0]) and torch.equal(types[3], types[0]) and not torch.equal(types[1], types[0])
    module = Grounding(student, student.tokenize([["a red star"]]).ids.unique())
    logits = module.words(torch.zeros(1, student.width))
    assert logits[0, student.tokenizer.word_id("crimson")] == float("-inf") and logits[0].isfinite().any()


def _task_tables(task: GroundingTask) -> dict[str, torch.Tensor]:
    corpus = task._corpus
    return {
        "region_features": corpus.regions.features,
        "region_boxes": corpus.regions.boxes,
        "region_tags": corpus.tags,
    }


def test_the_first_steps_show_the_phrases_region_only() -> None:
    task, phrases, _ = task_of(focus=0.0, focus_first=0.5, matched=1.0)
    for step, focused in ((0, True), (2, True), (3, False)):
        indices = task.sampler.batch(step)
        batch = task.collate(indices, np.random.default_rng(0))
        _, image, region = phrases.pairs[indices % task.sampler.size].T
        whole = {name: batch[name][:8] for name in ("region_features", "region_boxes", "region_tags")}
        assert batch["region_mask"].all() and batch["region_mask"].shape[1] == (1 if focused else 3)
        for name, values in _task_tables(task).items():
            expected = values[image, region][:, None] if focused else values[image]
            assert torch.equal(whole[name], expected), name
    mixed = task._corpus.batch(*torch.tensor(phrases.pairs[:2]).T, torch.tensor([True, False]))
    assert mixed["region_mask"].sum(dim=1).tolist() == [1, 3] and mixed["region_mask"][0, phrases.pairs[0, 2]]


def test_both_terms_are_those_of_all_states() -> None:
    task, _, student = task_of()
    batch = task.collate(task.sampler.batch(0), np.random.default_rng(0))
    terms, states, targets = task.loss(batch), student(batch), batch["targets"][:, 1:]
    masked = targets != NO_TARGET
    words = task.module.words(states.text[masked])
    torch.testing.assert_close(terms["mlm"], torch.nn.functional.cross_entropy(words, targets[masked]))
    true, false = task.module.matching(states.cls[: 2 * batch["pairs"]]).chunk(2)
    torch.testing.assert_close(terms["matching"], matching_loss(true, false))


def test_a_region_alone_is_as_one_among_hidden_ones() -> None:
    task, phrases, student = task_of()
    phrase, image, region = torch.tensor(phrases.pairs[:6]).T
    alone = task._corpus.batch(phrase, image, region, torch.ones(6, dtype=torch.bool))
    among = task._corpus.batch(*(each.repeat(2) for each in (phrase, image, region)), torch.arange(12) < 6)
    assert (alone["region_mask"].shape[1], among["region_mask"].shape[1]) == (1, 3)
    torch.testing.assert_close(student(alone).cls, student(among).cls[:6])


def test_matching_loss_is_smallest_for_high_phrases_and_low_negatives() -> None:
    high, low = torch.tensor([9.0, 9.0]), torch.tensor([-9.0, -9.0])
    assert matching_loss(high, low) < 0.01 < matching_loss(high, high) < matching_loss(low, high)
    zero = torch.zeros(2)
    assert matching_loss(zero, zero).item() == pytest.approx(2 * np.log(2), rel=1e-5)


def test_the_first_projection_begins_with_standardised_features() -> None:
    _, _, student = task_of()
    _, regions = scenes(40)
    shifted = Regions(100 + 30 * regions.features, regions.boxes, regions.mask, None, regions.left_out)
    standardise(student, shifted)
    projected = student.img_embeddings.img_linear(shifted.features[shifted.mask])
    assert projected.mean(dim=0).abs().max() < 0.01


def test_held_out_images_are_not_trained_on() -> None:
    phrases, _ = scenes(40)
    fit, dev = cut(phrases, 0.25)
    assert set(fit[:, 1]) == set(range(30)) and set(dev[:, 1]) == set(range(30, 40))


@pytest.mark.slow
def test_a_student_learns_to_look_and_is_saved_alone(tmp_path: Path) -> None:
    phrases, regions = scenes(400)
    options = settings(focus_first=0.5, training={"steps": 400, "batch_size": 32, "learning_rate": 0.004, "warmup": 20})
    run = Run(tmp_path / "run", "student", 0, COMPUTE)
    figures = ground(options, phrases, regions, tmp_path / "model", run, words=["crimson"])
    assert figures["dev_matching_focused"] > 85, figures
    student = load_student(tmp_path / "model")
    assert isinstance(student, SingleStream) and len(student.tokenizer.pieces("crimson")) == 1
    new = student.facts.pop("new_tokens")
    met = student.tokenize([[text] for text in phrases.texts]).ids.unique().tolist()
    assert student.tokenizer.pieces("crimson")[0] in new
    assert not {*met, student.tokenizer.mask, student.tokenizer.unknown} & set(new)
    assert student.facts == {"source": "train", "seen": [], "withheld": []}
    # with the layer that lies beside it, it matches as it did
    tags = tag_ids([["[0]", "[1]"]] * 400, 3, {name: student.tokenizer.word_id(name) for name in ("[0]", "[1]")})
    tokens = student.tokenize([[text] for text in phrases.texts])
    corpus = Corpus(tokens, regions, tags, Negatives(phrases.texts, phrases.said))
    module = Grounding(student, tokens.ids.unique())
    module.match = load_matching(tmp_path / "model", student.width)
    again = dev_figures(module.eval(), corpus, cut(phrases, options.held_out)[1])
    assert again == {name: figures[name] for name in again}


@pytest.mark.parametrize(("spoil", "words"), [("remove", "has no layer for matching"), ("cut", "does not load")])
def test_a_missing_or_broken_layer_for_matching_is_told(tmp_path: Path, spoil: str, words: str) -> None:
    save_matching(torch.nn.Linear(8, 1), tmp_path)
    assert load_matching(tmp_path, 8).weight.shape == (1, 8)
    with pytest.raises(InputError, match="does not load"):
        load_matching(tmp_path, 16)
    file = tmp_path / "matching.safetensors"
    file.unlink() if spoil == "remove" else file.write_bytes(file.read_bytes()[:20])
    with pytest.raises(InputError, match=rf"matching\.safetensors.*{words}"):
        load_matching(tmp_path, 8)


def test_a_student_of_a_chosen_gap_starts_from_the_usual_one(tmp_path: Path) -> None:
    phrases, regions = scenes(40)
    few = Phrases([text.replace("red", "azure") for text in phrases.texts], phrases.pairs, phrases.said)
    run = Run(tmp_path / "run", "student", 0, COMPUTE)
    ground(settings(), phrases, regions, tmp_path / "usual", run, words=["azure", "teal"])
    start = SingleStream.load(tmp_path / "usual")
    tokenizer = learn_vocabulary(few.texts, ["teal"], 1000, [object_tag(0), object_tag(1)])
    student = SingleStream(shape_of(settings().model, len(tokenizer), 8), tokenizer)
    fresh = student.word_embeddings.clone()
    carry_over(start, student)
    own, theirs = student.word_embeddings, start.word_embeddings
    for word in ("[PAD]", "[0]", "circle", "blue"):
        assert torch.equal(own[tokenizer.word_id(word)], theirs[start.tokenizer.word_id(word)]), word
    for word in ("azure", "teal"):  # the usual one has not met them
        assert torch.equal(own[tokenizer.word_id(word)], fresh[tokenizer.word_id(word)]), word
    narrower = SingleStream(shape_of(settings(model={"width": 16, "layers": 2, "heads": 2}).model, 9, 8), tokenizer)
    with pytest.raises(InputError, match=r"another shape or of an older version.*vldistill pretrain student"):
        carry_over(start, narrower)
    new = start.facts.pop("new_tokens")
    with pytest.raises(InputError, match="of an older version"):
        carry_over(start, student)
    start.facts["new_tokens"] = new
    others = {name: value for name, value in start.state_dict().items() if "word_embeddings" not in name}
    assert all(torch.equal(student.state_dict()[name], value) for name, value in others.items())

    # with next to no learning it is as good as the usual one, which a fresh student is not
    slow = settings(training={"learning_rate": 1e-12, "weight_decay": 0.0})
    run = Run(tmp_path / "again", "student", 0, COMPUTE)
    ground(slow, phrases, regions, tmp_path / "gap", run, words=["azure", "teal"], start=tmp_path / "usual")
    # fresh words have not been through the other's weight decay
    after = SingleStream.load(tmp_path / "gap").state_dict()
    torch.testing.assert_close(after, start.state_dict(), rtol=0, atol=1e-4)
    first, second = (load_matching(tmp_path / name, 32).weight for name in ("usual", "gap"))
    torch.testing.assert_close(first, second, rtol=0, atol=1e-6)


def picture(rng: random.Random) -> bytes:
    image = Image.new("RGB", (32, 16), rng.choice(("red", "green", "blue")))
    image.paste(rng.choice(("white", "black")), (16, 0, 32, 16))
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


@pytest.fixture
def seen(tmp_path: Path) -> tuple[Path, Path]:
    """Ten images with two phrases each, one of them not readable: the download artifact and the features."""
    rng = random.Random(0)
    config = {
        "embed_dim": 16,
        "vision_cfg": {"image_size": 16, "layers": 1, "width": 32, "head_width": 16, "patch_size": 8},
        "text_cfg": {"context_length": 12, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 1},
    }
    torch.manual_seed(0)
    preprocess = {"mean": [0.5] * 3, "std": [0.5] * 3, "interpolation": "bicubic", "resize_mode": "shortest"}
    artifact.publish(
        layout.pretrain(tmp_path, "clip"), lambda to: save_teacher(to, CLIP(**config), config, preprocess, None)
    )

    def build(data: Path) -> None:
        with zipfile.ZipFile(data / "images.zip", "w") as archive:
            for number in range(10):
                archive.writestr(f"{number}.png", b"broken" if number == 3 else picture(rng))
        boxes = [[0.0, 0.0, 16.0, 16.0], [16.0, 0.0, 32.0, 16.0]]
        write_regions(data, [RegionsRecord(f"{number}.png", 32, 16, boxes, ["", ""]) for number in range(10)])
        write_records(
            data,
            [
                PhraseRecord(
                    f"{number}-{at}", f"{number}.png", f"[{at}] a {rng.choice(COLORS)} half", boxes[at], "train"
                )
                for number in range(10)
                for at in range(2)
            ],
        )

    data = artifact.publish(layout.download(tmp_path, "vg"), build)
    params = Params.model_validate({"features": {"max_invalid": 0.2}})
    return data, features.run(params, tmp_path, "clip", "vg")


def test_made_from_records_and_features_again_with_the_same_bits(tmp_path: Path, seen: tuple[Path, Path]) -> None:
    for name in ("one", "two"):
        run = Run(tmp_path / f"run-{name}", "student", 0, COMPUTE)
        figures = make(settings(), *seen, tmp_path / name, run, withheld=["pink"])
    assert figures["phrases"] > 0 and figures["hard_negatives"] > 0
    assert figures["left_out"] == 2, "the phrases of the image that cannot be read"
    for file in ("config.json", "model.safetensors", "tokenizer.json"):
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes()
    student = load_student(tmp_path / "one")
    assert isinstance(student, SingleStream)
    plain, regions, *met_later = student.embeddings.token_type_embeddings.weight
    assert len(met_later) == 2 and all(torch.equal(one, plain) for one in met_later)
    assert not torch.equal(regions, plain)


def test_the_regions_are_those_of_the_store(seen: tuple[Path, Path]) -> None:
    store, boxes = open_store(seen[1]), read_regions(seen[0])
    keys = ["4.png", "1.png"]
    found = stored_regions(store, {key: boxes[key] for key in keys})
    assert np.array_equal(found.features, store.get("region", keys))
    assert found.mask.tolist() == [[True, True, True, False, False, False]] * 2
    assert found.boxes[1, 2].tolist() == [0.5, 0, 1, 1, 0.5, 1, 0.5] and not found.boxes[:, 3:].any()
    with pytest.raises(InputError, match=r"3\.png.*not readable"):
        stored_regions(store, boxes)
