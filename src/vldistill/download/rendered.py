"""The rendered world in run folders: one for the sets on the same images, rendered by the first who asks for one."""

from __future__ import annotations

from pathlib import Path

from vldistill.code_version import code_version
from vldistill.params import Params
from vldistill.provenance import libraries
from vldistill.runs import claim

STAGE = "download"


def rendered(params: Params, root: str | Path, dataset: str) -> Path:
    """The folder that holds the world's official files of ``dataset``; renders them where nobody has yet."""
    from vldistill.world.official import PARTS, part_of
    from vldistill.world.scenes import World

    part = part_of(dataset)
    key = {
        "code": code_version(STAGE, root),
        "libraries": libraries(),
        "world": params.world.model_dump(mode="json"),
        "part": list(part),
    }
    with claim(STAGE, key, root) as run:
        folder = run.path / "official"
        if not run.done:
            PARTS[part](World(params.world), folder)
            run.finish({"sets": sorted(path.name for path in folder.iterdir())})
    return folder / dataset
