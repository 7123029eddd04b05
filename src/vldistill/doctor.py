"""What is installed on this machine, what is missing, and what to do about it (``vldistill doctor``).

Nothing here imports a heavy library: versions come from package metadata, and torch is asked for a GPU only where the
machine seems to have one.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Literal

from vldistill import layout
from vldistill.errors import VldistillError
from vldistill.provenance import git_state

Status = Literal["ok", "note", "missing"]
LOCK = Path("envs") / "requirements.lock"
PIN = re.compile(r"^([A-Za-z0-9][\w.-]*)==([^\s;]+)")
MINIMUM_PYTHON = (3, 11)
MINIMUM_JAVA = 8
# The miniature experiment writes about 2 GB; less than this and it may not finish.
MINIMUM_FREE_BYTES = 5 * 10**9


@dataclass(frozen=True)
class Check:
    """One line of the doctor's table.

    Attributes:
        name: what was looked at.
        status: ``ok``; ``note`` = something optional is absent or differs; ``missing`` = something needed is absent.
        found: what is there.
        action: what to do, empty when nothing is to be done.
        required: without it the pipeline does not run at all.
    """

    name: str
    status: Status
    found: str
    action: str = ""
    required: bool = False


def run(command: list[str], timeout: float = 10.0) -> str | None:
    """Standard output and error of a command; None when it is absent, fails or does not answer in time."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=timeout, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout + done.stderr


def check_python() -> Check:
    """The interpreter's version."""
    found = ".".join(map(str, sys.version_info[:3])) + f" at {sys.executable}"
    if sys.version_info >= MINIMUM_PYTHON:
        return Check("Python", "ok", found, required=True)
    return Check("Python", "missing", found, "Install Python 3.11 or later and make .venv again", required=True)


def read_pins(lock: Path) -> dict[str, str]:
    """Package name -> version of a pip lock file."""
    lines = lock.read_text(encoding="utf-8").splitlines()
    return {match[1]: match[2] for match in map(PIN.match, lines) if match}


def check_packages(root: Path) -> Check:
    """Installed packages against the lock file."""
    lock = root / LOCK
    if not lock.is_file():
        return Check("Packages", "note", f"no {LOCK} here", "Run in the project's root to compare with the lock file")
    absent, other = [], []
    pins = read_pins(lock)
    for name, version in pins.items():
        try:
            installed = metadata.version(name).split("+")[0]  # 2.14.1+cpu is the same release as 2.14.1
        except metadata.PackageNotFoundError:
            absent.append(name)
            continue
        if installed != version:
            other.append(f"{name} {installed} (lock: {version})")
    action = f"Install the lock: pip install -r {LOCK}"
    if absent:
        return Check("Packages", "missing", f"not installed: {', '.join(absent)}", action, required=True)
    if other:
        return Check("Packages", "note", f"differ from the lock: {', '.join(other)}", action)
    return Check("Packages", "ok", f"{len(pins)} as in {LOCK}", required=True)


def check_torch() -> Check:
    """Torch and its device. Torch is imported only where an NVIDIA driver is present."""
    try:
        version = metadata.version("torch")
    except metadata.PackageNotFoundError:
        return Check("Torch", "missing", "not installed", f"pip install -r {LOCK}", required=True)
    if not Path("/proc/driver/nvidia").exists() and not shutil.which("nvidia-smi"):
        return Check("Torch", "ok", f"{version}, CPU (no NVIDIA driver on this machine)", required=True)
    import torch

    if torch.cuda.is_available():
        names = ", ".join(torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count()))
        return Check("Torch", "ok", f"{version}, CUDA {torch.version.cuda}: {names}", required=True)
    return Check(
        "Torch",
        "note",
        f"{version} sees no GPU although the NVIDIA driver is installed",
        "Install a CUDA build of torch that fits the driver; on a cluster's login node this is usual",
    )


def check_java() -> Check:
    """Java, which the caption tokeniser, METEOR and SPICE need."""
    from vldistill.evaluate.metrics.java import JavaError, java_version

    consequence = "The caption metrics (they share one tokeniser in Java) are left out and marked so"
    try:
        major = java_version()
    except JavaError as error:
        return Check("Java", "missing", consequence, str(error))
    if major < MINIMUM_JAVA:
        return Check(
            "Java", "missing", f"Java {major} is too old. {consequence}", f"Install Java {MINIMUM_JAVA} or later"
        )
    return Check("Java", "ok", f"Java {major}")


