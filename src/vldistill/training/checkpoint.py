"""Checkpoints: trainable weights, optimiser and the metric window, whole or absent.

A checkpoint is a folder `step-00000100/` with `state.safetensors` and `state.json`. It is filled under a temporary
name, flushed and renamed, so a process killed at any moment leaves only complete checkpoints under final names.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from vldistill.errors import VldistillError
from vldistill.files import read_json, sha256_file, sync_to_disk, write_json

FOLDER = "checkpoints"
OPTIMISER = ("exp_avg", "exp_avg_sq", "step")


def trainable(module: torch.nn.Module) -> dict[str, torch.nn.Parameter]:
    """Parameters that learn, by name; frozen ones can be had from where they came."""
    return {name: parameter for name, parameter in module.named_parameters() if parameter.requires_grad}


def _buffers(module: torch.nn.Module) -> dict[str, torch.Tensor]:
    names = {name for name, _ in module.named_parameters(remove_duplicate=False)}
    return {name: value for name, value in module.state_dict().items() if name not in names}


def save(
    folder: Path, module: torch.nn.Module, optimiser: torch.optim.Optimizer, state: dict[str, Any], keep: int
) -> Path:
    """Write the checkpoint of `state["step"]` and remove all but the `keep` newest.

    Raises:
        VldistillError: the disk is full or read-only, and the message names the path; or a weight is not finite. Older
            checkpoints stay as they are.
    """
    final = folder / FOLDER / f"step-{state['step']:08d}"
    if final in _saved(folder):
        return final
    _check_finite(module, optimiser, state["step"])
    temporary = final.with_name(f".{final.name}.{os.getpid()}.tmp")
    tensors = _tensors(module, optimiser)
    try:
        temporary.mkdir(parents=True, exist_ok=True)
        _check_space(temporary, tensors)
        save_file(tensors, temporary / "state.safetensors")
        sync_to_disk(temporary / "state.safetensors")
        digest = sha256_file(temporary / "state.safetensors")
        write_json(temporary / "state.json", {**state, "sha256": digest})
        os.replace(temporary, final)
        sync_to_disk(final.parent)
    except OSError as error:
        raise VldistillError(
            f"cannot save {final}: {error.strerror or error}. Free space or check permissions"
        ) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    for old in _saved(folder)[:-keep]:
        _remove(old)
    return final


def load_latest(folder: Path, module: torch.nn.Module, optimiser: torch.optim.Optimizer) -> dict[str, Any] | None:
    """Restore the newest intact checkpoint into `module` and `optimiser`.

    Returns:
        The `state` given to `save`, or None if there is nothing to resume.
    """
    for stale in (folder / FOLDER).glob(".step-*.tmp"):
        shutil.rmtree(stale, ignore_errors=True)
    for path in reversed(_saved(folder)):
        state = read_json(path / "state.json")
        if sha256_file(path / "state.safetensors") != state.pop("sha256"):
            # a disk error, not a kill: an older checkpoint gives the same result, only later
            _remove(path)
            continue
        _restore(load_file(path / "state.safetensors"), module, optimiser)
        return state
    return None


def discard(folder: Path) -> None:
    """Remove a run's checkpoints, once its result is published."""
    shutil.rmtree(folder / FOLDER, ignore_errors=True)


def _saved(folder: Path) -> list[Path]:
    return sorted((folder / FOLDER).glob("step-*"))


def _remove(path: Path) -> None:
    # renamed first: a process killed in the middle of removing must not leave half a checkpoint under a final name
    doomed = path.with_name(f".{path.name}.{os.getpid()}.old.tmp")
    os.replace(path, doomed)
    shutil.rmtree(doomed, ignore_errors=True)


def _check_finite(module: torch.nn.Module, optimiser: torch.optim.Optimizer, step: int) -> None:
    # the loss is looked at when it is logged, and it is that of the weights before the step
    for name, parameter in trainable(module).items():
        values = [parameter.detach(), *map(torch.as_tensor, optimiser.state.get(parameter, {}).values())]
        if not all(bool(value.isfinite().all()) for value in values):
            raise VldistillError(
                f"after step {step} the weights of {name} or their averages are not finite: nothing is saved. "
                "Lower learning_rate or lengthen warmup; the checkpoints before are intact"
            )


def _check_space(folder: Path, tensors: dict[str, torch.Tensor]) -> None:
    need = sum(tensor.numel() * tensor.element_size() for tensor in tensors.values())
    free = shutil.disk_usage(folder).free
    if free < 1.05 * need:
        raise VldistillError(
            f"not enough space for a checkpoint in {folder}: {need / 1e9:.2f} GB needed, {free / 1e9:.2f} GB free. "
            "Free space and run the same command again"
        )


def _tensors(module: torch.nn.Module, optimiser: torch.optim.Optimizer) -> dict[str, torch.Tensor]:
    parameters = trainable(module)
    tensors = {f"model.{name}": value.detach() for name, value in {**_buffers(module), **parameters}.items()}
    for name, parameter in parameters.items():
        for kind, value in optimiser.state.get(parameter, {}).items():
            tensors[f"optimiser.{kind}.{name}"] = torch.as_tensor(value)
    # clones: safetensors refuses tensors that share memory, and a GPU's memory must not be written from under it
    return {name: value.cpu().contiguous().clone() for name, value in tensors.items()}


def _restore(tensors: dict[str, torch.Tensor], module: torch.nn.Module, optimiser: torch.optim.Optimizer) -> None:
    parameters = trainable(module)
    with torch.no_grad():
        for name, value in {**_buffers(module), **parameters}.items():
            value.copy_(tensors[f"model.{name}"])
    fused = any(group.get("fused") for group in optimiser.param_groups)
    for name, parameter in parameters.items():
        state = {kind: tensors.get(f"optimiser.{kind}.{name}") for kind in OPTIMISER}
        if state["step"] is None:
            continue
        device = parameter.device
        optimiser.state[parameter] = {
            # PyTorch keeps the step count on the CPU unless the fused kernel runs on the GPU
            kind: value.to(device) if kind != "step" or fused else value
            for kind, value in state.items()
            if value is not None
        }
