"""One pre-trained model, from records to a published folder."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vldistill import artifact, layout, provenance, runs
from vldistill.code_version import code_version
from vldistill.errors import InputError
from vldistill.features.shards import link
from vldistill.files import sha256_file, sync_tree
from vldistill.params import Params
from vldistill.params.pretrain import Clip, LanguageModel
from vldistill.pretrain import clip, published
from vldistill.pretrain import language_model as language
from vldistill.pretrain.names import NAMES
from vldistill.training import Run, deadline_after, discard

MODEL = "model"
NO_TWIN = "published weights have no twin that was trained without documents that ask and answer without a description"


@dataclass(frozen=True)
class Recipe:
    """How one model is made.

    Attributes:
        options: the parameters it depends on, as JSON.
        inputs: the data sets it is made from.
        make: fills a folder and returns the dev figures; given the folder and the run.
    """

    options: dict[str, Any]
    inputs: tuple[str, ...]
    make: Callable[[Path, Run], dict[str, Any]]


def run(params: Params, root: Path, name: str, *, deadline: float | None = None) -> Path:
    """Make the model ``name`` in a run folder, or adopt or resume it, and publish results/pretrain/NAME.

    Args:
        params: the experiment.
        root: project root.
        name: one of `NAMES`.
        deadline: seconds from now by which the state must be saved.

    Returns:
        The published folder; its manifest's meta holds the dev figures. An absent artifact for the control
        `bart_no_direct` of published weights: there is no such model.

    Raises:
        InputError: no such model, an input is missing, or published weights are not to be had.
        Stopped: by a signal or the deadline, after saving; the same call goes on from there.
    """
    target = layout.pretrain(root, name)
    if name == "bart_no_direct" and params.pretrain.language_model.source == "published":
        with provenance.recorded(layout.run_record(target)):
            return artifact.publish_absent(target, NO_TWIN)
    recipe = recipe_of(params, root, name)
    for dataset in recipe.inputs:
        artifact.refuse_absent(
            layout.download(root, dataset), f"Supply {dataset}, or take published weights: pretrain.*.source"
        )
    key = {
        "code": code_version("pretrain", root),
        "name": name,
        "options": recipe.options,
        "compute": params.compute.model_dump(mode="json", include={"device", "dtype", "threads"}),
        "libraries": provenance.libraries(),
        "inputs": {dataset: artifact.fingerprint(layout.download(root, dataset)) for dataset in recipe.inputs},
    }
    with provenance.recorded(layout.run_record(target)) as facts, runs.claim("pretrain", key, root) as folder:
        if folder.result is None:
            state = Run(
                folder.path, f"pretrain {name}", recipe.options["seed"], params.compute, deadline_after(deadline)
            )
            metrics = _make_whole(recipe, folder.path / MODEL, state)
            folder.finish({"metrics": metrics})
            discard(folder.path)
        assert folder.result is not None
        facts["metrics"] = folder.result["metrics"]
        meta = {"name": name, "source": recipe.options["source"], "metrics": folder.result["metrics"]}
        artifact.publish(target, lambda fresh: _link_tree(folder.path / MODEL, fresh), meta)
    return target


def recipe_of(params: Params, root: Path, name: str) -> Recipe:
    """How the model ``name`` is made.

    Raises:
        InputError: there is no such model.
    """
    if name not in NAMES:
        raise InputError(f"no model called {name!r}", action=f"Use one of {', '.join(NAMES)}")
    teacher, text = params.pretrain.clip, params.pretrain.language_model
    if name.startswith("clip"):
        trained = name == "clip"
        # the control reads no training options; what is held out decides its vocabulary, as the trained one's
        left_out = set() if trained else {"training"}
        if teacher.source == "published":
            read = _published(teacher)
            return Recipe(read, (), lambda to, run: published.teacher(teacher.published, to, trained, run.seed))
        read = teacher.model_dump(mode="json", exclude={"published", *left_out})
        data = layout.download(root, "cc3m")
        return Recipe(read, ("cc3m",), lambda to, run: clip.make(teacher, data, to, run, trained=trained))
    direct = name == "bart"
    if text.source == "published":
        read = _published(text)
        return Recipe(read, (), lambda to, run: published.language_model(text.published, to))
    read = {**text.model_dump(mode="json", exclude={"published"}), "direct": direct}
    folders = {dataset: layout.download(root, dataset) for dataset in ("corpus", "cc3m")}
    return Recipe(read, tuple(folders), lambda to, run: language.make(text, folders, to, run, direct=direct))


def _published(options: Clip | LanguageModel) -> dict[str, Any]:
    """What a published model depends on: its name, or the content of the folder that is given for it."""
    folder = Path(options.published)
    files = {
        path.relative_to(folder).as_posix(): sha256_file(path) for path in sorted(folder.rglob("*")) if path.is_file()
    }
    return {"source": "published", "published": options.published, "seed": options.seed, "files": files}


def _make_whole(recipe: Recipe, folder: Path, state: Run) -> dict[str, Any]:
    """Make the model beside ``folder`` and rename it, so that a kill leaves no half of one."""
    fresh = folder.with_name(f".{folder.name}.{os.getpid()}.tmp")
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(parents=True)
    try:
        metrics = recipe.make(fresh, state)
        sync_tree(fresh)
        shutil.rmtree(folder, ignore_errors=True)
        os.replace(fresh, folder)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
    return metrics


def _link_tree(source: Path, target: Path) -> None:
    for path in sorted(source.rglob("*")):
        copy = target / path.relative_to(source)
        if path.is_dir():
            copy.mkdir()
        else:
            link(path, copy)