def check_spice() -> Check:
    """The CoreNLP jars that only SPICE needs."""
    from vldistill.evaluate.metrics.java import JavaError
    from vldistill.evaluate.metrics.spice import find_jars

    try:
        return Check("SPICE jars", "ok", str(find_jars().paths[0].parent))
    except JavaError:
        return Check("SPICE jars", "note", "not looked for, since Java is missing")
    except VldistillError as error:
        return Check("SPICE jars", "note", "not found, so SPICE is left out and marked so", str(error))


def check_slurm() -> Check:
    """SLURM's commands, whether its controller answers, and whether accounting is on."""
    absent = [name for name in ("sbatch", "squeue", "scancel") if not shutil.which(name)]
    if absent:
        return Check(
            "SLURM",
            "note",
            f"not on this machine ({', '.join(absent)})",
            "Only needed for --profile slurm: log in there",
        )
    config = run(["scontrol", "show", "config"], timeout=5)
    if config is None:
        return Check("SLURM", "note", "installed, no controller answers", "Only needed for --profile slurm")
    match = re.search(r"AccountingStorageType\s*=\s*(\S+)", config)
    off = match is None or match[1].endswith("none")
    return Check("SLURM", "ok", f"answers, accounting {'off' if off else 'on'} (the profile asks squeue, not sacct)")


def check_git(root: Path) -> Check:
    """The checkout's commit and dirtiness."""
    state = git_state(root)
    if state["commit"] is None:
        return Check("git", "note", "not a git checkout", "Results carry no commit and DVC does not run; clone instead")
    if state["dirty"]:
        return Check(
            "git", "note", f"{state['commit'][:10]}, with uncommitted edits", "Commit before a run you want to cite"
        )
    return Check("git", "ok", state["commit"][:10])


def check_dvc(root: Path) -> Check:
    """DVC's repository and whether it has a remote."""
    if not shutil.which("dvc"):
        return Check("DVC", "note", "not on PATH", "Activate .venv: source .venv/bin/activate")
    if not (root / ".dvc").is_dir():
        return Check("DVC", "note", "no .dvc folder here", "Run in the project's root; elsewhere: dvc init")
    configs = [root / ".dvc" / name for name in ("config", "config.local")]
    remote = any("['remote" in path.read_text(encoding="utf-8") for path in configs if path.is_file())
    if remote:
        return Check("DVC", "ok", "repository with a remote")
    return Check("DVC", "ok", "repository without a remote", "To share results: dvc remote add -d NAME FOLDER-OR-URL")


def check_disk(root: Path) -> Check:
    """Free space where run folders go."""
    scratch = layout.scratch_root(root)
    there = next(folder for folder in (scratch, *scratch.parents) if folder.exists())
    free = shutil.disk_usage(there).free
    found = f"{free / 1e9:.1f} GB free for {scratch}"
    if not os.access(there, os.W_OK):
        return Check(
            "Scratch", "missing", f"cannot write to {there}", "Set VLDISTILL_SCRATCH to a writable folder", True
        )
    if free < MINIMUM_FREE_BYTES:
        return Check(
            "Scratch",
            "note",
            f"{found}, less than {MINIMUM_FREE_BYTES / 1e9:.0f} GB",
            "Set VLDISTILL_SCRATCH to a larger disk, or: vldistill clean",
        )
    return Check("Scratch", "ok", found)


def check_browser() -> Check:
    """A headless browser, which only the tests of the report use."""
    names = ("chromium", "chromium-browser", "google-chrome")
    found = next((path for path in map(shutil.which, names) if path), None)
    if found:
        return Check("Chromium", "ok", found)
    return Check("Chromium", "note", "not found", "Only the report's tests need it: apt-get install chromium")


def checks(root: Path) -> Iterator[Check]:
    """All checks, for the project at ``root``, in the order of the table."""
    yield check_python()
    yield check_packages(root)
    yield check_torch()
    yield check_java()
    yield check_spice()
    yield check_slurm()
    yield check_git(root)
    yield check_dvc(root)
    yield check_disk(root)
    yield check_browser()
