"""What makes arms comparable: equal but for the named switch, frozen teachers, nothing read but the subset."""

from __future__ import annotations

import dataclasses
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from safetensors.torch import load_file

from tests.distill.mad.project import TRAINING, arms_on, cell, make_student, params_tree, write_params
from tests.distill.mad.spoil import republish, spoil
from vldistill import artifact, distill, features, layout
from vldistill.cells import MadCell
from vldistill.distill.mad import lookup
from vldistill.distill.mad.cell import run_mad_cell
from vldistill.distill.mad.inputs import make_inputs
from vldistill.distill.mad.items import entailment_items
from vldistill.distill.mad.key import cell_key, partner_of, subset_file
from vldistill.distill.mad.prepare import Prepared, prepare
from vldistill.distill.mad.targets import CLIP_IMAGE, CLIP_TEXT, LANGUAGE_MODEL
from vldistill.errors import InputError
from vldistill.evaluate.mad.batch import mad_predict_batch, mad_predict_gather
from vldistill.evaluate.mad.data import BLIND, TEACHER
from vldistill.evaluate.mad.predict import Predictor, rows_of
from vldistill.evaluate.mad.references import WITHOUT_IMAGE, reference_rows
from vldistill.files import read_json
from vldistill.models.mad import MadModel
from vldistill.models.student.matching import load_matching
from vldistill.params import Params, load
from vldistill.params.mad_grid import TASKS
from vldistill.records import LABELS, EntailmentRecord, read_entailments, read_phrases
from vldistill.training import Run, train


def prepared(root: Path, arm: str, task: Any = "snli_ve", **mad: Any) -> Prepared:
    constant = {CLIP_IMAGE: 0.5, CLIP_TEXT: 0.7, LANGUAGE_MODEL: 0.6} if arm == "constant_weight" else None
    return prepare(write_params(root, **mad), root, cell(arm, task), constant)


def batch_of(made: Prepared, step: int = 0) -> dict[str, Any]:
    return made.task.collate(made.task.sampler.batch(step), np.random.default_rng([0, step, 0]))


@pytest.mark.parametrize("task", TASKS)
def test_arms_begin_with_the_same_weights_and_see_the_same_items(rendered: Path, task: str) -> None:
    base = prepared(rendered, "baseline", task)
    own = base.model.state_dict()
    for arm in arms_on(task):
        made = prepared(rendered, arm, task)
        other = made.model.state_dict()
        changed = {name for name in own if not torch.equal(own[name], other[name])}
        words = {"student.embeddings.word_embeddings.weight"}
        assert changed <= (words if arm == "embeddings_init" else set()), arm
        for step in range(4):
            one, two = batch_of(base, step), batch_of(made, step)
            assert all(torch.equal(one[name], two[name]) for name in one), (arm, step)


def test_a_head_that_starts_from_matching_adds_its_logits_to_a_fresh_one(rendered: Path, tmp_path: Path) -> None:
    base, started = (prepared(rendered, arm, "vcr") for arm in ("baseline", "baseline_matching"))
    batch = batch_of(base)
    fresh, states = base.model(batch)
    layer = load_matching(started.sources.paths["student"], base.model.student.width)
    with torch.no_grad():
        scores, _ = started.model(batch)
        assert torch.equal(scores, fresh + layer(base.model.student.pooled(states["cls"])))
    started.task.loss(batch)["task"].backward()
    assert started.model.matching is not None and started.model.matching.weight.grad is not None, "it learns on"
    started.model.save(tmp_path)
    loaded, _ = MadModel.load(tmp_path)(batch)
    assert torch.equal(loaded, scores)


def test_arms_share_projections_and_targets_but_for_their_switch(rendered: Path) -> None:
    mad, ts, cw, naive, shuffled = (prepared(rendered, arm) for arm in ("mad", "ts", "cw", "nkd", "shuffled_targets"))
    for one, other in ((mad, ts), (cw, naive)):
        name = "clip_text.token.part" if one is mad else "clip_text.cls"
        assert torch.equal(one.task.module.matrix(name), other.task.module.matrix(name))
    first, second = batch_of(mad), batch_of(ts)
    for name in ("token", "region", "clip_image.region.part", "clip_text.token.part"):
        assert torch.equal(first[name], second[name])
    third = batch_of(shuffled)
    assert torch.equal(first["token"], third["token"])
    assert not torch.equal(first["clip_text.token.part"], third["clip_text.token.part"])
    assert torch.equal(batch_of(cw)["confidence_clip_text"], first["confidence_clip_text"])


