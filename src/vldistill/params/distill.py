"""Parameters of the `distill` section: VLKD's options, its arms and seeds; MAD's are in `vldistill.params.mad`."""

from __future__ import annotations

from typing import Any, Literal, Self

from pydantic import Field, model_validator

from vldistill.params.arms import check_known, check_name, check_run, resolve
from vldistill.params.base import Section
from vldistill.params.mad import Mad
from vldistill.params.training import Training

Encoder = Literal["clip", "clip_untrained"]
Plm = Literal["bart", "bart_no_direct"]


class VlkdWeights(Section):
    """Weights of the loss terms; a term of weight 0 is not computed."""

    ttdm: float = Field(1.0, ge=0, description="Weight a of Text-Text Distance Minimization.")
    itcl: float = Field(0.2, ge=0, description="Weight b of Image-Text Contrastive Learning.")
    icti: float = Field(1.0, ge=0, description="Weight c of Image-Conditioned Text Infilling.")
    replay: float = Field(1.0, ge=0, description="Weight of text infilling on the replayed corpus.")


class Corruption(Section):
    """Text infilling of ICTI and of text replay, in the language model's own scheme."""

    mask_ratio: float = Field(0.3, ge=0, le=1, description="Share of a caption's tokens that is masked.")
    span: float = Field(3.0, ge=0, description="Mean length of masked spans (Poisson), in tokens.")
    whole: float = Field(
        0.35, ge=0, le=1, description="Share of captions masked whole, to practise writing from the image alone."
    )


class Replay(Section):
    """Text replay: infilling on the language model's own corpus, so that it keeps what it knows."""

    share: float = Field(0.4, ge=0, le=1, description="Share of the steps with a replay batch; 0 = no replay.")
    batch_size: int = Field(32, gt=0, description="Texts in a replay batch.")
    tail: float = Field(
        0.7, ge=0, le=1, description="Share of replayed texts of which only the end is masked, as in pre-training."
    )
    tail_span: float = Field(12.0, ge=0, description="Mean length of such an end in tokens (Poisson, at least 1).")


class VlkdOptions(Section):
    """One VLKD training: what an arm may override."""

    encoder: Encoder = Field("clip", description="Frozen teacher, by its name under `pretrain`.")
    language_model: Plm = Field("bart", description="Encoder-decoder to distil into, by its name under `pretrain`.")
    image_states: Literal["pooled", "patch", "both"] = Field(
        "both", description="Image features f(v) the decoder attends to: pooled vector, patch tokens, or both."
    )
    pooled_states: int = Field(8, gt=0, description="States that the pooled vector is projected to.")
    patch_projection: Literal["shared", "place"] = Field(
        "place",
        description="One projection for all patch tokens, or one for each place (a ResNet's patch tokens do not tell "
        "where they lie), with as many times the weights.",
    )
    pool: Literal["<s>", "</s>", "mean"] = Field(
        "<s>", description="How encoder states become the text vector s; T5 has no `<s>`."
    )
    unit: bool = Field(True, description="TTDM on unit vectors; false = raw (other weights suit it).")
    itcl: Literal["softmax", "sigmoid"] = Field(
        "softmax", description="ITCL as symmetric InfoNCE, or as SigLIP's pairwise sigmoid loss."
    )
    weights: VlkdWeights = Field(default_factory=VlkdWeights, description="Weights of the loss terms.")
    corruption: Corruption = Field(default_factory=Corruption, description="Text infilling.")
    replay: Replay = Field(default_factory=Replay, description="Text replay.")
    dropout: float = Field(0.0, ge=0, lt=1, description="Dropout of the language model while it is distilled.")
    one_pass: bool = Field(
        False,
        description="Encode clean, corrupted and replayed texts in one batch: fewer launches, which pays on a GPU; a "
        "CPU is faster (18 % measured) with a pass for each, which are less padded.",
    )
    length_buckets: bool = Field(False, description="Batches of captions of similar length (less padding).")
    training: Training = Field(
        default_factory=lambda: Training.model_validate(
            {"steps": 360, "learning_rate": 0.003, "gradient_norms_every": 60}
        ),
        description="Length and optimiser of the training.",
    )

    @model_validator(mode="after")
    def _teaches(self) -> Self:
        if not (self.weights.ttdm or self.weights.itcl or self.weights.icti):
            raise ValueError("weights: at least one of ttdm, itcl, icti must be above 0")
        if self.weights.itcl and self.training.accumulate > 1:
            raise ValueError(
                f"training.accumulate ({self.training.accumulate}): ITCL contrasts all pairs of a step, and a "
                "micro-batch has only some. Use 1 with a smaller batch_size or more ranks (torchrun), or weights.itcl 0"
            )
        return self


