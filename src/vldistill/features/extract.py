"""Extraction: images and captions through the teacher, shard by shard, in a run folder; then the store is published."""

from __future__ import annotations

import time
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

import vldistill.features.shards as shard_files
from vldistill import artifact, layout, provenance, runs
from vldistill.code_version import code_version
from vldistill.device import check_device
from vldistill.errors import InputError
from vldistill.features.shards import Rows, Shard
from vldistill.features.store import TABLE_OF, text_key
from vldistill.models.images import open_image
from vldistill.models.regions import encode_regions, shares
from vldistill.models.teacher import Teacher, load_teacher
from vldistill.params import Params
from vldistill.params.student import StudentRegions
from vldistill.progress import Progress
from vldistill.records import RegionsRecord, read_captions, read_regions
from vldistill.records.regions import REGIONS
from vldistill.signals import stop_requests

DECODERS = 4
CONTROL = "clip_untrained"
REGION_KINDS = {"region", "region_pooled"}
BOXES_ONLY = ("flickr30k", "vcr", "vg")
"""Sets whose images are those of their boxes: what is asked about them may stand in other sets."""


@dataclass(frozen=True)
class Source:
    """What is extracted from where; plain values, so that writer processes can be handed one.

    Attributes:
        dataset: results/download/SET.
        encoder: results/pretrain/ENCODER.
        folder: run folder the shards go to.
        kinds: of pooled, patch, text.
        batch_size: rows that pass through the teacher at once.
        regions: largest number of regions of an image, and the margin of their crops (`models.regions`).
        device: torch device.
        dtype: fp32 or bf16.
        threads: CPU threads of each process.
        deadline: `time.monotonic()` moment by which the shard at hand must be committed.
    """

    dataset: Path
    encoder: Path
    folder: Path
    kinds: tuple[str, ...]
    batch_size: int
    regions: StudentRegions
    device: str
    dtype: str
    threads: int
    deadline: float | None = None

    @property
    def archive(self) -> Path:
        """The images."""
        return self.dataset / "images.zip"


def run(
    params: Params, root: Path, encoder: str, dataset: str, *, writers: int = 1, deadline: float | None = None
) -> Path:
    """Extract the features of one data set with one encoder and publish the store.

    Args:
        params: the experiment.
        root: project root.
        encoder: name of a pre-trained encoder, as in results/pretrain/ENCODER.
        dataset: name of a data set with images.
        writers: processes that extract at the same time; no part of the experiment.
        deadline: seconds from now by which the shard at hand must be committed.

    Returns:
        The published folder.

    Raises:
        InputError: the data set has no features, an input is missing, or too many images are broken.
        Stopped: by a signal or the deadline, behind a shard; the same call goes on with the next one.
    """
    moment = None if deadline is None else time.monotonic() + deadline
    target = layout.features(root, encoder, dataset)
    records, model = layout.download(root, dataset), layout.pretrain(root, encoder)
    splits, kinds = _wanted(params, encoder, dataset)
    compute, seen = params.compute, params.pretrain.student.regions
    key: dict[str, Any] = {
        "code": code_version("features", root),
        "libraries": provenance.libraries(),
        "inputs": {"dataset": artifact.fingerprint(records), "encoder": artifact.fingerprint(model)},
        "kinds": list(kinds),
        "splits": list(splits),
        "shard_rows": params.features.shard_rows,
        "batch_size": params.features.batch_size,
        "compute": {"device": compute.device, "dtype": compute.dtype, "threads": compute.threads},
    }
    if REGION_KINDS & set(kinds):
        key["regions"] = seen.model_dump(mode="json")
    with provenance.recorded(layout.run_record(target)), runs.claim("features", key, root) as folder:
        check_device(compute)
        source = Source(
            dataset=records,
            encoder=model,
            folder=folder.path,
            kinds=kinds,
            batch_size=params.features.batch_size,
            regions=seen,
            device=compute.device,
            dtype=compute.dtype,
            threads=compute.threads,
            deadline=moment,
        )
        captions = caption_texts(source.dataset, splits) if "text" in kinds else {}
        plan = plan_shards(source.dataset, splits, kinds, params.features.shard_rows, captions)
        result = folder.result
        # a finished folder is checked too: it may lie on a disk that was cleaned in part
        if result is None or not all(shard_files.is_committed(folder.path, shard) for shard in plan):
            result = _fill(source, plan, captions, writers, f"features {encoder}/{dataset}")
        shard_files.check_invalid(result["invalid"], result["images"], params.features.max_invalid, source.archive)
        facts = {"images": result["images"], "invalid": len(result["invalid"])}
        shard_files.assemble(folder.path, target, plan, result["fingerprint"], facts)
        if not folder.done:
            folder.finish(result)
    return target


