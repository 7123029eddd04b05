"""Published UNITER and VILLA weights, for those who hold the files (they are no longer served: UNITER#96).

The files are pickled state dicts of ``UniterForPretraining`` (github.com/ChenRocks/UNITER, model/pretrain.py; VILLA's
classes are the same): the encoder below ``uniter.``, and the heads of pre-training, which are left out. Accepted as
well, as UNITER's own loader does: the prefix ``bert.``, ``gamma``/``beta`` of old BERT files, a wrapping
``model_state``, and ``module.`` of data parallel training. Any other key, and any missing one, is an error.
"""

from __future__ import annotations

import pickle
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from vldistill.errors import InputError
from vldistill.files import sha256_file
from vldistill.models.student.single_stream import SingleStream, SingleStreamConfig
from vldistill.models.student.tokens import WordPieceTokenizer, wordpiece

PREFIXES = ("uniter.", "bert.")
# heads of pre-training, and a buffer of later BERT files
LEFT_OUT = ("cls.predictions.", "feat_regress.", "region_classifier.", "itm_output.", "embeddings.position_ids")
HEAD_WIDTH = 64
# UNITER's second stage, on all of VCR, adds types for answers and rationales: it shows whatever the file's name is
VCR_TYPES = 4
SEEN = {"vcr": r"(?<![a-z])vcr(?![a-z])", "snli_ve": r"(?<![a-z])(snli[-_]?)?ve(?![a-z])", "vqa": r"(?<![a-z])vqa"}


def load_published(
    file: str | Path, vocabulary: str | Path, sha256: str, *, lowercase: bool = False, types: int = VCR_TYPES
) -> SingleStream:
    """A student with published weights, in evaluation mode; its shape is read from theirs.

    Args:
        file: ``uniter-base.pt``, ``villa-base.pt``, ...
        vocabulary: ``vocab.txt`` of the BERT they were made with (bert-base-cased), one token a line.
        sha256: hex digest that the file must have.
        lowercase: for weights of an uncased BERT.
        types: token types wanted; new ones begin as copies of type 0, as UNITER does for VCR.

    Raises:
        InputError: a file is missing or not as described; keys are unknown, missing or of a wrong shape (named).
    """
    file = Path(file)
    state = encoder_state(_read(file, sha256), file)
    facts = {"source": file.name, "sha256": sha256.lower(), "seen": seen_tasks(file.name, state)}
    student = SingleStream(_shape(state, file), _tokenizer(Path(vocabulary), lowercase), facts)
    _fill(student, state, file)
    if len(student.tokenizer) > student.config.vocabulary:
        raise InputError(
            f"{len(student.tokenizer)} tokens, but the weights hold {student.config.vocabulary}",
            file=vocabulary,
            action="Give the vocab.txt of the BERT that the weights were made with (bert-base-cased)",
        )
    return _with_types(student, types).eval()


def seen_tasks(name: str, state: Mapping[str, Tensor] | None = None) -> list[str]:
    """Tasks whose whole training set weights of this name, or of this encoder, are known to have seen."""
    last = Path(name).name.lower()
    found = {task for task, pattern in SEEN.items() if re.search(pattern, last)}
    if state is not None and len(state["embeddings.token_type_embeddings.weight"]) >= VCR_TYPES:
        found.add("vcr")
    return sorted(found)


def encoder_state(published: Mapping[str, Any], file: str | Path) -> dict[str, Tensor]:
    """The encoder's entries of a published state dict, under the names they have below ``uniter.``.

    Raises:
        InputError: there is no encoder in it, or a value is not a tensor.
    """
    inner = published.get("model_state", published)
    names = {name.removeprefix("module."): value for name, value in inner.items()}
    prefix = next((start for start in PREFIXES if any(name.startswith(start) for name in names)), "")
    state = {}
    for name, value in names.items():
        name = name.removeprefix(prefix).replace("gamma", "weight").replace("beta", "bias")
        if name.startswith(LEFT_OUT):
            continue
        if not isinstance(value, Tensor):
            raise InputError("not a tensor", file=file, field=name, action="Give a state dict of UNITER or VILLA")
        state[name] = value
    if "embeddings.token_type_embeddings.weight" not in state:
        raise InputError(
            "no text embeddings below uniter. or bert.", file=file, action="Give a state dict of UNITER or VILLA"
        )
    return state


