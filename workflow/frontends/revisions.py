"""Scores and trials of git revisions and DVC experiments, exported through DVC's cache and remotes."""

from __future__ import annotations

from collections.abc import Callable
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from vldistill.errors import VldistillError

EVALUATED = "results/evaluate"
SCORES = "score"
MODELS = "results/distill/mad"


def scores(folder: str, *revisions: str) -> dict[str, dict[str, str]]:
    """Export the per-item scores and tidy rows of each revision; see `_exported`."""
    return _exported(folder, revisions, _score_files)


def trials(folder: str, *revisions: str) -> dict[str, dict[str, str]]:
    """Export what tells MAD's trials of each revision, models' config.json and tidy rows; see `_exported`.

    Raises:
        VldistillError: as there, or the scores of a revision are of other models than its own.
    """
    return _exported(folder, revisions, _trial_files)


def _exported(
    folder: str, revisions: tuple[str, ...], find: Callable[[Any, str], list[str]]
) -> dict[str, dict[str, str]]:
    """Export the files that `find` finds of each revision into a folder of its own below `folder`.

    Cache and remotes are those that are set up now, not those of the revision's time.

    Returns:
        Revision -> {folder, commit}.

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
                    _export(repo, revision, target, find)
                found[revision] = {"folder": str(target), "commit": commit}
    except RevError:
        raise VldistillError(
            f"git and DVC know no revision {revision!r}. "
            "`git branch --all` and `dvc exp list --all-commits` list them; a folder must hold results/evaluate"
        ) from None
    except DvcException as error:
        raise VldistillError(f"DVC cannot read {', '.join(revisions)}: {error}") from error
    return found


def _export(repo: Any, revision: str, target: Path, find: Callable[[Any, str], list[str]]) -> None:
    paths, files = find(repo, revision), repo.dvcfs
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


def _score_files(repo: Any, revision: str) -> list[str]:
    """The items of every task and the tidy rows of every method."""
    folders = [f"{EVALUATED}/{method}/{SCORES}" for method in _names(repo, EVALUATED)]
    rows = [f"{folder}/{name}" for folder in folders for name in _names(repo, folder) if fnmatch(name, "scores*.jsonl")]
    return rows + [f"{folder}/items/{task}" for folder in folders for task in _names(repo, f"{folder}/items")]


def _trial_files(repo: Any, revision: str) -> list[str]:
    """What the models of MAD say of themselves, and its tidy rows."""
    _refuse_stale(repo, revision)
    files, rows = repo.dvcfs, f"{EVALUATED}/mad/{SCORES}"
    found = [f"{rows}/{name}" for name in _names(repo, rows) if fnmatch(name, "scores*.jsonl")]
    tasks = [f"{MODELS}/{task}" for task in _names(repo, MODELS)]
    configs = [f"{task}/{cell}/config.json" for task in tasks for cell in _names(repo, task)]
    return found + [path for path in configs if files.isfile(path)]


def _refuse_stale(repo: Any, revision: str) -> None:
    """Refuse scores of MAD that were made of something else than what now stands in the lock file.

    An experiment may have run up to the training only; its scores are then those of the commit it began from.
    """
    outs = {out.def_path: out.hash_info for out in repo.index.outs}
    for stage in repo.index.stages:
        if not any(out.def_path.startswith(f"{EVALUATED}/mad/") for out in stage.outs):
            continue
        for dep in stage.deps:
            made = outs.get(dep.def_path)
            if made and dep.hash_info and dep.hash_info != made:
                raise VldistillError(
                    f"revision {revision!r}: {stage.name} was made of another {dep.def_path} than the one beside it. "
                    "Run the experiment again, with the targets evaluate_mad_score@TASK"
                )


def _names(repo: Any, folder: str) -> list[str]:
    """The names in a folder, none where it is not there; without outputs that dvc.yaml names and nobody made yet."""
    made = [out.def_path for out in repo.index.outs if out.hash_info]
    paths = repo.dvcfs.ls(folder, detail=False) if repo.dvcfs.isdir(folder) else []
    return sorted(Path(path).name for path in paths if any(_overlap(path, out) for out in made))


def _overlap(one: str, other: str) -> bool:
    """Whether two paths are the same, or one lies in the other."""
    return f"{one}/".startswith(f"{other}/") or f"{other}/".startswith(f"{one}/")