ARMS: dict[str, dict[str, Any]] = {
    "all": {},
    "no_icti": {"weights": {"icti": 0.0}},
    "icti_only": {"weights": {"ttdm": 0.0, "itcl": 0.0}},
    "no_ttdm": {"weights": {"ttdm": 0.0}},
    "no_itcl": {"weights": {"itcl": 0.0}},
    "pooled": {"image_states": "pooled"},
    "patch": {"image_states": "patch"},
    "no_replay": {"replay": {"share": 0.0}},
    "untrained_clip": {"encoder": "clip_untrained"},
    "no_direct": {"language_model": "bart_no_direct"},
    "icti_only_pooled": {"image_states": "pooled", "weights": {"ttdm": 0.0, "itcl": 0.0}},
    "no_ttdm_pooled": {"image_states": "pooled", "weights": {"ttdm": 0.0}},
    "no_itcl_pooled": {"image_states": "pooled", "weights": {"itcl": 0.0}},
    "icti_only_patch": {"image_states": "patch", "weights": {"ttdm": 0.0, "itcl": 0.0}},
    "no_ttdm_patch": {"image_states": "patch", "weights": {"ttdm": 0.0}},
    "no_itcl_patch": {"image_states": "patch", "weights": {"itcl": 0.0}},
    "raw": {"unit": False},
    "sigmoid": {"itcl": "sigmoid"},
}
ACTIVE = list(ARMS)[:10]


class Vlkd(VlkdOptions):
    """VLKD: the options of the arm `all`, and what the other arms change in them."""

    arms: dict[str, dict[str, Any]] = Field(
        default_factory=lambda: {name: dict(over) for name, over in ARMS.items()},
        description="Arm -> the options it overrides; an empty mapping is the options as they stand.",
    )
    active: list[str] = Field(default_factory=lambda: list(ACTIVE), description="The arms that are run.")
    seeds: dict[str, int] = Field(default_factory=lambda: {"all": 3}, description="Number of seeds of an arm.")
    default_seeds: int = Field(1, gt=0, description="Number of seeds of an arm that `seeds` does not name.")

    @model_validator(mode="after")
    def _arms_fit(self) -> Self:
        for name in self.arms:
            check_name(name)
            self.options_of(name)
        check_known([*self.active, *self.seeds], self.arms)
        check_run(self.active, "active", self.seeds)
        if not self.active:
            raise ValueError("active: at least one arm must be run")
        return self

    def seeds_of(self, arm: str) -> int:
        """Number of seeds with which `arm` is run."""
        return self.seeds.get(arm, self.default_seeds)

    def options_of(self, arm: str) -> VlkdOptions:
        """The complete options of `arm`."""
        base = self.model_dump(include=set(VlkdOptions.model_fields))
        return resolve(VlkdOptions, base, self.arms[arm], f"arms.{arm}")


class Distill(Section):
    """The methods."""

    vlkd: Vlkd = Field(default_factory=Vlkd, description="VLKD: distil CLIP into an encoder-decoder language model.")
    mad: Mad = Field(
        default_factory=Mad, description="MAD: distil CLIP into a cross-modal encoder while it learns a task."
    )
