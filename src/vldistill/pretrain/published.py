"""Published weights, brought into the folders that stand-ins are saved in: from there on the paths are one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import open_clip
import torch

from vldistill.files import read_json
from vldistill.models.language_model import load_language_model
from vldistill.models.teacher import import_published, load_teacher, save_teacher
from vldistill.training import seed_everything


def teacher(source: str, folder: Path, trained: bool, seed: int) -> dict[str, Any]:
    """Save the published teacher ``source`` in open_clip's local-dir format.

    Args:
        source: as `vldistill.models.teacher.load_teacher` takes it.
        folder: where to save.
        trained: False replaces its weights by random ones: a control.
        seed: of the random ones.

    Returns:
        Its fingerprint, to be kept beside the weights.

    Raises:
        InputError: the weights are neither cached nor reachable; says how to get them.
    """
    import_published(source, folder)
    if not trained:
        _forget(folder, seed)
    return {"published": source, "fingerprint": load_teacher(folder).fingerprint}


def _forget(folder: Path, seed: int) -> None:
    seed_everything(seed)
    fresh = open_clip.create_model(f"local-dir:{folder}", load_weights=False)
    config = read_json(folder / "open_clip_config.json")
    save_teacher(folder, fresh, config["model_cfg"], config["preprocess_cfg"], None)


@torch.inference_mode()
def language_model(source: str, folder: Path) -> dict[str, Any]:
    """Save the published language model ``source`` as ``from_pretrained`` reads it.

    Raises:
        InputError: the weights are neither cached nor reachable, or there is no adapter for their architecture.
    """
    model = load_language_model(source)
    model.save(folder)
    return {
        "published": source,
        "architecture": model.model.config.model_type,
        "parameters": model.model.num_parameters(),
    }
