"""Extraction of text vectors: each different text through CLIP's text tower or a language model's encoder."""

from __future__ import annotations

import time
from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

import vldistill.features.shards as shard_files
from vldistill import artifact, layout, provenance, runs
from vldistill.code_version import code_version
from vldistill.device import check_device
from vldistill.features.sentences import SEGMENT, SETS, Wording, texts_of
from vldistill.features.shards import Rows, Shard
from vldistill.features.store import sentence_key
from vldistill.models.language_model import load_language_model
from vldistill.models.teacher import load_teacher, weights_sha256
from vldistill.params import Params
from vldistill.progress import Progress
from vldistill.signals import stop_requests

CLIP = "clip"
POOL = "mean"
"""How a language model's states become one vector; every family has it."""


@dataclass(frozen=True)
class Encoder:
    """A text encoder.

    Attributes:
        encode: vectors [N, d] fp32 of N texts.
        filled: whether each text fills all positions, so that it is cut, or just as long.
        fingerprint: what the vectors depend on.
    """

    encode: Callable[[Sequence[str]], Tensor]
    filled: Callable[[Sequence[str]], Sequence[bool]]
    fingerprint: dict[str, Any]


def run(params: Params, root: Path, encoder: str, *, deadline: float | None = None) -> Path:
    """Extract the vectors of all texts of `sentences.texts_of` and publish them as results/features/ENCODER/texts.

    The manifest tells the share of texts that are longer than the encoder reads, as ``cut``, and, where texts have
    segments, of these as ``cut_before_choice``.

    Args:
        params: the experiment.
        root: project root.
        encoder: ``clip``, or the name of a language model as in results/pretrain/ENCODER.
        deadline: seconds from now by which the shard at hand must be committed.

    Raises:
        InputError: an input is missing.
        Stopped: by a signal or the deadline, behind a shard; the same call goes on with the next one.
    """
    moment = None if deadline is None else time.monotonic() + deadline
    target, model = layout.features(root, encoder, layout.TEXTS), layout.pretrain(root, encoder)
    options, compute, tagged = params.features, params.compute, params.split.mad.tagged
    key = {
        "code": code_version("features_texts", root),
        "libraries": provenance.libraries(),
        "inputs": {
            "encoder": artifact.fingerprint(model),
            **{dataset: artifact.fingerprint(layout.download(root, dataset)) for dataset in SETS},
        },
        "tagged_as": options.tagged_as,
        "vcr_text": options.vcr_text,
        "tagged": tagged,
        "shard_rows": options.shard_rows,
        "batch_size": options.batch_size,
        "compute": {"device": compute.device, "dtype": compute.dtype, "threads": compute.threads},
    }
    with provenance.recorded(layout.run_record(target)), runs.claim("features_texts", key, root) as folder:
        check_device(compute)
        texts = {sentence_key(text): text for text in texts_of(root, Wording.of(options), tagged)}
        plan = shard_files.cut("captions", list(texts), options.shard_rows)
        result = folder.result
        # a finished folder is checked too: it may lie on a disk that was cleaned in part
        if result is None or not all(shard_files.is_committed(folder.path, shard) for shard in plan):
            torch.set_num_threads(compute.threads)
            result = _fill(params, model, encoder, folder.path, plan, texts, moment)
        facts = {name: value for name, value in result.items() if name != "fingerprint"}
        shard_files.assemble(folder.path, target, plan, result["fingerprint"], {"texts": len(texts), **facts})
        if not folder.done:
            folder.finish(result)
    return target


def _fill(
    params: Params,
    model: Path,
    name: str,
    folder: Path,
    plan: list[Shard],
    texts: dict[str, str],
    deadline: float | None,
) -> dict[str, Any]:
    encoder = _clip(params, model) if name == CLIP else _language_model(params, model)
    progress = Progress(len(texts), f"features {name}/{layout.TEXTS}")
    size = params.features.batch_size

    def make(shard: Shard) -> Rows:
        keys = shard.keys
        batches = [[texts[key] for key in keys[at : at + size]] for at in range(0, len(keys), size)]
        parts = [encoder.encode(fitted(batch, encoder.filled)).numpy() for batch in batches]
        return Rows({"text": np.concatenate(parts).astype(np.float16)})

    with stop_requests(deadline) as stop:
        shard_files.fill(folder, plan, make, lambda shard: progress.step(len(shard.keys)), stop)
    # of all texts and not shard by shard: a resumed run has not made them all
    every = list(texts.values())
    cut = [long for at in range(0, len(every), size) for long in encoder.filled(_flat(every[at : at + size]))]
    result = {"fingerprint": encoder.fingerprint, "cut": round(sum(cut) / max(1, len(cut)), 6)}
    if in_segments := [long for text, long in zip(every, cut, strict=True) if SEGMENT in text]:
        result["cut_before_choice"] = round(sum(in_segments) / len(in_segments), 6)
    return result


def fitted(texts: Sequence[str], filled: Callable[[Sequence[str]], Sequence[bool]]) -> list[str]:
    """Texts as an encoder is given them: in one piece, and what stands before the judged segment cut until all fits.

    Segments lose words at their ends, the first one first, as a student's do. The last one is judged and stays whole,
    unless it is too long by itself: then the encoder cuts it.

    Args:
        texts: segments are parted by `SEGMENT`.
        filled: of the encoder.
    """
    flat = _flat(texts)
    places = [place for place, text in enumerate(texts) if SEGMENT in text]
    for place, long in zip(places, filled([flat[place] for place in places]) if places else (), strict=True):
        if long:
            flat[place] = _cut(texts[place], filled)
    return flat


def _flat(texts: Sequence[str]) -> list[str]:
    return [text.replace(SEGMENT, " ") for text in texts]


def _cut(text: str, filled: Callable[[Sequence[str]], Sequence[bool]]) -> str:
    *asked, judged = (segment.split() for segment in text.split(SEGMENT))

    def without(count: int) -> str:
        kept = []
        for words in asked:
            kept += words[: max(0, len(words) - count)]
            count = max(0, count - len(words))
        return " ".join([*kept, *judged])

    most = sum(map(len, asked))
    return without(min(most, bisect_left(range(most + 1), True, key=lambda count: not filled([without(count)])[0])))


def _clip(params: Params, folder: Path) -> Encoder:
    teacher = load_teacher(folder, device=params.compute.device, dtype=params.compute.dtype)
    return Encoder(teacher.encode_text, teacher.filled, teacher.fingerprint)


def _language_model(params: Params, folder: Path) -> Encoder:
    model = load_language_model(folder, device=params.compute.device)

    @torch.inference_mode()
    def encode(texts: Sequence[str]) -> Tensor:
        ids, mask = model.tokenize(texts)
        return model.pool(model.encode(ids, mask), mask, POOL).float().cpu()

    def filled(texts: Sequence[str]) -> list[bool]:
        room = None if model.max_length is None else model.max_length - 2
        return [len(row) == room for row in model.ids(texts)]

    return Encoder(encode, filled, {"weights": weights_sha256(model.model.state_dict()), "pool": POOL})