def _read(file: Path, sha256: str) -> dict[str, Any]:
    if not file.is_file():
        raise InputError("no such file", file=file, action="Supply it: the published addresses are no longer served")
    if (found := sha256_file(file)) != sha256.lower():
        raise InputError(f"its sha256 is {found}, not {sha256}", file=file, action="Check the file, or the digest")
    try:
        value = torch.load(file, map_location="cpu", weights_only=True)
    except (RuntimeError, EOFError, pickle.UnpicklingError, KeyError, ValueError) as error:
        raise InputError(f"not a file of weights: {error}", file=file, action="Check the file") from None
    if not isinstance(value, dict):
        raise InputError("not a state dict", file=file, action="Give a state dict of UNITER or VILLA")
    return value


def _tokenizer(vocabulary: Path, lowercase: bool) -> WordPieceTokenizer:
    try:
        tokens = vocabulary.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            f"not a vocabulary: {error}", file=vocabulary, action="Give bert-base-cased's vocab.txt"
        ) from None
    return wordpiece(tokens, lowercase=lowercase)


def _shape(state: Mapping[str, Tensor], file: Path) -> SingleStreamConfig:
    """The shape that the weights have; heads are 64 wide in every published BERT."""
    sizes = {}
    for name in (
        "embeddings.word_embeddings.weight",
        "embeddings.position_embeddings.weight",
        "embeddings.token_type_embeddings.weight",
        "img_embeddings.img_linear.weight",
        "encoder.layer.0.intermediate.dense.weight",
    ):
        if name not in state or state[name].ndim != 2:
            raise InputError("missing, or no matrix", file=file, field=name, action="Give UNITER or VILLA weights")
        sizes[name.split(".")[-2]] = tuple(state[name].shape)
    vocabulary, width = sizes["word_embeddings"]
    layers = 1 + max(int(name.split(".")[2]) for name in state if re.match(r"encoder\.layer\.\d+\.", name))
    return SingleStreamConfig(
        vocabulary=vocabulary,
        region_width=sizes["img_linear"][1],
        width=width,
        layers=layers,
        heads=max(1, width // HEAD_WIDTH),
        feedforward=sizes["dense"][0],
        positions=sizes["position_embeddings"][0],
        types=sizes["token_type_embeddings"][0],
    )


def _fill(student: SingleStream, state: dict[str, Tensor], file: Path) -> None:
    """Put published weights into a student of their shape."""
    wanted = published_shapes(student)
    problems = {
        "missing keys": sorted(set(wanted) - set(state)),
        "unknown keys": sorted(set(state) - set(wanted)),
        "keys of a wrong shape": sorted(
            name for name in set(wanted) & set(state) if tuple(state[name].shape) != wanted[name]
        ),
    }
    if found := [f"{what}: {', '.join(names)}" for what, names in problems.items() if names]:
        raise InputError(
            "; ".join(found), file=file, action="Give pre-trained, not fine-tuned, UNITER or VILLA weights"
        )
    fused = {
        name: state[name] if name in state else torch.cat([state[part] for part in _parts(name)])
        for name in student.state_dict()
    }
    student.load_state_dict({name: value.float() for name, value in fused.items()})


def published_shapes(student: SingleStream) -> dict[str, tuple[int, ...]]:
    """Names and shapes that the student's weights have in a published file, below ``uniter.``."""
    shapes: dict[str, tuple[int, ...]] = {}
    for name, value in student.state_dict().items():
        parts = _parts(name)
        rows = value.shape[0] // len(parts)
        shapes |= dict.fromkeys(parts, (rows, *value.shape[1:]))
    return shapes


def _parts(name: str) -> list[str]:
    """Published names of one of our entries; ours holds their rows one after the other."""
    if ".self.qkv." not in name:
        return [name]
    return [name.replace(".qkv.", f".{part}.") for part in ("query", "key", "value")]


def _with_types(student: SingleStream, types: int) -> SingleStream:
    config = student.config
    if config.types >= types:
        return student
    wider = SingleStream(
        SingleStreamConfig(**{**student.config_values(), "types": types}), student.tokenizer, student.facts
    )
    state = student.state_dict()
    name = "embeddings.token_type_embeddings.weight"
    state[name] = torch.cat([state[name], state[name][:1].expand(types - config.types, -1)])
    wider.load_state_dict(state)
    return wider
