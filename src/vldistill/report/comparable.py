"""Whether a run's numbers may be held against the paper's, and whether the paper's have been reproduced at all."""

from __future__ import annotations

from pathlib import Path

from vldistill import layout
from vldistill.artifact import MANIFEST, read_manifest
from vldistill.params import Params
from vldistill.reproduce import read_reference, reference_path

BENCHMARKS = ("coco", "nocaps", "vqav2", "okvqa")


def differences(params: Params, root: Path) -> list[str]:
    """What sets this run's benchmarks apart from the papers': [] for published data, weights and every item of test.

    Images that were not got or not decodable are counted from the results: `download.least_found` and
    `features.max_invalid` only say how many are allowed.

    Raises:
        InputError: a manifest is broken.
    """
    vlkd = params.evaluate.vlkd
    found = []
    if params.download.source == "world":
        found.append("the images are rendered")
    sources = (("teacher", params.pretrain.clip), ("language model", params.pretrain.language_model))
    found += [f"the {name} is a stand-in trained here" for name, model in sources if model.source != "published"]
    if vlkd.split != "test":
        found.append(f"the split is {vlkd.split}")
    if vlkd.max_items:
        found.append(f"at most {vlkd.max_items} items of each task were evaluated")
    if vlkd.spice.images and vlkd.spice.mode != "off":
        found.append(f"SPICE is of the first {vlkd.spice.images} images")
    limits = {task: getattr(params.split, task).test for task in BENCHMARKS}
    found += [
        f"split.{task}.test keeps {limit} images of the test set" for task, limit in limits.items() if limit is not None
    ]
    return found + _lost(root)


def _lost(root: Path) -> list[str]:
    """Images of the data sets that are missing from this run's results."""
    found = []
    pairs = _meta(layout.download(root, "cc3m"))
    if (missing := pairs.get("addresses", 0) - pairs.get("found", 0)) > 0:
        found.append(f"{missing:,} of {pairs['addresses']:,} images of cc3m were not got")
    for dataset in ("cc3m", "coco", "nocaps"):
        features = _meta(layout.features(root, "clip", dataset))
        if features.get("invalid"):
            found.append(f"{features['invalid']:,} of {features['images']:,} images of {dataset} were not decodable")
    return found


def _meta(folder: Path) -> dict[str, int]:
    return read_manifest(folder).get("meta", {}) if (folder / MANIFEST).is_file() else {}


def reproduced(root: Path) -> bool:
    """Whether a run at the paper's scale is on record: its numbers, tracked as data/reference/paper.json.

    Raises:
        InputError: the file is there but malformed.
    """
    path = reference_path(root, "paper")
    return path.is_file() and bool(read_reference(path))