def test_a_chosen_word_is_taught_by_its_own_vector_and_in_whole_scope_by_the_texts(rendered: Path) -> None:
    one = {"target": "both", "tokens": 1}
    parts, whole = prepared(rendered, "mad", **one), prepared(rendered, "mad", **one, scope="whole")
    first, second = batch_of(parts), batch_of(whole)
    assert torch.equal(first["token"], second["token"]) and torch.equal(first["region"], second["region"])
    for name in ("clip_text.cls", "clip_image.cls"):
        assert torch.equal(first[name], second[name])
    assert torch.equal(second["clip_text.token"], second["clip_text.cls"])
    assert torch.equal(second["clip_image.region"], second["clip_image.cls"])
    # the same word in two texts has one vector; the first region is the whole image
    picks = parts.task._teaching.picks
    assert picks is not None
    vectors = parts.task._teaching.parts["clip_text"][torch.arange(len(picks.words))]
    for word in set(picks.words):
        same = vectors[[at for at, other in enumerate(picks.words) if other == word]]
        assert torch.equal(same, same[:1].expand_as(same))
    wholes = first["region"] == 0
    assert wholes.any() and not wholes.all()
    near = (first["clip_image.region.part"] * first["clip_image.cls"]).sum(dim=1)
    assert (near[wholes] > 0.999).all() and (near[~wholes] < 0.999).all()


@pytest.mark.parametrize("arm", ["mad", "nkd", "mad_af", "nkd_trainable"])
def test_gradients_reach_student_and_head_only(rendered: Path, arm: str) -> None:
    made = prepared(rendered, arm, teachers={"language_model": 1.0})
    batch = batch_of(made)
    terms = made.task.loss(batch)
    assert {"task", "clip_image", "clip_text", "language_model"} <= set(terms)
    sum(made.task.weights[name] * term for name, term in terms.items()).backward()
    reached = {name for name, parameter in made.task.module.named_parameters() if parameter.grad is not None}
    outside = {name for name in reached if not name.startswith(("model.student.", "model.head."))}
    assert outside == ({name for name in reached if name.startswith("map_")} if arm == "nkd_trainable" else set())
    assert not any(value.requires_grad for value in batch.values() if torch.is_tensor(value))
    assert any(name.startswith("model.student.encoder") for name in reached)


@pytest.mark.parametrize("task", TASKS)
def test_accumulated_micro_batches_equal_the_full_batch(rendered: Path, tmp_path: Path, task: str) -> None:
    # the gradient of a key's bias is zero but for rounding, which Adam would blow up without a large epsilon
    flat = {**TRAINING, "steps": 3, "warmup": 0, "clip": 0.0, "log_every": 1, "epsilon": 0.001}
    ends = []
    for parts in (1, 4):
        training = {**flat, "accumulate": parts}
        made = prepared(rendered, "mad", task, training=training, dropout=0.0, teachers={"language_model": 0.5})
        train(made.task, made.options.training, Run(tmp_path / str(parts)))
        ends.append([parameter.detach() for parameter in made.task.module.parameters()])
    for one, other in zip(*ends, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)


FITTED = {
    "baseline": "nothing but student and head",
    "mad": "a head of the teacher for the weights",
    "mad_af": "an adapter of the teacher, too",
    "nkd_trainable": "projections",
    "projected_input": "a student that sees the teacher",
    "constant_weight": "another cell, whose mean weights it has",
    "embeddings_init": "new words, by a map from the teacher",
    "baseline_matching": "a head that starts from pre-training's",
}
"""One arm for each kind of thing that is trained or fitted beside the student, or instead of what others train."""
QUICK = {("mad_af", task) for task in TASKS} | {("baseline", "snli_ve"), ("constant_weight", "snli_ve")}


def fitted() -> list[Any]:
    cases = [(arm, task) for arm in FITTED for task in TASKS if arm in arms_on(task)]
    return [pytest.param(*case, marks=() if case in QUICK else pytest.mark.slow) for case in cases]


@pytest.mark.parametrize(("arm", "task"), fitted())
def test_nothing_but_the_training_subset_is_read(root: Path, task: Any, arm: str) -> None:
    params = write_params(root, teachers={"language_model": 1.0}, tuning={"holdout": 0.3})
    one = cell(arm, task)
    partner = partner_of(params, one)
    assert (partner is not None) == (arm == "constant_weight")
    before = [run_mad_cell(params, root, each) for each in (one, partner or one)]
    spoil(root, task, set(read_json(subset_file(params, root, one))["ids"]))
    after = [run_mad_cell(params, root, each) for each in (one, partner or one)]
    for first, second in zip(before, after, strict=True):
        assert first.path != second.path, "nothing was changed"
        names = {path.relative_to(first.path) for path in first.path.rglob("*.safetensors")}
        assert {Path("model/head.safetensors"), Path("model/student/model.safetensors")} <= names
        for name in names:
            weights, again = load_file(first.path / name), load_file(second.path / name)
            assert weights.keys() == again.keys() and all(torch.equal(weights[key], again[key]) for key in weights)
        assert (first.path / "metrics.jsonl").read_bytes() == (second.path / "metrics.jsonl").read_bytes()
        assert first.result and second.result
        for fact in ("weights", "holdout", "items"):
            assert first.result[fact] == second.result[fact], fact


