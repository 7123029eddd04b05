"""The rendered world in a run folder of its own, made once for all data sets."""

from __future__ import annotations

from pathlib import Path

from vldistill.code_version import code_version
from vldistill.params import Params
from vldistill.provenance import libraries
from vldistill.runs import claim

STAGE = "download"


def rendered(params: Params, root: str | Path) -> Path:
    """The folder that holds the world's official files, ``SET/...``; renders them where nobody has yet."""
    key = {
        "code": code_version(STAGE, root),
        "libraries": libraries(),
        "world": params.world.model_dump(mode="json"),
    }
    with claim(STAGE, key, root) as run:
        folder = run.path / "official"
        if not run.done:
            from vldistill.world.official import write
            from vldistill.world.scenes import World

            write(World(params.world), folder)
            run.finish({"sets": sorted(path.name for path in folder.iterdir())})
    return folder
