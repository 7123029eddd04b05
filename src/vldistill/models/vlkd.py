"""The VLKD model: a language model that sees, because image states stand before its encoder states.

At inference the graph is CLIP's image tower -> projection W_d -> language model; CLIP's text tower is used in training
only. The saved folder is self-contained:

    config.json         how the parts fit together, and where they come from
    model.safetensors   the projections W_e and W_d and the temperature
    language_model/     the distilled language model and its tokenizer, as from_pretrained reads them
    image_tower/        the frozen image tower, for images that no feature store holds
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional

from vldistill.errors import InputError
from vldistill.files import read_json, write_json
from vldistill.models.language_model import LanguageModel, load_language_model
from vldistill.models.teacher import ImageTower, load_image_tower

FORMAT = 1
CONFIG = "config.json"
WEIGHTS = "model.safetensors"
LANGUAGE_MODEL = "language_model"
IMAGE_TOWER = "image_tower"


@dataclass(frozen=True)
class VlkdConfig:
    """The shape of the projections.

    Attributes:
        dim: width d of the teacher's joint space.
        patch_width: width of the teacher's patch tokens.
        patches: number of patch tokens, each with a projection of its own; 0 = one projection for all.
        image_states: which features the decoder attends to: "pooled", "patch" or "both".
        pooled_states: number of states the pooled vector becomes.
        pool: how encoder states become the text vector s.
        logit_scale: the teacher's factor on cosines, with which ITCL begins.
        logit_bias: the teacher's bias (sigmoid-loss teachers), else None.
    """

    dim: int
    patch_width: int
    patches: int = 0
    image_states: str = "patch"
    pooled_states: int = 1
    pool: str = "mean"
    logit_scale: float = 1 / 0.07
    logit_bias: float | None = None


class VLKD(nn.Module):
    """Language model, text projection W_e and image projections W_d.

    Args:
        language_model: becomes part of this module; all of it learns.
        config: the shape of the projections.
        tower: the frozen image tower, needed only for `encode_images` and `save`.
        facts: what the model card tells about its origin (JSON values).
    """

    def __init__(
        self,
        language_model: LanguageModel,
        config: VlkdConfig,
        *,
        tower: ImageTower | None = None,
        facts: dict[str, Any] | None = None,
    ) -> None:
        super().__init__()
        self.config = config
        self.tower = tower
        self.facts = dict(facts or {})
        self.language_model = language_model
        self.text_projection = nn.Linear(language_model.width, config.dim, bias=False)
        self.image_projections = nn.ModuleDict()
        if config.image_states in ("pooled", "both"):
            self.image_projections["pooled"] = _ImageProjection(language_model, config.dim, config.pooled_states)
        if config.image_states in ("patch", "both"):
            self.image_projections["patch"] = (
                _PlaceProjection(language_model, config.patch_width, config.patches)
                if config.patches
                else _ImageProjection(language_model, config.patch_width, 1)
            )
        self.log_scale = nn.Parameter(torch.tensor(math.log(config.logit_scale)))
        self.bias = nn.Parameter(torch.tensor(config.logit_bias if config.logit_bias is not None else -10.0))

    @property
    def device(self) -> torch.device:
        """The device of the weights."""
        return self.log_scale.device

    def image_states(self, pooled: Tensor | None, patch: Tensor | None) -> tuple[Tensor, Tensor]:
        """W_d f(v): image states [B, K, D] and their mask [B, K], in the scale of encoder states.

        Args:
            pooled: pooled features [B, d]; may be None if the model uses patch tokens only.
            patch: patch features [B, P, w]; may be None if the model uses the pooled vector only.

        Raises:
            InputError: features the model was trained with are not given, or have another width.
        """
        given = {"pooled": (pooled, self.config.dim), "patch": (patch, self.config.patch_width)}
        parts = [
            projection(_checked(*given[kind], kind).to(self.device))
            for kind, projection in self.image_projections.items()
        ]
        states = torch.cat(parts, dim=1)
        return states, torch.ones(states.shape[:2], dtype=torch.long, device=states.device)

    def text_vectors(self, states: Tensor, mask: Tensor) -> Tensor:
        """s = W_e pool(H) [B, d] of encoder states [B, L, D], not normalised."""
        return self.text_projection(self.language_model.pool(states, mask, self.config.pool))

    @torch.inference_mode()
    def encode_text(self, texts: Sequence[str], *, batch: int = 256) -> Tensor:
        """Text vectors of unit length [N, d] in the teacher's joint space, on the CPU."""
        parts = []
        for start in range(0, len(texts), batch):
            ids, mask = self.language_model.tokenize(texts[start : start + batch])
            parts.append(self.text_vectors(self.language_model.encode(ids, mask), mask).float())
        return functional.normalize(torch.cat(parts), dim=-1).cpu()

    def encode_images(self, images: Sequence[Image.Image]) -> tuple[Tensor, Tensor]:
        """Pooled [N, d] and patch [N, P, w] features of a user's own images.

        Raises:
            InputError: the model was built without an image tower.
        """
        if self.tower is None:
            raise InputError("the model has no image tower", action="Load it from a saved folder, or give features")
        return self.tower.encode_images(images)

    @torch.inference_mode()
    def generate(
        self,
        prompts: Sequence[str],
        pooled: Tensor | None = None,
        patch: Tensor | None = None,
        *,
        num_beams: int = 1,
        max_new_tokens: int = 32,
        batch: int = 64,
        prefix: Sequence[str] | None = None,
    ) -> list[str]:
        """Write a text for each prompt, looking at its image.

        Args:
            prompts: N texts, usually with the language model's mask token.
            pooled: pooled features [N, d], or None.
            patch: patch features [N, P, w], or None; with neither the model works from the prompt alone.
            num_beams: 1 decodes greedily.
            max_new_tokens: upper limit.
            batch: prompts decoded together.
            prefix: a text for each prompt that its output is forced to begin with.
        """
        texts = [""] * len(prompts)
        # prompts of similar length together: less padding, and the result does not depend on the order given
        order = sorted(range(len(prompts)), key=lambda row: (len(prompts[row]), row))
        for start in range(0, len(order), batch):
            rows = order[start : start + batch]
            states, mask = self._states([prompts[row] for row in rows], _rows(pooled, rows), _rows(patch, rows))
            written = self.language_model.generate(
                states,
                mask,
                prefix=None if prefix is None else [prefix[row] for row in rows],
                num_beams=num_beams,
                max_new_tokens=max_new_tokens,
            )
            for row, text in zip(rows, written, strict=True):
                texts[row] = text
        return texts

    def _states(self, prompts: Sequence[str], pooled: Tensor | None, patch: Tensor | None) -> tuple[Tensor, Tensor]:
        ids, mask = self.language_model.tokenize(prompts)
        states = self.language_model.encode(ids, mask)
        if pooled is None and patch is None:
            return states, mask
        return joined(*self.image_states(pooled, patch), states, mask)

    def save(self, folder: str | Path) -> None:
        """Write the self-contained folder (without the model card).

        Raises:
            InputError: there is no image tower, so the folder could not stand alone.
        """
        if self.tower is None:
            raise InputError("the model has no image tower", action="Give the teacher's image tower before saving")
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        own = {
            name: value.detach().cpu().contiguous()
            for name, value in self.state_dict().items()
            if not name.startswith("language_model.")
        }
        save_file(own, folder / WEIGHTS)
        self.language_model.save(folder / LANGUAGE_MODEL)
        self.tower.save(folder / IMAGE_TOWER)
        write_json(folder / CONFIG, {"format": FORMAT, "kind": "vlkd", "shape": asdict(self.config), **self.facts})

    @classmethod
    def load(cls, folder: str | Path, *, device: str = "cpu") -> VLKD:
        """Load a saved folder, ready to generate.

        Raises:
            InputError: the folder is not a saved VLKD model, or its parts do not fit each other.
        """
        folder = Path(folder)
        again = "Give a folder such as results/distill/vlkd/all-s0"
        config = read_json(folder / CONFIG)
        if not isinstance(config, dict) or config.get("kind") != "vlkd" or config.get("format") != FORMAT:
            raise InputError(f"not a VLKD model of format {FORMAT}", file=folder / CONFIG, action=again)
        facts = {key: value for key, value in config.items() if key not in ("format", "kind", "shape")}
        try:
            shape = VlkdConfig(**config["shape"])
            tower = load_image_tower(folder / IMAGE_TOWER, device=device)
            model = cls(load_language_model(folder / LANGUAGE_MODEL), shape, tower=tower, facts=facts)
            weights = load_file(folder / WEIGHTS)
            missing, unexpected = model.load_state_dict(weights, strict=False)
        except (KeyError, TypeError, OSError, RuntimeError, SafetensorError) as error:
            raise InputError(f"the model does not load: {error}", file=folder, action=again) from error
        if wrong := [name for name in missing if not name.startswith("language_model.")] + unexpected:
            raise InputError("weights do not fit config.json", file=folder / WEIGHTS, field=wrong[0], action=again)
        return model.to(device).eval()


