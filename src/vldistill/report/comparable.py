"""Whether a run's numbers may be held against the papers', and whether VLKD's have been reproduced at all."""

from __future__ import annotations

from pathlib import Path

from vldistill import layout
from vldistill.artifact import MANIFEST, read_manifest
from vldistill.params import Params
from vldistill.reproduce import read_reference, reference_path

BENCHMARKS = ("coco", "nocaps", "vqav2", "okvqa")


IMAGES = {"snli_ve": "flickr30k", "vcr": "vcr"}
"""The tasks of which the paper of MAD reports a number, and the set of their images."""


def differences(params: Params, root: Path) -> list[str]:
    """What sets this run's benchmarks of VLKD apart from the paper's: [] for published data and weights, all of test.

    Images that were not got or not decodable are counted from the results: `download.least_found` and
    `features.max_invalid` only say how many are allowed.

    Raises:
        InputError: a manifest is broken.
    """
    vlkd = params.evaluate.vlkd
    found = _stand_ins(params)
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


def mad_differences(params: Params, root: Path, task: str) -> list[str]:
    """What sets this run's number of MAD on ``task`` apart from the paper's: [] for the same test items and weights.

    VCR's is never empty: the paper reports the official test part, whose labels only the leaderboard knows.

    Raises:
        InputError: a manifest is broken.
    """
    options, found = params.evaluate.mad, _stand_ins(params)
    if params.pretrain.student.source == "train":
        found.append("the student is a small one pre-trained here")
    if options.split != "test":
        found.append(f"the split is {options.split}")
    if options.max_items:
        found.append(f"at most {options.max_items} items of each set were evaluated")
    if (limit := getattr(params.split.mad, task).test) is not None:
        found.append(f"split.mad.{task}.test keeps {limit} {'movies' if task == 'vcr' else 'images'} of the test set")
    if pairs := _meta(layout.download(root, task)).get("visual_genome"):
        found.append(f"{pairs:,} pairs of {task} have no image")
    found += _undecodable(root, IMAGES[task])
    if task == "vcr":
        found.append("ours is of the official val, the paper\u2019s of test, which the leaderboard alone can score")
    return found


def _stand_ins(params: Params) -> list[str]:
    """Images and teachers that are not the papers'."""
    found = ["the images are rendered"] if params.download.source == "world" else []
    sources = (("teacher", params.pretrain.clip), ("language model", params.pretrain.language_model))
    return found + [f"the {name} is a stand-in trained here" for name, model in sources if model.source != "published"]


def _lost(root: Path) -> list[str]:
    """Images of the data sets of VLKD that are missing from this run's results."""
    found = []
    pairs = _meta(layout.download(root, "cc3m"))
    if (missing := pairs.get("addresses", 0) - pairs.get("found", 0)) > 0:
        found.append(f"{missing:,} of {pairs['addresses']:,} images of cc3m were not got")
    for dataset in ("cc3m", "coco", "nocaps"):
        found += _undecodable(root, dataset)
    return found


def _undecodable(root: Path, dataset: str) -> list[str]:
    features = _meta(layout.features(root, "clip", dataset))
    if not features.get("invalid"):
        return []
    return [f"{features['invalid']:,} of {features['images']:,} images of {dataset} were not decodable"]


def _meta(folder: Path) -> dict[str, int]:
    return read_manifest(folder).get("meta", {}) if (folder / MANIFEST).is_file() else {}


def reproduced(root: Path) -> bool:
    """Whether a run at the paper's scale is on record: its numbers, tracked as data/reference/paper.json.

    Raises:
        InputError: the file is there but malformed.
    """
    path = reference_path(root, "paper")
    return path.is_file() and bool(read_reference(path))