@pytest.mark.parametrize("task", TASKS)
def test_references_are_fitted_on_nothing_but_the_training_subset(root: Path, task: Any) -> None:
    # with changed priors the tiny world has no test items
    params = write_params(root, vqa_priors="official")
    few, all_ = (cell(TEACHER, task, fraction) for fraction in (50, 100))
    before, of_all = references(params, root, few), references(params, root, all_)
    asked = {row["id"] for sets in before.values() for rows in sets.values() for row in rows}
    spoil(root, task, set(read_json(subset_file(params, root, few))["ids"]), asked)
    assert references(params, root, few) == before
    again = references(params, root, all_)
    assert all(again[name] != of_all[name] for name in (TEACHER, BLIND)), "nothing was changed"


def references(params: Params, root: Path, one: MadCell) -> dict[str, dict[str, list[dict[str, Any]]]]:
    """What each reference says of every set, fitted on a cell's training subset."""
    predictor = Predictor(params, root, one.task)
    data = predictor.data
    training = data.named(one.subset(params.distill.mad.vqa_priors))
    found = {name: reference_rows(name, one.task, training, data.sets, most=1000) for name in WITHOUT_IMAGE}
    return {**found, TEACHER: rows_of(one.task, *predictor.teacher(one))}


def break_image(folder: Path, name: str) -> None:
    with zipfile.ZipFile(folder / "images.zip") as archive:
        content = {each: archive.read(each) for each in archive.namelist()}
    with zipfile.ZipFile(folder / "images.zip", "w") as archive:
        for each, data in content.items():
            archive.writestr(each, b"no picture" if each == name else data)
    republish(folder, {})


def test_items_of_unreadable_images_are_left_out_and_counted(root: Path) -> None:
    params = write_params(root)
    allowing = params.features.model_copy(update={"max_invalid": 0.5})
    params = params.model_copy(update={"features": allowing})
    chosen = set(read_json(subset_file(params, root, cell()))["ids"])
    image_of = {record.id: record.image for record in read_entailments(layout.download(root, "snli_ve"))}
    broken = sorted(image_of[each] for each in chosen)[0]
    break_image(layout.download(root, "flickr30k"), broken)
    break_image(layout.download(root, "vg"), read_phrases(layout.download(root, "vg"))[0].image)
    for dataset in ("flickr30k", "vg"):
        features.run(params, root, "clip", dataset)
    without = sum(image_of[each] == broken for each in chosen)
    run = run_mad_cell(params, root, cell())
    assert run.result and without > 0
    assert (run.result["unreadable"], run.result["items"]) == (without, len(chosen) - without)


def test_a_student_that_has_seen_the_task_is_refused_where_shots_are_few(root: Path) -> None:
    seen = make_student(root, seen=["vcr"])
    artifact.publish(layout.pretrain(root, "student"), seen.save)
    params = write_params(root)
    with pytest.raises(InputError, match=r"all of vcr's training set.*full data only"):
        run_mad_cell(params, root, cell("baseline", "vcr"))
    assert run_mad_cell(params, root, cell("baseline", "vcr", fraction=100)).done
    assert run_mad_cell(params, root, cell("baseline", "snli_ve")).done
    artifact.publish(layout.pretrain(root, "student"), make_student(root, seen=["vqa"]).save)
    for fraction in (50, 100):
        with pytest.raises(InputError, match=r"all of vqa's training set.*take vqa out of distill\.mad"):
            run_mad_cell(params, root, cell("baseline", "vqa", fraction=fraction))


def test_unknown_words_alone_begin_at_the_teacher(rendered: Path) -> None:
    base, made = (
        prepared(rendered, arm).model.student.embeddings.word_embeddings.weight
        for arm in ("baseline", "embeddings_init")
    )
    changed = (base != made).any(dim=1).nonzero().flatten().tolist()
    tokenizer = prepared(rendered, "baseline").model.student.tokenizer
    assert changed and all(token > tokenizer.mask for token in changed)
    assert prepared(rendered, "embeddings_init").record["embedded_words"] == len(changed)