class _ImageProjection(nn.Module):
    """Linear and norm: encoder states are normalised, so image states must be, or the decoder would overlook them.

    Args:
        language_model: gives the width of the states and their norm.
        inputs: width of the features.
        states: number of states that one feature vector becomes.
    """

    def __init__(self, language_model: LanguageModel, inputs: int, states: int) -> None:
        super().__init__()
        self.states = states
        self.linear = nn.Linear(inputs, language_model.width * states)
        self.norm = language_model.state_norm()

    def forward(self, features: Tensor) -> Tensor:
        """[B, inputs] or [B, P, inputs] -> [B, states, D] or [B, P, D]."""
        return self.norm(self.linear(features).view(len(features), -1, self.linear.out_features // self.states))


class _PlaceProjection(nn.Module):
    """As `_ImageProjection`, with a linear map of its own for each patch token.

    A convolution's patch tokens look alike wherever they lie. With maps of their own the decoder learns what lies where
    even while it attends to all of them alike. Its biases have a row for each place and decay with the weights.

    Raises:
        InputError: as many patch tokens as it was made for are not given.
    """

    def __init__(self, language_model: LanguageModel, inputs: int, patches: int) -> None:
        super().__init__()
        limit = 1 / math.sqrt(inputs)  # as nn.Linear
        self.weight = nn.Parameter(torch.empty(patches, inputs, language_model.width).uniform_(-limit, limit))
        self.bias = nn.Parameter(torch.empty(patches, language_model.width).uniform_(-limit, limit))
        self.norm = language_model.state_norm()

    def forward(self, features: Tensor) -> Tensor:
        """[B, P, inputs] -> [B, P, D]."""
        if features.shape[1] != len(self.weight):
            # one token would be spread over all places without a word
            raise InputError(
                f"{features.shape[1]} patch tokens, the model was trained with {len(self.weight)}",
                field="patch",
                action="Use the features of the teacher named in the model's config.json",
            )
        return self.norm(torch.einsum("bpi,pid->bpd", features, self.weight) + self.bias)


def joined(image_states: Tensor, image_mask: Tensor, text_states: Tensor, text_mask: Tensor) -> tuple[Tensor, Tensor]:
    """Image states put before encoder states along the cross-attention axis: [B, K+L, D] and their mask [B, K+L].

    Given together with encoder outputs, a model's attention mask covers the cross-attention only: a mask without the
    image's K columns would silently drop the last K states.
    """
    states = torch.cat([image_states.to(text_states.dtype), text_states], dim=1)
    mask = torch.cat([image_mask.to(text_mask.dtype), text_mask], dim=1)
    assert mask.shape[1] == image_states.shape[1] + text_states.shape[1] == states.shape[1]
    return states, mask


def _checked(features: Tensor | None, width: int, kind: str) -> Tensor:
    if features is None:
        raise InputError(f"the model attends to {kind} features, but none were given", field=kind)
    if features.shape[-1] != width:
        raise InputError(
            f"{kind} features of width {features.shape[-1]}, the model was trained with {width}",
            field=kind,
            action="Use the features of the teacher named in the model's config.json",
        )
    return features.float()


def _rows(features: Tensor | None, rows: list[int]) -> Tensor | None:
    return None if features is None else features[rows]
