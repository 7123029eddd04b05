"""The entry of the stage: one data set into ``results/download/SET``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from vldistill import layout
from vldistill.artifact import publish, publish_absent
from vldistill.download.convert import SETS, convert, write_images
from vldistill.download.rendered import rendered
from vldistill.errors import InputError
from vldistill.params import Params
from vldistill.provenance import recorded
from vldistill.records import write_records, write_regions
from vldistill.records.synsets import write_synsets

OWN = "domains"
"""Questions on NoCaps images: a set of this project, made for the rendered world only."""
RESPLIT = "vqa_cp"
"""A re-split of VQA v2 as published; stage `split` makes one of its own where there is none."""


TEST_IMAGES = "coco_test2015"
"""COCO images that only VQA v2's questions without public answers are about: 13 GB, used where they are brought."""


def absent(params: Params, root: str | Path, dataset: str) -> str | None:
    """Why there is no ``dataset`` in this experiment; None where there must be one.

    The text sets are the user's to supply: without any file of one, what reads it is left out.
    """
    if params.download.source == "world":
        return "the rendered world has none: its VQA questions are split anew here" if dataset == RESPLIT else None
    if dataset == OWN:
        return "it asks about the images of the rendered world; there is no such set for published ones"
    from vldistill.download.registry import TEXTS, supplied

    if dataset not in (*TEXTS, RESPLIT) or supplied(dataset, root):
        return None
    if dataset == RESPLIT:
        return (
            "its files are not there, and their server may be gone: VQA v2's questions are split anew here instead. To "
            "use the published lists, try to fetch them by: vldistill download vqa_cp --official FOLDER; then run: "
            "vldistill download vqa_cp"
        )
    return (
        f"it is yours to supply, and no file of it is there: put the files into {dataset}/ below $VLDISTILL_DATA (else "
        f"data/raw/), or name their folder in $VLDISTILL_DATA_{dataset.upper()} (docs/data.md says what they hold); "
        f"then run: vldistill download {dataset}"
    )


def official(params: Params, root: str | Path, dataset: str) -> Path:
    """The folder with the official files of ``dataset``: rendered, or fetched and verified.

    Raises:
        InputError: there is no such data set, or it cannot be had.
    """
    if dataset not in SETS:
        raise InputError(f"no data set called {dataset!r}", action=f"Known: {', '.join(SETS)}")
    if params.download.source == "world":
        if dataset == RESPLIT:
            raise InputError("the rendered world has no set vqa_cp", action="It is for published data only")
        return rendered(params, root, dataset)
    from vldistill.download.registry import materialise

    return materialise(dataset, Path(root))


def _test_images(params: Params, root: str | Path) -> Path | None:
    from vldistill.download.registry import materialise, supplied

    there = params.download.source != "world" and supplied(TEST_IMAGES, root)
    return materialise(TEST_IMAGES, root) if there else None


def run(params: Params, root: str | Path, dataset: str) -> Path:
    """Make ``results/download/DATASET``: ``records.jsonl``, for images of its own ``images.zip`` and ``regions.jsonl``.

    Flickr30k has images and boxes only, no records.

    Returns:
        The published artifact; one without data where the set does not exist in this experiment (`absent`).

    Raises:
        InputError: unknown set, or a broken or missing official file; names file, record and field.
    """
    target = layout.download(root, dataset)
    with recorded(layout.run_record(target), stage="download", dataset=dataset):
        if reason := absent(params, root, dataset):
            return publish_absent(target, reason)
        # the folder of another set is asked for when that set's images are spoken of
        made = convert(
            dataset,
            lambda name: official(params, root, name),
            params.download.least_found,
            lambda: _test_images(params, root),
        )

        def build(folder: Path) -> None:
            if made.records:
                write_records(folder, made.records)
            if made.regions is not None:
                write_regions(folder, made.regions)
            if made.synsets:
                write_synsets(folder, made.synsets)
            if made.images:
                write_images(folder / "images.zip", made.images, params.download.resize)

        meta: dict[str, Any] = {"set": dataset, "source": params.download.source, "records": len(made.records)}
        return publish(target, build, {**meta, **made.counts})
