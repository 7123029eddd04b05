"""A distilled folder answers at once, in Python and on the command line, also for a user's own image."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from PIL import Image

import vldistill
from vldistill import layout, presets
from vldistill.cli.main import cli
from vldistill.errors import InputError
from vldistill.evaluate.data import Data
from vldistill.files import read_json
from vldistill.inference import Distilled, options_of
from vldistill.models.images import open_image
from vldistill.params.evaluate import EvaluateVlkd

REPO = Path(__file__).parents[2]
pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Away from this checkout, whose default model the commands would take."""
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="module")
def folder(project: Path) -> Path:
    return layout.distill_vlkd(project) / "all-s0"


@pytest.fixture(scope="module")
def model(folder: Path) -> Distilled:
    return vldistill.load(str(folder))


@pytest.fixture
def photograph(tmp_path: Path) -> Path:
    """An image of another size, mode and orientation than any the model has seen."""
    pixels = np.random.default_rng(0).integers(0, 256, (333, 517), dtype=np.uint8)
    path = tmp_path / "my own.tiff"
    Image.fromarray(pixels).convert("CMYK").save(path)
    return path


def test_says_of_a_file_what_the_evaluation_says_of_its_stored_features(
    model: Distilled, project: Path, predicted: Path, tmp_path: Path
) -> None:
    import zipfile

    records = Data(project, "test").captions("coco")[:8]
    with zipfile.ZipFile(layout.download(project, "coco") / "images.zip") as archive:
        images = [open_image(archive.read(record.image)) for record in records]
    stored = {row["image_id"]: row["caption"] for row in read_json(predicted / "coco/all-s0.json")}
    said = model.caption(images, max_new_tokens=24)
    # features are stored in half precision: an answer may differ where two words are nearly as likely
    agree = sum(caption == stored[int(record.id)] for caption, record in zip(said, records, strict=True))
    assert agree >= 6


def test_any_image_gets_one_caption_and_an_answer(model: Distilled, photograph: Path) -> None:
    pixels = Image.open(photograph)
    first, second = model.caption([photograph, pixels], num_beams=2)
    assert isinstance(first, str) and isinstance(second, str)
    assert model.caption(photograph) == model.caption([photograph.read_bytes()])
    assert isinstance(model.ask(photograph, "what color is it?"), str)
    assert model.caption([]) == []
    assert model.is_toy


def test_bad_questions_images_and_folders_are_named(model: Distilled, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="question is empty"):
        model.ask(tmp_path, "  ")
    (tmp_path / "empty.png").touch()
    with pytest.raises(InputError, match=r"empty\.png.*empty"):
        model.caption(tmp_path / "empty.png")
    with pytest.raises(InputError, match="no such model folder"):
        vldistill.load(str(tmp_path / "nothing"))
    with pytest.raises(InputError):
        vldistill.load(str(tmp_path))


def run(*arguments: object) -> Result:
    return CliRunner().invoke(cli, [str(argument) for argument in arguments])


def test_caption_command_goes_on_after_a_broken_image(folder: Path, photograph: Path, tmp_path: Path) -> None:
    (tmp_path / "cut.jpg").write_bytes(b"\xff\xd8\xff\xe0 cut off")
    found = run("caption", tmp_path / "cut.jpg", photograph, "--model", folder)
    assert found.exit_code == 2
    assert found.stdout.startswith(f"{photograph}: ")
    assert "cut.jpg" in found.stderr
    assert "toy model" in found.stderr


def test_ask_command_prints_the_answer_alone(folder: Path, photograph: Path, model: Distilled) -> None:
    found = run("ask", photograph, "what color is it?", "--model", folder)
    assert found.exit_code == 0
    assert found.stdout.strip() == model.ask(photograph, "what color is it?")


SHORT = "evaluate: {vlkd: {decoding: {caption: {max_new_tokens: 1}}}}"


@pytest.fixture
def moved(folder: Path, tmp_path: Path) -> Path:
    """The model in a project of its own."""
    return Path(shutil.copytree(folder, tmp_path / "project" / "results/distill/vlkd/all-s0"))


def test_a_model_is_asked_as_its_project_says_wherever_one_stands(moved: Path, folder: Path, photograph: Path) -> None:
    plain = run("caption", photograph, "--model", folder).stdout
    Path("elsewhere").mkdir()
    os.chdir("elsewhere")
    Path("params.yaml").write_text(SHORT)
    assert run("caption", photograph, "--model", folder).stdout == plain, "of a project that is not the model's"
    (moved.parents[3] / "params.yaml").write_text(SHORT)
    short = run("caption", photograph, "--model", moved).stdout
    assert len(short) < len(plain)
    assert vldistill.load(str(moved)).caption(photograph)[0] in short


def test_prompts_beside_a_model_come_before_its_project(moved: Path, tmp_path: Path) -> None:
    (moved.parents[3] / "params.yaml").write_text(SHORT)
    assert options_of(moved, toy=True).decoding.caption.max_new_tokens == 1
    (moved / "prompts.json").write_text('{"decoding": {"caption": {"num_beams": 7}}}')
    assert options_of(moved, toy=True).decoding.caption.num_beams == 7
    (moved / "prompts.json").write_text('{"decoding": {"caption": {"beams": 7}}}')
    with pytest.raises(InputError, match=r"prompts\.json.*decoding\.caption\.beams"):
        options_of(moved, toy=True)


def test_a_model_outside_any_project_is_asked_as_its_kind_of_weights(tmp_path: Path) -> None:
    assert options_of(tmp_path, toy=True) == EvaluateVlkd()
    paper, published = presets.params_of(REPO, "paper").evaluate.vlkd, options_of(tmp_path, toy=False)
    for kind in ("caption", "vqa"):
        assert getattr(published.prompts, kind) == getattr(paper.prompts, kind)
        assert getattr(published.decoding, kind) == getattr(paper.decoding, kind)
    assert published.answers == paper.answers


def test_ask_without_a_model_says_what_to_do(photograph: Path) -> None:
    found = run("ask", photograph, "what?")
    assert isinstance(found.exception, InputError)
    assert "make reproduce" in str(found.exception)