def _wanted(params: Params, encoder: str, dataset: str) -> tuple[list[str], tuple[str, ...]]:
    options = params.features
    if dataset not in options.kinds:
        raise _unsaid("kinds", dataset, options.kinds)
    kinds = tuple(options.kinds[dataset])
    if encoder == CONTROL:
        kinds = tuple(kind for kind in kinds if kind not in REGION_KINDS)
        if not kinds:
            raise InputError(
                f"{encoder} has no features of {dataset}: no student is taught by it",
                field="features.kinds",
                action="Take the encoder clip",
            )
    if dataset in BOXES_ONLY:
        return [], kinds
    if dataset not in options.splits:
        raise _unsaid("splits", dataset, options.splits)
    return list(options.splits[dataset]), kinds


def _unsaid(field: str, dataset: str, known: Iterable[str]) -> InputError:
    return InputError(
        f"nothing is said about {dataset!r}",
        field=f"features.{field}",
        action=f"Name it in params.yaml, or use one of {', '.join(known)}",
    )


def caption_texts(dataset: Path, splits: Sequence[str]) -> dict[str, str]:
    """Caption key -> caption, of the records in ``splits``."""
    return {
        text_key(record.id, index): caption
        for record in read_captions(dataset)
        if record.split in splits
        for index, caption in enumerate(record.captions)
    }


def plan_shards(
    dataset: Path, splits: Sequence[str], kinds: Sequence[str], rows: int, captions: dict[str, str]
) -> list[Shard]:
    """All shards of a store: images in the order of the records (without captions: of their boxes), then captions."""
    tables = {TABLE_OF[kind] for kind in kinds}
    plan: list[Shard] = []
    if "images" in tables:
        if splits:
            images = dict.fromkeys(record.image for record in read_captions(dataset) if record.split in splits)
        else:
            images = dict.fromkeys(read_regions(dataset))
        plan += shard_files.cut("images", list(images), rows)
    if "captions" in tables:
        plan += shard_files.cut("captions", list(captions), rows)
    if not plan:
        raise InputError(f"no records in the splits {', '.join(splits)}", file=dataset, action="Check features.splits")
    return plan


def _fill(source: Source, plan: list[Shard], captions: dict[str, str], writers: int, what: str) -> dict[str, Any]:
    """Fill the run folder, with one process or several; returns what the run folder's result shall be."""
    if writers == 1:
        fingerprint = _write(source, plan, captions, what)
    else:
        with ProcessPoolExecutor(writers, mp_context=get_context("spawn")) as pool:
            # every writer has the whole plan and begins elsewhere in it: locks decide who makes which shard
            jobs = [
                pool.submit(_write, source, plan[at:] + plan[:at], captions, "" if at else what)
                for at in range(writers)
            ]
            fingerprint = [job.result() for job in jobs][0]  # noqa: RUF015 - all must end, and raise what they raise
    images = [shard for shard in plan if shard.table == "images"]
    return {
        "fingerprint": fingerprint,
        "images": sum(len(shard.keys) for shard in images),
        "invalid": shard_files.invalid_rows(source.folder, images),
    }


def _write(source: Source, plan: list[Shard], captions: dict[str, str], what: str) -> dict[str, Any]:
    torch.set_num_threads(source.threads)
    teacher = load_teacher(source.encoder, device=source.device, dtype=source.dtype)
    progress = Progress(sum(len(shard.keys) for shard in plan), what) if what else None

    def done(shard: Shard) -> None:
        if progress:
            progress.step(len(shard.keys))

    with stop_requests(source.deadline) as stop:
        shard_files.fill(source.folder, plan, partial(make_shard, source, teacher, captions), done, stop)
    return teacher.fingerprint


