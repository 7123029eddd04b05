"""Scratch outlives DVC's temporary workspaces."""

from __future__ import annotations

from vldistill import layout


def test_scratch_is_below_the_checkout(tmp_path, monkeypatch):
    monkeypatch.delenv("VLDISTILL_SCRATCH", raising=False)
    assert layout.scratch_root(tmp_path) == tmp_path.resolve() / "scratch"


def test_scratch_of_a_temporary_workspace_is_the_main_checkouts(tmp_path, monkeypatch):
    monkeypatch.delenv("VLDISTILL_SCRATCH", raising=False)
    workspace = tmp_path / ".dvc" / "tmp" / "exps" / "standalone" / "tmpabc"
    workspace.mkdir(parents=True)
    assert layout.scratch_root(workspace) == tmp_path.resolve() / "scratch"


def test_scratch_from_the_environment_wins(tmp_path, monkeypatch):
    monkeypatch.setenv("VLDISTILL_SCRATCH", str(tmp_path / "fast"))
    assert layout.scratch_root("elsewhere") == (tmp_path / "fast").resolve()


def test_run_record_stands_beside_its_folder(tmp_path):
    assert layout.run_record(layout.download(tmp_path, "coco")).name == "coco.run.json"
