"""The lock, the conda file and pyproject.toml say the same."""

import re
import tomllib
from importlib import metadata
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def pins(name):
    """Canonical name -> requirement of a lock file in envs/."""
    lines = (ROOT / "envs" / name).read_text(encoding="utf-8").splitlines()
    found = [Requirement(line) for line in lines if line and not line.startswith(("#", "-"))]
    return {canonicalize_name(requirement.name): requirement for requirement in found}


def pinned_version(requirement):
    (specifier,) = requirement.specifier
    assert specifier.operator == "==", f"{requirement} is not pinned"
    return specifier.version


@pytest.mark.parametrize("extra", [None, "dev", "regions"])
def test_every_direct_dependency_is_pinned_within_its_bound(extra):
    project = PYPROJECT["project"]
    wanted = project["optional-dependencies"][extra] if extra else project["dependencies"]
    locked = pins("requirements.lock")
    for requirement in map(Requirement, wanted):
        pin = locked[canonicalize_name(requirement.name)]
        assert requirement.specifier.contains(pinned_version(pin)), f"{pin} is outside {requirement}"


def test_lock_is_closed():
    """Each dependency of each locked package is locked, so that nothing is resolved at install time.

    Only what torch's CUDA builds ask for comes from the constraints file instead.
    """
    locked, cuda = pins("requirements.lock"), pins("requirements-cuda.lock")
    assert not locked.keys() & cuda.keys()
    for name in locked:
        for requirement in map(Requirement, metadata.requires(name) or []):
            if requirement.marker and not requirement.marker.evaluate({"extra": ""}):
                continue
            needed = canonicalize_name(requirement.name)
            assert needed in locked or (name == "torch" and needed in cuda), f"{name} needs {requirement}"


def test_lock_pins_public_versions_only_and_cuda_only_on_linux():
    for requirement in pins("requirements.lock").values():
        assert "+" not in pinned_version(requirement), "a local version cannot be had from every index"
        assert requirement.url is None
    for requirement in pins("requirements-cuda.lock").values():
        assert pinned_version(requirement)
        assert not requirement.marker.evaluate({"platform_system": "Darwin"})


def test_conda_file_installs_the_lock():
    environment = yaml.safe_load((ROOT / "envs" / "environment.yaml").read_text(encoding="utf-8"))
    (pip,) = [entry for entry in environment["dependencies"] if isinstance(entry, dict)]
    assert pip == {"pip": ["-r requirements.lock"]}, "a relative path: conda resolves it beside the file"


def conda_version(package):
    environment = yaml.safe_load((ROOT / "envs" / "environment.yaml").read_text(encoding="utf-8"))
    (entry,) = [e for e in environment["dependencies"] if isinstance(e, str) and e.split("=")[0] == package]
    return entry.split("=")[1]


def test_python_and_java_versions_agree():
    python = conda_version("python")
    assert f">={python}" == PYPROJECT["project"]["requires-python"]
    assert PYPROJECT["tool"]["mypy"]["python_version"] == python
    assert PYPROJECT["tool"]["ruff"]["target-version"] == "py" + python.replace(".", "")
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert f"Python {python}, Java {conda_version('openjdk')}" in readme, "the README's tested platforms"


def test_img2dataset_is_an_environment_of_its_own():
    environment = yaml.safe_load((ROOT / "envs" / "img2dataset.yaml").read_text(encoding="utf-8"))
    (pip,) = [entry["pip"] for entry in environment["dependencies"] if isinstance(entry, dict)]
    bounds = {Requirement(entry).name: Requirement(entry).specifier for entry in pip}
    assert "img2dataset" in bounds
    assert not bounds["pandas"].contains(pinned_version(pins("requirements.lock")["pandas"])), "else one would do"
    assert "img2dataset" not in pins("requirements.lock")


def test_every_command_of_the_readme_is_a_target_or_a_command():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in set(re.findall(r"\bmake (\w+)", readme)):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), f"make {target}"
    from vldistill.cli.main import STAGES, UTILITIES

    for name in re.findall(r"`vldistill (\w+)", readme):
        assert name in STAGES or name in UTILITIES, f"vldistill {name}"


def test_ci_runs_make_test():
    script = ROOT / ".ci" / "run"
    assert script.stat().st_mode & 0o111
    assert "make test" in script.read_text(encoding="utf-8")
