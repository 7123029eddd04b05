"""Parameters of the `evaluate` section: what is predicted, with which prompts and decoding, and how it is scored."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from vldistill.params.base import Section
from vldistill.params.training import Training

CaptionTask = Literal["coco", "nocaps"]
QuestionTask = Literal["vqav2", "okvqa", "domains"]
TextTask = Literal["reading", "summary"]
Task = Literal["coco", "nocaps", "vqav2", "okvqa", "domains", "retrieval", "reading", "summary", "corpus"]
ControlledTask = Literal["coco", "nocaps", "vqav2", "okvqa", "domains"]

CAPTION_TASKS: tuple[CaptionTask, ...] = ("coco", "nocaps")
QUESTION_TASKS: tuple[QuestionTask, ...] = ("vqav2", "okvqa", "domains")
TEXT_TASKS: tuple[TextTask, ...] = ("reading", "summary")
TASKS: tuple[Task, ...] = (*CAPTION_TASKS, *QUESTION_TASKS, "retrieval", *TEXT_TASKS, "corpus")


class Prompts(Section):
    """What the language model reads beside the image; `<mask>` stands for the model's own mask token."""

    caption: str = Field("<mask>", description="Fixed prompt of captioning.")
    vqa: str = Field("question: {question} answer: <mask>", description="Prompt of open-ended VQA.")
    reading: str = Field("{text} answer: <mask>", description="Prompt of reading comprehension (a text task).")
    summary: str = Field("{text} headline: <mask>", description="Prompt of summarisation (a text task).")

    @model_validator(mode="after")
    def _have_fields(self) -> Prompts:
        for name, field in (("vqa", "{question}"), ("reading", "{text}"), ("summary", "{text}")):
            if field not in getattr(self, name):
                raise ValueError(f"the prompt {name} lacks {field}")
        return self


class Decoding(Section):
    """How a text is generated."""

    num_beams: int = Field(1, ge=1, le=32, description="Beams; 1 is greedy.")
    max_new_tokens: int = Field(24, ge=1, le=1024, description="Longest output, in tokens, the forced prefix aside.")


class Decodings(Section):
    """Decoding of each kind of task."""

    caption: Decoding = Field(default_factory=lambda: Decoding(num_beams=3), description="Captioning.")
    vqa: Decoding = Field(default_factory=lambda: Decoding(max_new_tokens=8), description="Question answering.")
    reading: Decoding = Field(default_factory=lambda: Decoding(max_new_tokens=8), description="Reading comprehension.")
    summary: Decoding = Field(default_factory=Decoding, description="Summarisation.")


class Answers(Section):
    """Which part of a generated text is the answer: a denoising model writes its whole input again."""

    force_prompt: bool = Field(
        True,
        description="Force the decoder to begin with the prompt up to the mask, so that only the answer is generated; "
        "false generates the echo too and cuts it off.",
    )
    stops: list[str] = Field(
        default_factory=lambda: ["question:", "answer:", "\n", ". "],
        description="An answer ends before the first of these strings.",
    )


class FineTuning(Training):
    """Fine-tuning of the language model on a text task, before and after distillation with the same recipe and seed."""

    steps: int = Field(40, gt=0, description="Optimiser steps.")
    batch_size: int = Field(32, gt=0, description="Examples in one step.")
    learning_rate: float = Field(0.0003, gt=0, description="Peak learning rate of AdamW.")
    warmup: int = Field(4, ge=0, description="Steps of linear warm-up.")
    arms: list[str] = Field(
        default_factory=lambda: ["all"],
        description="Arms that are fine-tuned, besides the model before distillation; none leaves fine-tuning out.",
    )
    seeds: int = Field(1, ge=1, description="Seeds with which the arms and the model before distillation are tuned.")
    tasks: list[TextTask] = Field(default_factory=lambda: list(TEXT_TASKS), description="Text tasks to fine-tune on.")


class Spice(Section):
    """Where SPICE, the slow caption metric, is computed."""

    mode: Literal["auto", "required", "off"] = Field(
        "auto",
        description="`auto` computes SPICE where its jars are found and gives null with the reason elsewhere, "
        "`required` fails without them, `off` leaves it out.",
    )
    arms: list[str] = Field(default_factory=lambda: ["all"], description="Arms whose captions SPICE scores.")
    seeds: int = Field(1, ge=0, description="First seeds of those arms that SPICE scores.")
    tasks: list[CaptionTask] = Field(default_factory=lambda: list(CAPTION_TASKS[:1]), description="Caption sets.")
    images: int = Field(
        150,
        ge=0,
        description="Images it is computed on, the first of the id list (0 = all); n stands beside the number. Parsing "
        "six captions an image takes a core nearly half a second.",
    )