def test_several_words_are_taught_alike_from_memory_and_from_the_store(
    rendered: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    changes = {"tokens": 3, "target": "both", "teachers": {"language_model": 0.5}}
    held = prepared(rendered, "mad", "vcr", **changes)
    alone = prepared(rendered, "mad", "vcr", **changes | {"tokens": 1})
    monkeypatch.setattr(lookup, "HELD", 0)
    read = prepared(rendered, "mad", "vcr", **changes)
    for step in range(3):
        first, second, one = (batch_of(made, step) for made in (held, read, alone))
        texts = len(first["ids"])
        assert first["token"].shape == (texts, 3)
        for teacher in (CLIP_TEXT, LANGUAGE_MODEL):
            name = f"{teacher}.token.part"
            assert first[name].shape == (texts, 3, first[f"{teacher}.cls"].shape[1])
            assert torch.equal(first[name][:, :1], one[name])
        assert first.keys() == second.keys()
        assert all(torch.equal(first[name], second[name]) for name in first)
        assert torch.equal(first["token"][:, :1], one["token"])
    terms = held.task.loss(batch_of(held))
    assert all(term.isfinite() for term in terms.values())
    assert not torch.equal(terms[CLIP_TEXT], alone.task.loss(batch_of(alone))[CLIP_TEXT])


@pytest.mark.parametrize("arm", ["baseline", "mad", "nkd_trainable"])
def test_words_with_a_rate_of_their_own_are_those_that_the_student_never_met(rendered: Path, arm: str) -> None:
    made = prepared(rendered, arm)
    student = made.model.student
    assert made.task.new_words.table is student.embeddings.word_embeddings.weight
    assert made.task.new_words.rows.tolist() == student.facts["new_tokens"] != []
    student.facts.pop("new_tokens")
    with pytest.raises(InputError, match=r"new_tokens.*does not tell which words.*make it again"):
        _ = made.task.new_words
    student.facts["source"] = "uniter"
    assert made.task.new_words.rows.tolist() == []


def test_the_control_that_sees_the_teacher_needs_it(rendered: Path) -> None:
    made = prepared(rendered, "projected_input")
    batch = batch_of(made)
    full, _ = made.model(batch)
    other, _ = made.model({**batch, "teacher_text": -batch["teacher_text"]})
    assert full.shape == other.shape and not torch.allclose(full, other)
    assert not prepared(rendered, "mad").model.sees_teacher


@pytest.mark.parametrize("arm", ["mad", "projected_input"])
def test_the_question_is_read_by_features_head_losses_and_predictions_alike(root: Path, arm: str) -> None:
    tree = params_tree(active=[arm], default_seeds=1, fractions=[50], teachers={"language_model": 1.0})
    tree["evaluate"] = {"mad": {"leaderboard": f"{arm}-f50-s0"}}
    (root / "params.yaml").write_text(yaml.safe_dump(tree))
    alone = load(root / "params.yaml")
    key = cell_key(alone, root, cell(arm, "vcr")), cell_key(alone, root, cell(arm))
    tree["features"]["vcr_text"] = "question_choice"
    params = Params.model_validate(tree)
    assert cell_key(params, root, cell(arm, "vcr")) != key[0] and cell_key(params, root, cell(arm)) == key[1]
    with pytest.raises(InputError, match="texts"):
        prepare(params, root, cell(arm, "vcr"))
    for encoder in ("clip", "bart"):
        features.run(params, root, encoder, layout.TEXTS)
    made = prepare(params, root, cell(arm, "vcr"))
    if arm == "mad":
        picks, tokens = made.task._teaching.picks, made.task._inputs.tokens
        assert picks is not None
        first_sep = (tokens.ids[:, 1:] == made.model.student.tokenizer.sep).int().argmax(dim=1)
        assert (picks.token < first_sep[:, None]).any() and (picks.token > first_sep[:, None]).any()
    distill.mad_batch(params, root, "vcr", 0)
    distill.mad_gather(params, root, "vcr")
    mad_predict_batch(params, root, "vcr", 0)
    predicted = mad_predict_gather(params, root, "vcr")
    assert (predicted / "leaderboard.csv").is_file() and (predicted / "test" / f"{TEACHER}-f50-s0.jsonl").is_file()


def test_a_student_of_other_regions_is_refused(rendered: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = prepared(rendered, "baseline")
    student, pictures = made.model.student, made.sources.pictures
    items = entailment_items([EntailmentRecord("1", pictures.features.keys[0], "a red ball", LABELS[0], "train")])
    assert len(make_inputs(items, student, pictures).keys) == 1
    monkeypatch.setattr(student, "config", dataclasses.replace(student.config, region_width=2048))
    with pytest.raises(InputError, match=r"reads regions 2048 wide, these are 32 wide"):
        make_inputs(items, student, pictures)
    with pytest.raises(InputError, match=r"no boxes of this image"):
        make_inputs(items, student, dataclasses.replace(pictures, boxes={}))
