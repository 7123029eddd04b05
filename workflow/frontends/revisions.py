"""Per-item scores of git revisions and DVC experiments, exported through DVC's cache and remotes."""

from __future__ import annotations

from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from vldistill.errors import VldistillError

EVALUATED = "results/evaluate"
SCORES = "score"


def scores(folder: str, *revisions: str) -> dict[str, dict[str, str]]:
    """Export the scores of each revision into a folder of its own below `folder`; revision -> {folder, commit}.

    Cache and remotes are those that are set up now, not those of the revision's time.

    Raises:
        VldistillError: there is no such revision, it has no scores, or they are in no cache or remote.
    """
    from dvc.exceptions import DvcException
    from dvc.repo import Repo
    from dvc.repo.brancher import switch
    from dvc.scm import RevError

    found = {}
    try:
        with Repo() as here:
            today = {section: here.config[section] for section in ("core", "cache", "remote")}
        # a revision's own settings would not know a remote that is younger
        with Repo(config=today) as repo:
            for index, revision in enumerate(revisions):
                target = Path(folder) / str(index)
                with switch(repo, revision) as commit:
                    _export(repo, revision, target)
                found[revision] = {"folder": str(target), "commit": commit}
    except RevError:
        raise VldistillError(
            f"git and DVC know no revision {revision!r}. "
            "`git branch --all` and `dvc exp list --all-commits` list them; a folder must hold results/evaluate"
        ) from None
    except DvcException as error:
        raise VldistillError(f"DVC cannot read {', '.join(revisions)}: {error}") from error
    return found


def _export(repo: Any, revision: str, target: Path) -> None:
    files = repo.dvcfs
    methods = files.ls(EVALUATED, detail=False) if files.isdir(EVALUATED) else []
    folders = [f"{EVALUATED}/{Path(method).name}/{SCORES}" for method in methods]
    paths = [path for folder in folders if files.isdir(folder) for path in _score_files(files, folder)]
    if not paths and not any(EVALUATED in out.fs_path and out.hash_info for out in repo.index.outs):
        raise VldistillError(
            f"revision {revision!r} has no scores: its dvc.lock lacks them. "
            "Run the experiment, then commit dvc.lock (git add dvc.lock; git commit)"
        )
    try:
        for path in paths:
            (target / path).parent.mkdir(parents=True, exist_ok=True)
            files.get(path, str(target / path), recursive=True)
    except OSError:
        paths = []
    if not paths:
        raise VldistillError(
            f"the scores of {revision!r} are neither in DVC's cache nor in a remote. "
            "Fetch them (dvc fetch --all-commits), or check the revision out and run it again: dvc repro"
        )


def _score_files(files: Any, folder: str) -> list[str]:
    """The items and the tidy rows of one method."""
    names = sorted(Path(path).name for path in files.ls(folder, detail=False))
    return [f"{folder}/{name}" for name in names if name == "items" or fnmatch(name, "scores*.jsonl")]
