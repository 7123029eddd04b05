"""What `vldistill clean` finds in run folders."""

from __future__ import annotations

from pathlib import Path

from vldistill import leftovers
from vldistill.code_version import code_version
from vldistill.params import parse
from vldistill.runs import claim
from vldistill.training.checkpoint import FOLDER


def test_checkpoints_go_once_the_run_is_finished_and_its_owner_gone(tmp_path: Path) -> None:
    def found() -> list[Path]:
        return leftovers.find(parse({}), tmp_path)

    with claim("distill", {"code": code_version("distill", tmp_path)}, tmp_path) as run:
        newest = run.path / FOLDER / "step-00000009"
        newest.mkdir(parents=True)
    assert found() == [], "they would be resumed"
    with claim("distill", run.key, tmp_path) as run:
        run.finish({})
        assert found() == [], "the owner itself is about to remove them"
    assert found() == [run.path / FOLDER]


def test_temporary_names_of_every_kind_go_and_no_others(tmp_path: Path) -> None:
    scratch = tmp_path / "scratch/distill/x"
    gone = [f".a.json.999999.{kind}" for kind in ("tmp", "new", "old", "old.tmp")]
    for name in (*gone, ".guard", ".a.json.tmp", "a.json.999999.tmp"):
        scratch.mkdir(parents=True, exist_ok=True)
        (scratch / name).touch()
    assert {path.name for path in leftovers.find(parse({}), tmp_path)} == set(gone)
