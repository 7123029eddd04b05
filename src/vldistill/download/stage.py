"""The entry of the stage: one data set into ``results/download/SET``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from vldistill import layout
from vldistill.artifact import publish
from vldistill.download.convert import SETS, convert, write_images
from vldistill.download.rendered import rendered
from vldistill.errors import InputError
from vldistill.params import Params
from vldistill.provenance import recorded
from vldistill.records import write_records


def official(params: Params, root: str | Path, dataset: str) -> Path:
    """The folder with the official files of ``dataset``: rendered, or fetched and verified.

    Raises:
        InputError: there is no such data set, or it cannot be had.
    """
    if dataset not in SETS:
        raise InputError(f"no data set called {dataset!r}", action=f"Known: {', '.join(SETS)}")
    if params.download.source == "world":
        return rendered(params, root) / dataset
    from vldistill.download.registry import materialise

    return materialise(dataset, Path(root))


def run(params: Params, root: str | Path, dataset: str) -> Path:
    """Make ``results/download/DATASET``: ``records.jsonl`` and, for sets with images of their own, ``images.zip``.

    Returns:
        The published artifact.

    Raises:
        InputError: unknown set, or a broken or missing official file; names file, record and field.
    """
    target = layout.download(root, dataset)
    with recorded(layout.run_record(target), stage="download", dataset=dataset):
        # the folder of another set is asked for when that set's images are spoken of
        made = convert(dataset, lambda name: official(params, root, name), params.download.least_found)

        def build(folder: Path) -> None:
            write_records(folder, made.records)
            if made.images:
                write_images(folder / "images.zip", made.images, params.download.resize)

        meta: dict[str, Any] = {"set": dataset, "source": params.download.source, "records": len(made.records)}
        return publish(target, build, {**meta, **made.counts})