def _tasks() -> dict[str, list[Task]]:
    return {
        "default": ["coco", "vqav2", "retrieval", "corpus"],
        "all": list(TASKS),
        "untrained_clip": ["coco", "vqav2", "okvqa", "domains", "retrieval", "corpus"],
        "no_replay": ["coco", "vqav2", "retrieval", "reading", "summary", "corpus"],
        "no_direct": ["coco", "vqav2", "okvqa", "reading", "corpus"],
    }


def _controls() -> dict[str, list[ControlledTask]]:
    return {"default": [], "all": ["coco", "vqav2", "okvqa", "domains"]}


class EvaluateVlkd(Section):
    """Evaluation of VLKD."""

    split: Literal["test", "dev"] = Field(
        "test", description="Items evaluated; printed numbers come from test, tuning looks at dev only."
    )
    tasks: dict[str, list[Task]] = Field(
        default_factory=_tasks, description="Tasks of each arm; `default` holds for arms that are not named."
    )
    controls: dict[str, list[ControlledTask]] = Field(
        default_factory=_controls,
        description="Tasks of each arm that are repeated without image and with another item's image; "
        "`default` holds for arms that are not named.",
    )
    references: bool = Field(
        True,
        description="Also run the controls that no arm needs: majority answer, language model before distillation, "
        "nearest caption by CLIP, most common caption, random caption, CLIP's own text tower.",
    )
    prompts: Prompts = Field(default_factory=Prompts, description="Prompts, printed next to every number.")
    decoding: Decodings = Field(default_factory=Decodings, description="Decoding, printed next to every number.")
    answers: Answers = Field(default_factory=Answers, description="Extraction of the answer from generated text.")
    batch_size: int = Field(128, ge=1, description="Items generated or encoded at once.")
    max_items: int = Field(
        0, ge=0, description="At most this many items of each task (0 = all), the first in the order of the id list."
    )
    shuffle_seed: int = Field(0, ge=0, description="Seed of the shuffled-image control and of the random captions.")
    finetuning: FineTuning = Field(default_factory=FineTuning, description="Retention after fine-tuning.")
    corruption_seed: int = Field(
        0, ge=0, description="Seed of the corruption under which the text loss is measured, the same for all models."
    )
    mask_ratio: float = Field(0.3, gt=0, lt=1, description="Share of tokens masked where the text loss is measured.")
    mask_span: float = Field(3.0, gt=0, description="Mean masked span where the text loss is measured, in tokens.")
    canonicalise: bool = Field(
        True, description="Apply the VQA normalisation to generated answers before the variant scores them."
    )
    vqa_variant: Literal["official", "official_2017", "evalai", "both"] = Field(
        "official", description="VQA accuracy of the headline; all four variants are written."
    )
    stem_okvqa: bool = Field(False, description="Stem predictions of OK-VQA as its annotations are stemmed.")
    spice: Spice = Field(default_factory=Spice, description="SPICE.")
    resamples: int = Field(1000, ge=0, description="Bootstrap resamples of images for the intervals; 0 = none.")
    level: float = Field(0.95, gt=0, lt=1, description="Confidence level of the intervals.")


class EvaluateMad(Section):
    """Evaluation of MAD."""

    split: Literal["test", "dev"] = Field(
        "test",
        description="Items evaluated; printed numbers come from test, with the shifted sets, tuning looks at dev only.",
    )
    batch_size: int = Field(128, ge=1, description="Texts that pass through the student at once.")
    max_items: int = Field(
        0, ge=0, description="At most this many items of each set (0 = all), the first in the order of the id list."
    )
    leaderboard: str = Field(
        "",
        description="Cell, e.g. `mad-f100-s0`, that also answers the official test parts of VCR and VQA v2, which have "
        "no public labels: `leaderboard.csv` and `leaderboard.json` among its predictions (docs/data.md). Empty: none; "
        "nor does a sweep's trial write any.",
    )
    references: bool = Field(
        True,
        description="Also score the majority, a classifier that is trained without the image, and the teacher's head "
        "(`distill.mad.head`), fitted on each training subset.",
    )
    blind_items: int = Field(
        20000, ge=1, description="Items of the training subset that this classifier is trained on, at most."
    )
    resamples: int = Field(10000, ge=1, description="Bootstrap resamples (seeds; images or movies) for the intervals.")
    level: float = Field(0.95, gt=0, lt=1, description="Confidence level of the intervals.")


class Evaluate(Section):
    """Evaluation of the methods."""

    vlkd: EvaluateVlkd = Field(default_factory=EvaluateVlkd, description="VLKD.")
    mad: EvaluateMad = Field(default_factory=EvaluateMad, description="MAD.")
