"""What a MAD cell's result depends on. Light: finished cells are recognised before torch is imported."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from vldistill import layout, runs
from vldistill.artifact import absence, fingerprint, refuse_absent
from vldistill.cells import MAD, MadCell
from vldistill.code_version import code_version
from vldistill.files import read_json
from vldistill.models.region_folders import folder_of, identity
from vldistill.params import Params
from vldistill.params.mad import MadOptions
from vldistill.params.mad_parts import Adaptation
from vldistill.provenance import libraries

STAGE = "distill_mad"
CLIP, LANGUAGE_MODEL = "clip", "bart"
PHRASES = "vg"
RECORDS = {"snli_ve": ("snli_ve", "flickr30k"), "vcr": ("vcr", "vcr"), "vqa": ("vqav2", "coco")}
"""Task -> the set of its records, the set of its images."""
PUBLISHED_PRIORS = "vqa_cp"
OWN_OPTION = {"ratio": "most", "constant": "value"}
"""Kinds of confidence weights that have an option of their own."""


def record_set(params: Params, root: str | Path, task: str) -> str:
    """The data set of a task's records: with changed priors VQA's are the published re-split's, where it is there."""
    changed = task == "vqa" and params.distill.mad.vqa_priors == "changed"
    if changed and absence(layout.download(root, PUBLISHED_PRIORS)) is None:
        return PUBLISHED_PRIORS
    return RECORDS[task][0]


def inputs(params: Params, root: str | Path, cell: MadCell) -> dict[str, Path]:
    """The artifacts `cell` reads, by the part they play: no teacher's for an arm that has none."""
    options = params.distill.mad.options_of(cell.arm, cell.task, cell.fraction)
    images = RECORDS[cell.task][1]
    found = {
        "student": layout.pretrain(root, options.student),
        "records": layout.download(root, record_set(params, root, cell.task)),
        "images": layout.download(root, images),
        "features": layout.features(root, CLIP, images),
    }
    if asks_teacher(options):
        found |= {
            "texts": layout.features(root, CLIP, layout.TEXTS),
            "phrases": layout.download(root, PHRASES),
            "phrase_features": layout.features(root, CLIP, PHRASES),
        }
    if options.weight and options.teachers.language_model:
        found["language_model"] = layout.features(root, LANGUAGE_MODEL, layout.TEXTS)
    return found


def region_files(params: Params, root: str | Path, dataset: str) -> Path | None:
    """The user's region features of a data set's images; None for a student that does not read such files.

    Raises:
        InputError: it does, and there are none.
    """
    if params.pretrain.student.source != "uniter":
        return None
    return folder_of(dataset, root)


def region_identities(params: Params, root: str | Path, *datasets: str) -> dict[str, Any]:
    """What a key tells of the user's region features; nothing where they are not read."""
    folders = {dataset: region_files(params, root, dataset) for dataset in datasets}
    if not all(folders.values()):
        return {}
    return {"region_files": {dataset: identity(folder, root) for dataset, folder in folders.items() if folder}}


def asks_teacher(options: MadOptions) -> bool:
    """Whether the teachers' vectors are read at all."""
    return bool(options.weight or options.projected_input or options.embeddings == "teacher")


def cell_key(params: Params, root: str | Path, cell: MadCell) -> dict[str, Any]:
    """The key of the cell's run folder; two cells that train the same share one.

    Raises:
        InputError: an input is not there, or does not exist in this experiment.
    """
    paths = inputs(params, root, cell)
    for path in paths.values():
        refuse_absent(path, f"Take {cell.task} out of distill.mad, or the arm {cell.arm}")
    options = params.distill.mad.options_of(cell.arm, cell.task, cell.fraction)
    key = {
        "method": MAD,
        "task": cell.task,
        "subset": read_json(subset_file(params, root, cell))["sha256"],
        "whole": cell.fraction == 100,
        "options": read_options(options, cell.task),
        "seed": cell.seed,
        "tagged_as": params.features.tagged_as,
        **({"vcr_text": params.features.vcr_text} if cell.task == "vcr" else {}),
        "compute": params.compute.model_dump(mode="json", include={"device", "dtype", "threads"}),
        "toy": params.download.source == "world",
        "inputs": {name: fingerprint(path) for name, path in paths.items()},
        **region_identities(params, root, RECORDS[cell.task][1], *([PHRASES] if "phrases" in paths else [])),
        "code": code_version(STAGE, root),
        "libraries": libraries(),
    }
    if partner := partner_of(params, cell):
        key["weights_of"] = runs.folder_of(STAGE, cell_key(params, root, partner), root).name
    return key


def read_options(options: MadOptions, task: str) -> dict[str, Any]:
    """The options that are read: tuning what an arm has not runs nothing anew."""
    unread: dict[str, Any] = {}
    if task != "vqa":
        unread |= dict.fromkeys(("most_answers", "least_count"), True)
    if not asks_teacher(options):
        unread["projections"] = True
    if not options.weight:
        taught = ("teachers", "target", "tokens", "scope", "distance", "confidence", "head", "adapt", "shuffle_targets")
        unread |= dict.fromkeys(taught, True)
        unread.setdefault("projections", {"kind"})
        return options.model_dump(mode="json", exclude=unread)
    kind = options.confidence.kind
    # equal_to names the partner, whose run folder stands in the key by itself (`weights_of`)
    unread["confidence"] = {"equal_to", "most", "value"} - {OWN_OPTION.get(kind)}
    if kind in ("constant", "equal_mean"):
        unread["head"] = True
    if options.target == "cls":
        unread |= dict.fromkeys(("tokens", "scope"), True)
    if not options.adapt.steps:
        unread["adapt"] = set(Adaptation.model_fields) - {"steps"}
    if options.projections.kind == "trainable" and not (options.projected_input or options.embeddings == "teacher"):
        unread["projections"] = {"alpha", "pairs"}
    return options.model_dump(mode="json", exclude=unread)


def partner_of(params: Params, cell: MadCell) -> MadCell | None:
    """The cell whose mean weights this one has; None where it has its own."""
    options = params.distill.mad.options_of(cell.arm, cell.task, cell.fraction)
    if not options.weight or options.confidence.kind != "equal_mean":
        return None
    return MadCell(cell.task, cell.fraction, options.confidence.equal_to, cell.seed)


def subset_file(params: Params, root: str | Path, cell: MadCell) -> Path:
    """The id list of the cell's training subset."""
    return layout.split(root, cell.task, cell.subset(params.distill.mad.vqa_priors))


def maps_key(params: Params, root: str | Path, cell: MadCell) -> dict[str, Any]:
    """The key of the run folder of the maps between student and teachers: alike for all that read the same ones."""
    options = params.distill.mad.options_of(cell.arm, cell.task, cell.fraction)
    read = ("student", "texts", "phrases", "phrase_features", "language_model")
    return {
        "method": MAD,
        "part": "maps",
        "options": options.projections.model_dump(mode="json", exclude={"kind"}),
        "tagged_as": params.features.tagged_as,
        "compute": params.compute.model_dump(mode="json", include={"device", "threads"}),
        "inputs": {name: fingerprint(path) for name, path in inputs(params, root, cell).items() if name in read},
        **region_identities(params, root, PHRASES),
        "code": code_version(STAGE, root),
        "libraries": libraries(),
    }


def look_up(params: Params, root: str | Path, cell: MadCell) -> runs.RunFolder:
    """The cell's run folder as it is."""
    return runs.look_up(STAGE, cell_key(params, root, cell), root)
