"""The pretrain stage: folders that the libraries load as published ones, controls, resume, published weights."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import open_clip
import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForSeq2SeqLM, AutoTokenizer

from tests.disk import unsynced_at_rename
from vldistill import artifact, layout, pretrain
from vldistill.errors import InputError
from vldistill.files import read_json
from vldistill.models.language_model import held_out, load_language_model
from vldistill.models.teacher import load_teacher
from vldistill.params import Params
from vldistill.pretrain.recipes import recipe_of
from vldistill.records import read_texts
from vldistill.training import Stopped


def changed(params: Params, part: str, **values) -> Params:
    tree = params.model_dump(mode="json")
    tree["pretrain"][part] |= values
    return Params.model_validate(tree)


def hashes(folder: Path) -> dict[str, str]:
    return {name: entry["sha256"] for name, entry in artifact.read_manifest(folder)["files"].items()}


def test_clip_loads_with_open_clip_itself(project: Path, params: Params) -> None:
    folder = pretrain.run(params, project, "clip")
    model, _, _ = open_clip.create_model_and_transforms(f"local-dir:{folder}", require_pretrained=True)
    tokenizer = open_clip.get_tokenizer(f"local-dir:{folder}")
    text = ["red on the left", "something with unknown words", "long " * 40]
    ids = tokenizer(text)
    assert ids.shape == (3, 12)
    assert (ids == model.text_eos_id).sum(dim=1).min() == 1, "the end token must survive truncation: it is pooled"
    teacher = load_teacher(folder)
    with torch.inference_mode():
        torch.testing.assert_close(teacher.encode_text(text), model.eval().encode_text(ids))
    assert teacher.dim == 16 and teacher.patches == 4 and teacher.patch_width == 32


def test_bart_loads_with_transformers_itself(project: Path, params: Params) -> None:
    folder = pretrain.run(params, project, "bart")
    plain, tokenizer = AutoModelForSeq2SeqLM.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)
    assert type(plain).__name__ == "BartForConditionalGeneration"
    text = "question: what color? answer: red"
    ids = tokenizer(text)["input_ids"]
    assert ids[0] == plain.config.bos_token_id and ids[-1] == plain.config.eos_token_id
    assert tokenizer.decode(ids, skip_special_tokens=True).strip() == text
    assert plain.generation_config.forced_bos_token_id == plain.config.bos_token_id
    masked = tokenizer(f"answer: {tokenizer.mask_token}", add_special_tokens=False)["input_ids"]
    assert masked == [*tokenizer("answer:", add_special_tokens=False)["input_ids"], tokenizer.mask_token_id]
    strange = "Ünïcode ☃ words"
    assert tokenizer.decode(tokenizer(strange)["input_ids"], skip_special_tokens=True).strip() == strange


def test_meta_holds_dev_figures(project: Path, params: Params) -> None:
    clip = artifact.verify(pretrain.run(params, project, "clip"))["meta"]["metrics"]
    assert clip["dev_pairs"] == 6 and 0 <= clip["dev_image_to_text_r1"] <= 100
    bart = artifact.verify(pretrain.run(params, project, "bart"))["meta"]["metrics"]
    assert bart["dev_documents"] == 40 and {"dev_loss", "dev_reading_match", "dev_direct_match"} <= set(bart)
    assert read_json(layout.run_record(layout.pretrain(project, "bart")))["metrics"] == bart


def test_model_files_are_on_disk_before_they_take_their_name(project: Path, params: Params, monkeypatch) -> None:
    unsynced = unsynced_at_rename(monkeypatch, "model")
    for name in ("clip_untrained", "bart"):
        pretrain.run(params, project, name)
    assert unsynced == [set(), set()]


def test_training_helps(project: Path, params: Params) -> None:
    long = {**params.pretrain.clip.training.model_dump(), "steps": 60, "learning_rate": 0.003}
    trained = artifact.read_manifest(pretrain.run(changed(params, "clip", training=long), project, "clip"))
    control = artifact.read_manifest(pretrain.run(params, project, "clip_untrained"))
    assert trained["meta"]["metrics"]["dev_loss"] < 0.8 * control["meta"]["metrics"]["dev_loss"]
    words = {**params.pretrain.language_model.training.model_dump(), "steps": 60, "learning_rate": 0.005}
    losses = [
        artifact.read_manifest(pretrain.run(each, project, "bart"))["meta"]["metrics"]["dev_loss"]
        for each in (params, changed(params, "language_model", training=words))
    ]
    assert losses[1] < 0.6 * losses[0]


def test_untrained_control_is_the_same_start_without_training(project: Path, params: Params) -> None:
    control = pretrain.run(params, project, "clip_untrained")
    still = {**params.pretrain.clip.training.model_dump(), "learning_rate": 1e-12, "weight_decay": 0.0}
    start = pretrain.run(changed(params, "clip", training=still), project, "clip")
    ours, theirs = (load_file(folder / "open_clip_model.safetensors") for folder in (control, start))
    for name, value in ours.items():
        torch.testing.assert_close(value, theirs[name], atol=1e-8, rtol=1e-6)
    for name in ("open_clip_config.json", "tokenizer.json"):
        assert (control / name).read_bytes() == (start / name).read_bytes()


def test_control_language_model_shares_the_vocabulary_only(project: Path, params: Params) -> None:
    full, without = pretrain.run(params, project, "bart"), pretrain.run(params, project, "bart_no_direct")
    assert (full / "tokenizer.json").read_bytes() == (without / "tokenizer.json").read_bytes()
    assert hashes(full)["model.safetensors"] != hashes(without)["model.safetensors"]


def test_the_language_model_names_what_it_has_not_read(project: Path, params: Params) -> None:
    folder = pretrain.run(params, project, "bart")
    ids = [record.id for record in read_texts(layout.download(project, "corpus"))]
    assert held_out(folder) == set(ids[-params.pretrain.language_model.held_out :])


def test_key_of_the_untrained_control_names_what_is_held_out_and_no_training(project: Path, params: Params) -> None:
    base = recipe_of(params, project, "clip_untrained").options
    other = changed(params, "clip", training={**params.pretrain.clip.training.model_dump(), "steps": 9})
    assert recipe_of(other, project, "clip_untrained").options == base
    assert recipe_of(changed(params, "clip", held_out=0.3), project, "clip_untrained").options != base


@pytest.mark.parametrize(
    ("section", "name"), [("clip", "clip"), ("clip", "clip_untrained"), ("language_model", "bart")]
)
def test_a_folder_of_published_weights_is_known_by_its_content(
    project: Path, params: Params, section: str, name: str
) -> None:
    given = project / "given"
    (given / "deep").mkdir(parents=True)
    (given / "deep/weights").write_bytes(b"one")
    there = changed(params, section, source="published", published=str(given))
    first = recipe_of(there, project, name).options
    assert recipe_of(there, project, name).options == first
    (given / "deep/weights").write_bytes(b"two")
    assert recipe_of(there, project, name).options != first


def test_deadline_stops_and_the_same_call_goes_on(project: Path, params: Params, monkeypatch) -> None:
    straight = hashes(pretrain.run(params, project, "bart"))
    monkeypatch.setenv("VLDISTILL_SCRATCH", str(project / "elsewhere"))
    with pytest.raises(Stopped):
        pretrain.run(params, project, "bart", deadline=0.0)
    assert hashes(pretrain.run(params, project, "bart")) == straight


def test_resnet_tower_resumes_with_its_batch_statistics(project: Path, params: Params, monkeypatch) -> None:
    shape = {**params.pretrain.clip.model.model_dump(), "tower": "resnet", "image_size": 32, "image_width": 8}
    resnet = changed(params, "clip", model=shape)
    straight = pretrain.run(resnet, project, "clip")
    model = open_clip.create_model(f"local-dir:{straight}", require_pretrained=True)
    assert type(model.visual).__name__ == "ModifiedResNet"
    assert model.visual.bn1.num_batches_tracked == 8
    first = hashes(straight)
    assert load_teacher(straight).patch_width == 256
    monkeypatch.setenv("VLDISTILL_SCRATCH", str(project / "elsewhere"))
    with pytest.raises(Stopped):
        pretrain.run(resnet, project, "clip", deadline=0.0)
    assert hashes(pretrain.run(resnet, project, "clip")) == first


@pytest.mark.slow
@pytest.mark.parametrize("name", ["clip", "bart"])
def test_killed_training_ends_with_the_same_bits(project: Path, params: Params, name: str, monkeypatch) -> None:
    straight = hashes(pretrain.run(params, project, name))
    scratch = project / "elsewhere"
    monkeypatch.setenv("VLDISTILL_SCRATCH", str(scratch))
    code = (
        "import sys; from vldistill import pretrain; from vldistill.params import Params;"
        "pretrain.run(Params.model_validate_json(sys.argv[1]), sys.argv[2], sys.argv[3])"
    )
    process = subprocess.Popen([sys.executable, "-c", code, params.model_dump_json(), str(project), name])
    until = time.monotonic() + 180
    while not list(scratch.glob("pretrain/*/checkpoints/step-*")) and process.poll() is None:
        assert time.monotonic() < until
        time.sleep(0.01)
    if process.poll() is None:
        os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert hashes(pretrain.run(params, project, name)) == straight


def test_published_weights_take_the_same_path(project: Path, params: Params) -> None:
    """Folders in the published formats stand for downloads: a teacher with QuickGELU, a BART."""
    given = project / "given"
    torch.manual_seed(99)
    config = {
        "embed_dim": 24, "quick_gelu": True,
        "vision_cfg": {"image_size": 16, "layers": 1, "width": 32, "head_width": 16, "patch_size": 8},
        "text_cfg": {"context_length": 12, "width": 32, "heads": 2, "layers": 1},
    }  # fmt: skip
    from open_clip.model import CLIP

    from vldistill.models.teacher import save_teacher

    save_teacher(given / "clip", CLIP(**config), config, {"mean": [0.5] * 3, "std": [0.5] * 3}, None)
    load_language_model(pretrain.run(params, project, "bart")).save(given / "bart")
    there = changed(params, "clip", source="published", published=str(given / "clip"))
    there = changed(there, "language_model", source="published", published=str(given / "bart"))
    teacher = pretrain.run(there, project, "clip")
    assert load_teacher(teacher).fingerprint == load_teacher(given / "clip").fingerprint
    assert artifact.read_manifest(teacher)["meta"]["metrics"]["fingerprint"]["activation"] == "quick_gelu"
    control = load_teacher(pretrain.run(there, project, "clip_untrained"))
    assert control.fingerprint["weights"] != load_teacher(teacher).fingerprint["weights"]
    assert control.fingerprint["activation"] == "quick_gelu"
    words = pretrain.run(there, project, "bart")
    assert torch.equal(
        load_file(words / "model.safetensors")["model.shared.weight"],
        load_file(given / "bart" / "model.safetensors")["model.shared.weight"],
    )
    twin = pretrain.run(there, project, "bart_no_direct")
    assert "no twin" in artifact.absence(twin) and artifact.read_manifest(twin)["files"] == {}
    assert layout.run_record(twin).is_file()


def test_a_stand_in_cannot_be_made_from_an_absent_corpus(project: Path, params: Params) -> None:
    artifact.publish_absent(layout.download(project, "corpus"), "nobody supplied it")
    with pytest.raises(InputError, match=r"nobody supplied it.*published weights"):
        pretrain.run(params, project, "bart")


def test_published_weights_that_are_not_there(project: Path, params: Params, monkeypatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(InputError, match=r"does not load.*machine with network"):
        pretrain.run(changed(params, "clip", source="published", published="hf-hub:nobody/none"), project, "clip")
    with pytest.raises(InputError, match=r"does not load.*machine with network"):
        pretrain.run(changed(params, "language_model", source="published", published="nobody/none"), project, "bart")
    assert not layout.pretrain(project, "clip").exists()


def test_unknown_model_is_named(project: Path, params: Params) -> None:
    with pytest.raises(InputError, match="bart_no_direct"):
        pretrain.run(params, project, "gpt")
