"""Parameters of the `pretrain` section."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, model_validator

from vldistill.params.base import Section
from vldistill.params.student import Student
from vldistill.params.training import Training

Source = Literal["train", "published"]


def _training(**values: Any) -> Any:
    return Field(default_factory=lambda: Training.model_validate(values), description="How long and how it is trained.")


class ClipModel(Section):
    """Shape of the stand-in teacher; its classes are open_clip's own."""

    tower: Literal["resnet", "vit"] = Field(
        "resnet",
        description="Image tower: open_clip's ModifiedResNet, or its VisionTransformer, which learns shapes and "
        "textures far more slowly from a few thousand images.",
    )
    embed_dim: int = Field(96, ge=8, description="Width d of the joint space.")
    image_size: int = Field(96, ge=16, description="Side of the images the tower sees, in pixels; others are resized.")
    image_width: int = Field(
        8, ge=2, description="Width of the image tower; a resnet's last stage is 32 times as wide."
    )
    image_layers: int = Field(1, ge=1, description="Layers of a vit, or blocks in each of a resnet's four stages.")
    patch_size: int = Field(12, ge=4, description="Side of a vit's patches in pixels; a resnet's are 32 pixels wide.")
    text_width: int = Field(96, ge=16, description="Width of the text tower.")
    text_layers: int = Field(2, ge=1, description="Layers of the text tower.")
    head_width: int = Field(32, ge=8, description="Width of an attention head in both towers.")
    context_length: int = Field(24, ge=8, description="Tokens of a caption, special tokens included; more are cut.")
    vocabulary: int = Field(2000, ge=300, description="Largest vocabulary; merges end earlier if none is left.")

    @model_validator(mode="after")
    def _fits(self) -> ClipModel:
        vit = self.tower == "vit"
        parts = {"image_size": self.patch_size if vit else 32, "text_width": self.head_width}
        if vit:
            parts["image_width"] = self.head_width
        for field, part in parts.items():
            if getattr(self, field) % part:
                raise ValueError(f"{field} ({getattr(self, field)}) must be a multiple of {part}")
        return self


class Clip(Section):
    """The teacher."""

    source: Source = Field(
        "train", description="`train` makes a stand-in from the cc3m pairs, `published` loads weights."
    )
    published: str = Field(
        "ViT-B-16/openai",
        description="What `published` loads: NAME/PRETRAINED of open_clip, hf-hub:..., or a folder in its format.",
    )
    model: ClipModel = Field(default_factory=ClipModel, description="Shape of the stand-in.")
    seed: int = Field(0, ge=0, description="Seed of weights, order of examples and choice of captions.")
    held_out: float = Field(0.05, gt=0, lt=0.5, description="Share of the images kept from training, for dev figures.")
    training: Training = _training(
        steps=400, batch_size=128, learning_rate=0.002, warmup=40, weight_decay=0.05, checkpoint_every=100
    )

    @model_validator(mode="after")
    def _contrasts(self) -> Clip:
        if self.source == "train" and self.training.accumulate > 1:
            raise ValueError(
                f"training.accumulate ({self.training.accumulate}): the contrastive loss compares all pairs of a "
                "step, and a micro-batch has only some. Use 1, with a smaller batch_size if memory is short"
            )
        return self


class LanguageModelShape(Section):
    """Shape of the stand-in language model, a BART of transformers."""

    width: int = Field(128, ge=16, description="Width D of all states.")
    encoder_layers: int = Field(2, ge=1, description="Layers of the encoder.")
    decoder_layers: int = Field(2, ge=1, description="Layers of the decoder.")
    heads: int = Field(4, ge=1, description="Attention heads; must divide `width`.")
    feedforward: int = Field(256, ge=16, description="Width of the feed-forward layers.")
    positions: int = Field(128, ge=16, description="Longest text in tokens, special tokens included.")
    dropout: float = Field(0.0, ge=0, lt=1, description="Dropout while pre-training.")
    init_std: float = Field(
        0.08,
        gt=0,
        le=1,
        description="Standard deviation of fresh weights. BART's own 0.02 suits a width of 1024; a narrow model needs "
        "about 1 / sqrt(width), or attention stays uniform for hundreds of steps.",
    )
    vocabulary: int = Field(2000, ge=300, description="Largest vocabulary; merges end earlier if none is left.")

    @model_validator(mode="after")
    def _fits(self) -> LanguageModelShape:
        if self.width % self.heads:
            raise ValueError(f"heads ({self.heads}) must divide width ({self.width})")
        return self


class Infilling(Section):
    """Text infilling as the pre-training task (BART)."""

    mask_ratio: float = Field(0.3, gt=0, le=1, description="Share of tokens that are masked.")
    span: float = Field(3.0, gt=0, description="Mean length of a masked span in tokens (Poisson).")
    whole: float = Field(0.0, ge=0, le=1, description="Share of texts that are masked as a whole.")
    tail: float = Field(
        0.7, ge=0, le=1, description="Share of texts of which only the end is masked, to be written from all the rest."
    )
    tail_span: float = Field(
        12.0,
        ge=0,
        description="Mean length of such an end in tokens (Poisson, at least 1). Where the question belongs to the "
        "end, the encoder has not read it and the decoder must look the answer up: as it must in an image.",
    )

    @model_validator(mode="after")
    def _shares(self) -> Infilling:
        if self.whole + self.tail > 1:
            raise ValueError(f"whole ({self.whole}) and tail ({self.tail}) are shares of all texts: at most 1 together")
        return self


class LanguageModel(Section):
    """The language model."""

    source: Source = Field(
        "train", description="`train` makes a stand-in from the text corpus, `published` loads weights."
    )
    published: str = Field(
        "facebook/bart-large", description="What `published` loads: a name on the Hugging Face hub, or a folder."
    )
    model: LanguageModelShape = Field(default_factory=LanguageModelShape, description="Shape of the stand-in.")
    infilling: Infilling = Field(default_factory=Infilling, description="How texts are corrupted.")
    seed: int = Field(0, ge=0, description="Seed of weights, order of examples and corruption.")
    held_out: int = Field(
        500, ge=1, description="Documents of the corpus kept from training (and from text replay), for dev figures."
    )
    training: Training = _training(
        steps=800, batch_size=48, learning_rate=0.003, warmup=60, weight_decay=0.01, checkpoint_every=200
    )


class Pretrain(Section):
    """Teacher and language model: trained stand-ins, or published weights brought into the same folder formats."""

    clip: Clip = Field(default_factory=Clip, description="The teacher.")
    language_model: LanguageModel = Field(default_factory=LanguageModel, description="The language model.")
    student: Student = Field(default_factory=Student, description="The cross-modal student that MAD distils into.")
