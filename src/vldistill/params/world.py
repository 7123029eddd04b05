"""Parameters of the `world` section."""

from __future__ import annotations

from pydantic import Field

from vldistill.params.base import Section


class Sizes(Section):
    """How much of everything is rendered."""

    cc3m: int = Field(6000, ge=8, description="Images for distillation (CC3M-style pairs).")
    captions: int = Field(5, ge=1, le=20, description="Captions of each distillation image.")
    coco_train: int = Field(
        2000, ge=4, description="COCO-style images of train2014; their questions are the dev questions."
    )
    coco_val: int = Field(500, ge=4, description="Images of Karpathy's val split, the captioning dev set.")
    coco_test: int = Field(
        1000, ge=4, description="Images of Karpathy's test split; the VQA test questions are theirs."
    )
    references: int = Field(5, ge=1, le=20, description="Reference captions of each COCO-style image.")
    questions: int = Field(5, ge=1, le=6, description="VQAv2-style questions on each COCO-style image.")
    okvqa_test: int = Field(800, ge=4, description="OK-VQA-style test questions, at most one for each test image.")
    nocaps: int = Field(300, ge=2, description="NoCaps-style images of each domain (in, near, out).")
    nocaps_references: int = Field(10, ge=1, le=20, description="Reference captions of each NoCaps-style image.")
    domain_questions: int = Field(2, ge=1, le=6, description="VQA questions on each NoCaps-style image.")
    corpus: int = Field(32000, ge=16, description="Documents of the language model's text corpus.")
    text_train: int = Field(2000, ge=4, description="Training items of each text task (reading, summary).")
    text_dev: int = Field(500, ge=4, description="Dev items of each text task.")
    text_test: int = Field(1000, ge=4, description="Test items of each text task.")
    flickr_train: int = Field(2000, ge=8, description="Flickr30k-style images of SNLI-VE's training part.")
    flickr_dev: int = Field(300, ge=4, description="Flickr30k-style images of SNLI-VE's dev part.")
    flickr_test: int = Field(1400, ge=4, description="Flickr30k-style images of SNLI-VE's test part.")
    hypotheses: int = Field(3, ge=1, le=6, description="SNLI-VE-style hypotheses on each Flickr30k-style image.")
    vcr_train: int = Field(1000, ge=16, description="VCR-style images of the official train part.")
    vcr_test: int = Field(1100, ge=4, description="VCR-style images of the official val part, our test.")
    vcr_questions: int = Field(2, ge=1, le=4, description="VCR-style questions on each image, at most.")
    vg: int = Field(4000, ge=8, description="Visual-Genome-style images of each kind (scenes, groups of figures).")
    phrases: int = Field(6, ge=1, le=20, description="Phrases about each whole picture of a scene.")
    figure_phrases: int = Field(4, ge=1, le=20, description="Phrases about each figure of a group.")


class World(Section):
    """The rendered world: which scenes exist, who sees which of them, and how much is rendered."""

    seed: int = Field(
        0, ge=0, description="Seed of everything in the world: pair classes, facts, scenes, pixels, words."
    )
    image_size: int = Field(48, ge=32, le=224, description="Side of the square images, in pixels.")
    noise: float = Field(6.0, ge=0, le=64, description="Standard deviation of the pixel noise, in grey levels of 255.")
    jitter: float = Field(
        1.0,
        ge=0,
        le=2,
        description="Strength of the variation in position, scale, angle and colour; 0 draws every scene the same.",
    )
    train_pool: float = Field(
        0.5,
        gt=0,
        lt=1,
        description="Share of the full slot combinations that training sets may show; the rest is for evaluation.",
    )
    dev_pool: float = Field(
        0.15, gt=0, lt=1, description="Share of the full slot combinations that only dev sets show."
    )
    rare_share: float = Field(
        0.015, ge=0, le=0.2, description="Share of the distillation images that show a rare colour-shape pair."
    )
    disagreement: float = Field(
        0.1,
        ge=0,
        le=0.5,
        description="Chance that a simulated annotator gives a wrong answer; as many again use a synonym.",
    )
    cue: float = Field(
        0.25,
        ge=0,
        le=1,
        description="Chance that an SNLI-VE-style hypothesis opens with a favourite of its class: a cue that fools.",
    )
    tag_repeat: float = Field(
        0.7,
        ge=0.4,
        le=1,
        description="Chance that the right choice of a VCR-style question repeats its tag (a wrong one: 0.4).",
    )
    sizes: Sizes = Field(default_factory=Sizes, description="How much of everything is rendered.")
