"""Presets: shown, applied, and never over a user's edits."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from vldistill import presets
from vldistill.cli.preset import command
from vldistill.errors import VldistillError

ROOT = Path(__file__).parents[2]


@pytest.fixture
def project(tmp_path, monkeypatch):
    shutil.copytree(ROOT / "workflow" / "presets", tmp_path / "workflow" / "presets")
    monkeypatch.chdir(tmp_path)
    presets.apply(tmp_path, "mini")
    return tmp_path


def test_apply_and_recognise_each(project):
    for name in presets.NAMES:
        presets.apply(project, name)
        assert presets.current(project) == name


def test_difference_lists_changed_keys(project):
    tree = yaml.safe_load((project / "params.yaml").read_text())
    tree["compute"]["threads"] = 2
    (project / "params.yaml").write_text(yaml.safe_dump(tree))
    assert presets.difference(project, "mini") == ["compute.threads: 2 -> 1"]
    assert presets.current(project) is None


def test_edits_are_not_overwritten_without_force(project):
    text = (project / "params.yaml").read_text().replace("threads: 1", "threads: 2")
    (project / "params.yaml").write_text(text)
    with pytest.raises(VldistillError, match="--force"):
        presets.apply(project, "smoke")
    assert (project / "params.yaml").read_text() == text
    presets.apply(project, "smoke", force=True)
    assert presets.current(project) == "smoke"


def test_command_shows_without_writing(project):
    before = (project / "params.yaml").read_bytes()
    result = CliRunner().invoke(command, ["smoke", "--show"])
    assert result.exit_code == 0
    assert " -> " in result.output
    assert (project / "params.yaml").read_bytes() == before
    assert "equals the preset mini" in CliRunner().invoke(command, []).output


def test_a_broken_params_file_can_be_replaced(project):
    (project / "params.yaml").write_text("compute: {thread: 1}\n")
    assert "compute.thread: 1 -> (absent)" in presets.difference(project, "mini")
    with pytest.raises(VldistillError):
        presets.apply(project, "mini")
    presets.apply(project, "mini", force=True)
    assert presets.current(project) == "mini"
