"""One pre-trained model, from its recipe to a published folder."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vldistill import artifact, layout, provenance, runs
from vldistill.code_version import code_version
from vldistill.features.shards import link
from vldistill.files import sha256_file, sync_tree
from vldistill.params import Params
from vldistill.training import Run, deadline_after, discard

MODEL = "model"


@dataclass(frozen=True)
class Recipe:
    """How one model is made.

    Attributes:
        options: the parameters it depends on, as JSON.
        inputs: the artifacts it is made from, by the part they play.
        make: fills a folder and returns the dev figures; given the folder and the run.
        absent: why there is no such model in this experiment.
    """

    options: dict[str, Any]
    inputs: Mapping[str, Path]
    make: Callable[[Path, Run], dict[str, Any]]
    absent: str | None = None


def absent(reason: str) -> Recipe:
    """The recipe of a model that does not exist in this experiment."""

    def make(folder: Path, run: Run) -> dict[str, Any]:
        raise AssertionError(reason)

    return Recipe({}, {}, make, absent=reason)


def contents(source: str) -> dict[str, str]:
    """Name -> sha256 of the files of a folder that is given as the source of weights; empty where it is a name."""
    folder = Path(source)
    return {
        path.relative_to(folder).as_posix(): sha256_file(path) for path in sorted(folder.rglob("*")) if path.is_file()
    }


def run(
    params: Params, root: Path, name: str, recipe: Recipe, stage: str = "pretrain", *, deadline: float | None = None
) -> Path:
    """Make the model ``name`` in a run folder, or adopt or resume it, and publish results/pretrain/NAME.

    Args:
        params: the experiment.
        root: project root.
        name: of the model.
        recipe: how it is made.
        stage: whose code version it depends on.
        deadline: seconds from now by which the state must be saved.

    Returns:
        The published folder; its manifest's meta holds the dev figures. An absent artifact where the recipe says so.

    Raises:
        InputError: an input is missing, or published weights are not to be had.
        Stopped: by a signal or the deadline, after saving; the same call goes on from there.
    """
    target = layout.pretrain(root, name)
    if recipe.absent:
        with provenance.recorded(layout.run_record(target)):
            return artifact.publish_absent(target, recipe.absent)
    for part, folder in recipe.inputs.items():
        artifact.refuse_absent(folder, f"Supply {part}, or take published weights: pretrain.*.source")
    key = {
        "code": code_version(stage, root),
        "name": name,
        "options": recipe.options,
        "compute": params.compute.model_dump(mode="json", include={"device", "dtype", "threads"}),
        "libraries": provenance.libraries(),
        "inputs": {part: artifact.fingerprint(folder) for part, folder in recipe.inputs.items()},
    }
    with provenance.recorded(layout.run_record(target)) as facts, runs.claim(stage, key, root) as claimed:
        if claimed.result is None:
            state = Run(
                claimed.path, f"pretrain {name}", recipe.options["seed"], params.compute, deadline_after(deadline)
            )
            metrics = _make_whole(recipe, claimed.path / MODEL, state)
            claimed.finish({"metrics": metrics})
            discard(claimed.path)
        assert claimed.result is not None
        facts["metrics"] = claimed.result["metrics"]
        meta = {"name": name, "source": recipe.options["source"], "metrics": claimed.result["metrics"]}
        artifact.publish(target, lambda fresh: _link_tree(claimed.path / MODEL, fresh), meta)
    return target


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
