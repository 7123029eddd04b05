"""The table of sources is complete, and `accept` declares versions equal."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

import pytest

from vldistill import code_version as module
from vldistill.code_version import NEUTRAL, PACKAGE, SOURCES, accept, code_version, raw_version, source_files
from vldistill.errors import InputError
from vldistill.runs import claim


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package of two stages whose sources a test may edit."""
    monkeypatch.setattr(module, "PACKAGE", tmp_path)
    monkeypatch.setattr(module, "SOURCES", {"distill": ("distill", "store.py"), "report": ("report",)})
    for name in ("distill/a.py", "report/b.py"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_text("x = 1\n")
    (tmp_path / "store.py").write_text("y = 1\n")
    return tmp_path


def finish_run(root: Path) -> None:
    with claim("distill", {"code": code_version("distill", root)}, root) as run:
        run.finish({})


def test_only_a_stages_own_sources_change_its_version(package: Path) -> None:
    before = raw_version("distill")
    (package / "report/b.py").write_text("x = 2\n")
    assert raw_version("distill") == before
    (package / "store.py").write_text("y = 2\n")
    assert raw_version("distill") != before


def test_renaming_and_moving_text_between_files_changes_it(package: Path) -> None:
    before = raw_version("distill")
    (package / "distill/a.py").rename(package / "distill/c.py")
    assert raw_version("distill") != before


def test_accept(package: Path, tmp_path: Path) -> None:
    root = tmp_path / "project"
    finish_run(root)
    old = code_version("distill", root)
    (package / "distill/a.py").write_text("x = 1  # said differently\n")
    assert code_version("distill", root) != old
    new, accepted = accept("distill", root)
    assert (new, accepted) == (raw_version("distill"), old) and code_version("distill", root) == old
    (package / "distill/a.py").write_text("x = 1  # again\n")
    accept("distill", root)
    assert code_version("distill", root) == old
    (package / "distill/a.py").write_text("x = 1\n")
    assert code_version("distill", root) == old


def test_accept_needs_something_to_accept(package: Path, tmp_path: Path) -> None:
    root = tmp_path / "project"
    with pytest.raises(InputError, match="no finished run of distill"):
        accept("distill", root)
    finish_run(root)
    with pytest.raises(InputError, match="nothing to accept"):
        accept("distill", root)
    with pytest.raises(InputError, match="no stage called 'distil'"):
        accept("distil", root)


@cache
def imports_of(path: Path) -> set[str]:
    """Modules of the package that `path` imports, at its top or inside functions."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return {name for name in found if name.startswith("vldistill.")}


@cache
def file_of(name: str) -> Path | None:
    path = PACKAGE.joinpath(*name.split(".")[1:])
    return next((p for p in (path.with_suffix(".py"), path / "__init__.py") if p.is_file()), None)


@pytest.mark.parametrize("stage", SOURCES)
def test_every_import_of_a_stage_is_in_its_sources_or_neutral(stage: str) -> None:
    sources = set(source_files(stage))
    assert sources, "the stage has no sources"
    for path in sources:
        for name in imports_of(path):
            target = file_of(name)
            if target is None:
                continue  # a name inside a module
            inside = target.relative_to(PACKAGE).as_posix()
            neutral = any(inside == entry or inside.startswith(f"{entry}/") for entry in NEUTRAL)
            package_mark = target.name == "__init__.py" and not imports_of(target)
            assert target in sources or neutral or package_mark, f"{path.name} imports {inside}"
