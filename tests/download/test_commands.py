"""The commands `download` and `split` in a project's root."""

import pytest
import yaml
from click.testing import CliRunner

from vldistill import layout
from vldistill.artifact import verify
from vldistill.cli.download import command as download
from vldistill.cli.split import command as split
from vldistill.errors import InputError
from vldistill.files import read_json


@pytest.fixture
def project(params, tmp_path, monkeypatch):
    (tmp_path / layout.PARAMS).write_text(yaml.safe_dump(params.model_dump(mode="json")))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def call(command, *arguments):
    return CliRunner().invoke(command, arguments, catch_exceptions=False)


def test_download_then_split(project):
    assert call(download, "okvqa").exit_code == 0
    assert verify(layout.download(project, "okvqa"))["meta"]["source"] == "world"
    assert call(split, "okvqa").output.split() == [
        str(layout.split(project, "okvqa", name)) for name in ("dev", "test")
    ]
    assert len(read_json(layout.split(project, "okvqa", "test"))["ids"]) == 4


def test_official_files_to_look_at(project):
    assert call(download, "vqav2", "--official", "look/vqa").exit_code == 0
    names = {path.name for path in (project / "look" / "vqa").iterdir()}
    assert "v2_mscoco_val2014_annotations.json" in names and len(names) == 5
    assert not layout.download(project, "vqav2").exists()
    with pytest.raises(InputError, match="not empty"):
        call(download, "coco", "--official", "look/vqa")


def test_unknown_names_are_refused(project):
    with pytest.raises(InputError, match="Known: cc3m"):
        call(download, "imagenet")
    with pytest.raises(InputError, match="Known: coco"):
        call(split, "imagenet")
