"""`vldistill doctor` tells what is there, what is missing and what to do."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from vldistill import doctor

ROOT = Path(__file__).parents[2]


def call(*arguments, cwd=ROOT, **environment):
    return subprocess.run(
        [sys.executable, "-m", "vldistill.cli.main", "doctor", *arguments],
        cwd=cwd,
        env={**os.environ, "COLUMNS": "200", **environment},
        capture_output=True,
        text=True,
        timeout=120,
    )


def only(folder, *programs):
    """A PATH that holds nothing but the named shell scripts."""
    folder.mkdir(exist_ok=True)
    for name, text in programs:
        (folder / name).write_text(f"#!/bin/sh\n{text}\n")
        (folder / name).chmod(0o755)
    return str(folder)


def test_here_everything_required_is_present():
    done = call()
    assert done.returncode == 0, done.stdout + done.stderr
    for name in ("Python", "Packages", "Torch", "Java", "SPICE jars", "SLURM", "git", "DVC", "Scratch", "Chromium"):
        assert name in done.stdout


def test_missing_java_is_one_message_with_the_install_command_and_no_failure(tmp_path):
    done = call("--brief", PATH=only(tmp_path / "bin"), JAVA_HOME="")
    assert done.returncode == 0
    (line,) = [line for line in done.stderr.splitlines() if "Java" in line]
    assert "install default-jre-headless" in line
    assert "left out" in line


@pytest.mark.parametrize("script", ["exit 1", "echo 'java version \"1.7.0_80\"' >&2"])
def test_a_java_that_fails_or_is_too_old_is_missing(tmp_path, monkeypatch, script):
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setenv("PATH", only(tmp_path / "bin", ("java", script)))
    assert doctor.check_java().status == "missing"


def test_spice_jars(tmp_path, monkeypatch):
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setenv("PATH", only(tmp_path / "bin", ("java", "echo 'version \"17.0.1\"' >&2")))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "no-cache"))
    monkeypatch.setenv("VLDISTILL_CORENLP", str(tmp_path))
    (tmp_path / "stanford-corenlp-3.6.0.jar").touch()
    lacking = doctor.check_spice()
    assert lacking.status == "note"
    assert "fetch-spice" in lacking.action
    for name in ("stanford-corenlp-3.6.0-models.jar", "rhino-1.7.14.jar", "rhino-engine-1.7.14.jar"):
        (tmp_path / name).touch()
    assert doctor.check_spice().status == "ok"
    monkeypatch.setenv("PATH", str(tmp_path / "empty"))
    assert "Java is missing" in doctor.check_spice().found


def test_a_package_of_the_lock_that_is_absent_fails(tmp_path):
    (tmp_path / "envs").mkdir()
    (tmp_path / "envs" / "requirements.lock").write_text("# pins\nnumpy==0.0.1\nno-such-package-here==1.0 ; True\n")
    check = doctor.check_packages(tmp_path)
    assert check.status == "missing"
    assert "no-such-package-here" in check.found
    done = call("--brief", cwd=tmp_path)
    assert done.returncode == 1
    assert "no-such-package-here" in done.stderr


def test_another_version_than_the_lock_is_a_note(tmp_path):
    (tmp_path / "envs").mkdir()
    (tmp_path / "envs" / "requirements.lock").write_text("numpy==0.0.1\n")
    check = doctor.check_packages(tmp_path)
    assert check.status == "note"
    assert "lock: 0.0.1" in check.found


@pytest.mark.parametrize(
    ("storage", "word"), [("accounting_storage/none", "off"), ("accounting_storage/slurmdbd", "on")]
)
def test_slurm_accounting(tmp_path, monkeypatch, storage, word):
    scontrol = ("scontrol", f"echo 'AccountingStorageType   = {storage}'")
    programs = [(name, "exit 0") for name in ("sbatch", "squeue", "scancel")]
    monkeypatch.setenv("PATH", only(tmp_path / "bin", scontrol, *programs))
    assert f"accounting {word}" in doctor.check_slurm().found


def test_slurm_without_a_controller_and_without_commands(tmp_path, monkeypatch):
    programs = [(name, "exit 1") for name in ("sbatch", "squeue", "scancel", "scontrol")]
    monkeypatch.setenv("PATH", only(tmp_path / "bin", *programs))
    assert "no controller" in doctor.check_slurm().found
    monkeypatch.setenv("PATH", str(tmp_path))
    assert doctor.check_slurm().status == "note"


def test_outside_git_and_dvc(tmp_path, monkeypatch):
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert doctor.check_git(tmp_path).status == "note"
    assert doctor.check_dvc(tmp_path).status == "note"


def test_scratch_is_looked_for_where_it_would_be_made(tmp_path, monkeypatch):
    monkeypatch.setenv("VLDISTILL_SCRATCH", str(tmp_path / "not" / "there" / "yet"))
    check = doctor.check_disk(tmp_path)
    assert "not/there/yet" in check.found


def test_brief_is_quick():
    start = time.monotonic()
    call("--brief")
    assert time.monotonic() - start < 10  # 1 s on an idle machine; importing torch and transformers would take more
