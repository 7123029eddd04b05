"""One run of the smoke preset for all tests here: a copy of the checkout in a repository of its own."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml
from filelock import FileLock

REPO = Path(__file__).parents[2]
BIN = Path(sys.executable).parent


@dataclass(frozen=True)
class Project:
    """A project folder, and the commands as a user types them there."""

    root: Path
    nothing = "Nothing to be done"

    def start(self, *command: str, **environment: str) -> subprocess.Popen[str]:
        """Start a command of the environment in a process group of its own, output to `log` beside the project."""
        with open(self.log, "w", encoding="utf-8") as log:
            return subprocess.Popen(
                command,
                cwd=self.root,
                env=env(**environment),
                stdout=log,
                stderr=log,
                text=True,
                start_new_session=True,
            )

    @property
    def log(self) -> Path:
        """Output of the command started last."""
        return self.root.with_name(f"{self.root.name}.log")

    def run(self, *command: str, check: bool = True, **environment: str) -> str:
        """Run a command of the environment; returns stdout and stderr together."""
        done = subprocess.run(
            command,
            cwd=self.root,
            env=env(**environment),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        assert not check or done.returncode == 0, f"{command} exited with {done.returncode}:\n{done.stdout[-6000:]}"
        return done.stdout

    def vldistill(self, *arguments: str) -> str:
        """Run the project's own `vldistill`, not the checkout's that is installed."""
        return self.run("vldistill", *arguments, PYTHONPATH=str(self.root / "src"))

    def commit(self, message: str = "state") -> None:
        """Commit everything that git sees."""
        self.run("git", "add", "--all")
        self.run("git", "commit", "--quiet", "--allow-empty", "--message", message)

    def edit(self, key: str, value: object) -> None:
        """Set one dotted key of params.yaml."""
        path = self.root / "params.yaml"
        tree = yaml.safe_load(path.read_text(encoding="utf-8"))
        *parents, last = key.split(".")
        place = tree
        for part in parents:
            place = place[part]
        place[last] = value
        path.write_text(yaml.safe_dump(tree, sort_keys=False), encoding="utf-8")

    def status(self) -> dict[str, list[object]]:
        """Stages that DVC calls changed, with its reasons."""
        text = self.run("dvc", "status", "--json")
        return json.loads(text[text.index("{") :])

    def planned_rules(self, *options: str) -> set[str]:
        """Rules that `snakemake -n all` lists, targets aside."""
        text = self.run("snakemake", "--dry-run", "--quiet", "rules", *options, "all")
        if self.nothing in text:
            return set()
        table = text[text.index("Job stats:") :].split("\n\n")[0].splitlines()[3:]
        return {line.split()[0] for line in table} - {"total", "all"}

    def stages_of(self, rules: set[str]) -> set[str]:
        """Stages of dvc.yaml whose command may run one of the rules; those of a group all together."""
        stages = yaml.safe_load((self.root / "dvc.yaml").read_text(encoding="utf-8"))["stages"]
        found: set[str] = set()
        for name, stage in stages.items():
            if rules & set(stage.get("do", stage)["cmd"].split()):
                found |= {f"{name}@{key}" for key in stage["foreach"]} if "foreach" in stage else {name}
        return found

    def copy_to(self, root: Path) -> Project:
        """An independent copy, modification times kept."""
        shutil.copytree(self.root, root, symlinks=True)
        return Project(root)


def env(**more: str) -> dict[str, str]:
    """Environment of a user with the environment active, without settings of the test run."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("SNAKEMAKE_", "VLDISTILL_S"))}
    kept.pop("PYTHONPATH", None)
    name = {"GIT_AUTHOR_NAME": "test", "GIT_COMMITTER_NAME": "test"}
    mail = {"GIT_AUTHOR_EMAIL": "test@localhost", "GIT_COMMITTER_EMAIL": "test@localhost"}
    return {**kept, **name, **mail, "PATH": f"{BIN}:{os.environ['PATH']}", **more}


def make_project(root: Path) -> Project:
    """The working tree of this checkout in a new repository, with the preset smoke."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=REPO,
        capture_output=True,
        check=True,
    )
    for name in filter(None, listed.stdout.decode().split("\0")):
        source, target = REPO / name, root / name
        # a file deleted and not yet committed is listed too
        if source.is_symlink() or source.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target, follow_symlinks=False)
    project = Project(root)
    project.run("git", "init", "--quiet", "--initial-branch", "main")
    (root / "params.yaml").unlink()
    project.vldistill("preset", "smoke")
    project.commit("start")
    return project


@pytest.fixture(scope="session")
def smoke(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project in which `snakemake all` has run; to be read and copied only. Shared by all test processes."""
    shared = tmp_path_factory.getbasetemp()
    if os.environ.get("PYTEST_XDIST_WORKER"):
        shared = shared.parent
    project = Project(shared / "smoke")
    with FileLock(shared / "smoke.lock"):
        if not project.log.is_file():
            make_project(project.root)
            text = project.run("snakemake", "all")
            project.commit("run")
            project.log.write_text(text, encoding="utf-8")
    return project


@pytest.fixture
def project(smoke: Project, tmp_path: Path) -> Project:
    """A copy of the finished smoke project, to work in."""
    return smoke.copy_to(tmp_path / "project")


@pytest.fixture(scope="session")
def new_project() -> Callable[[Path], Project]:
    """Makes a project in which nothing has run."""
    return make_project