def make_shard(source: Source, teacher: Teacher, captions: dict[str, str], shard: Shard) -> Rows:
    """Compute one shard."""
    if shard.table == "captions":
        parts = [
            teacher.encode_text([captions[key] for key in shard.keys[start : start + source.batch_size]])
            for start in range(0, len(shard.keys), source.batch_size)
        ]
        return Rows({"text": _half(torch.cat(parts))})
    return _image_rows(source, teacher, shard)


def _image_rows(source: Source, teacher: Teacher, shard: Shard) -> Rows:
    most = source.regions.most
    shapes = {
        "pooled": (teacher.dim,),
        "patch": (teacher.patches, teacher.patch_width),
        "region": (most, teacher.patch_width),
        "region_pooled": (most, teacher.dim),
    }
    rows = Rows(
        {
            kind: np.zeros((len(shard.keys), *shapes[kind]), dtype=np.float16)
            for kind in source.kinds
            if TABLE_OF[kind] == "images"
        }
    )
    boxes = read_regions(source.dataset) if REGION_KINDS & set(source.kinds) else {}
    with zipfile.ZipFile(source.archive) as archive, ThreadPoolExecutor(DECODERS) as pool:
        for start in range(0, len(shard.keys), source.batch_size):
            keys = shard.keys[start : start + source.batch_size]
            # members are read here, since a ZipFile serialises its threads; decoding frees the interpreter
            data = [_member(archive, key) for key in keys]
            images = list(pool.map(_decoded, data, keys))
            rows.invalid |= {key: image for key, image in zip(keys, images, strict=True) if isinstance(image, str)}
            good = {at: image for at, image in enumerate(images) if isinstance(image, Image.Image)}
            if good:
                found = _features(source, teacher, list(good.values()), [keys[at] for at in good], boxes)
                for kind, values in rows.features.items():
                    values[[start + at for at in good]] = _half(found[kind])
    return rows


def _features(
    source: Source,
    teacher: Teacher,
    images: list[Image.Image],
    keys: Sequence[str],
    boxes: Mapping[str, RegionsRecord],
) -> dict[str, Tensor]:
    """Kind -> features of the images, of all kinds that are wanted."""
    found: dict[str, Tensor] = {}
    if {"pooled", "patch"} & set(source.kinds):
        found["pooled"], found["patch"] = teacher.encode_images(images)
    if REGION_KINDS & set(source.kinds):
        places = [_boxes_of(boxes, key, source.dataset) for key in keys]
        seen = source.regions
        regions = encode_regions(
            teacher.images,
            zip(images, places, strict=True),
            most=seen.most,
            margin=seen.margin,
            pad=seen.pad,
            batch=source.batch_size,
        )
        assert regions.pooled is not None
        found |= {"region": regions.features, "region_pooled": regions.pooled}
    return found


def _boxes_of(boxes: Mapping[str, RegionsRecord], key: str, dataset: Path) -> np.ndarray:
    if key not in boxes:
        raise InputError("no boxes of this image", file=dataset / REGIONS, record=key, action="Download the set again")
    record = boxes[key]
    return shares(record.boxes, record.width, record.height)


def _member(archive: zipfile.ZipFile, key: str) -> bytes | str:
    """The bytes of a member, or why there are none."""
    try:
        return archive.read(key)
    except KeyError:
        return "not in images.zip"
    except (zipfile.BadZipFile, OSError, EOFError, ValueError) as error:
        return f"not readable in images.zip: {error}"


def _decoded(data: bytes | str, key: str) -> Image.Image | str:
    """The image, or why there is none."""
    if isinstance(data, str):
        return data
    try:
        return open_image(data, name=key)
    except InputError as error:
        return error.problem


def _half(values: Tensor) -> np.ndarray:
    """fp16, which holds features of any CLIP: those reach a few hundred, fp16 65504."""
    return values.numpy().astype(np.float16)
