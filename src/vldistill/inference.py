"""Using a distilled model: captions and answers for any image, from the saved folder alone."""

from __future__ import annotations

from collections.abc import Sequence
from os import PathLike
from pathlib import Path

from PIL import Image
from pydantic import ValidationError
from transformers.utils import logging

from vldistill import layout
from vldistill import params as experiment
from vldistill.errors import InputError
from vldistill.evaluate.predict.answers import fill
from vldistill.evaluate.predict.generate import Writer
from vldistill.files import read_json
from vldistill.models.images import open_image
from vldistill.models.vlkd import VLKD
from vldistill.params.evaluate import Decoding, EvaluateVlkd

PROMPTS = "prompts.json"
PUBLISHED = {
    "prompts": {"caption": "a photo of<mask>", "vqa": "Question: {question} Answer:<mask>"},
    "decoding": {
        "caption": {"num_beams": 5, "max_new_tokens": 32},
        "vqa": {"num_beams": 5, "max_new_tokens": 10},
    },
}
"""How a model of published weights is asked that stands outside a project: as the preset paper asks."""
ImageLike = str | PathLike[str] | bytes | Image.Image
TOY = (
    "a toy model: it was distilled on a rendered miniature world of simple shapes, "
    "and what it says about any other image means nothing"
)


class Distilled:
    """A distilled model ready to look at images.

    Args:
        model: the model with its image tower.
        options: prompts, decoding and extraction, as in the evaluation.
    """

    def __init__(self, model: VLKD, options: EvaluateVlkd) -> None:
        self.model, self._options = model, options

    @property
    def is_toy(self) -> bool:
        """Whether the model comes from the miniature world."""
        return bool(self.model.facts.get("toy"))

    def caption(
        self,
        images: ImageLike | Sequence[ImageLike],
        *,
        num_beams: int | None = None,
        max_new_tokens: int | None = None,
    ) -> list[str]:
        """One caption for each image.

        Args:
            images: paths, bytes or PIL images; of any size and format.
            num_beams: beams; None: as in the evaluation.
            max_new_tokens: longest caption; None: as in the evaluation.

        Raises:
            InputError: an image cannot be read; names it.
        """
        listed = [images] if isinstance(images, str | bytes | PathLike | Image.Image) else list(images)
        prompts = [self._options.prompts.caption] * len(listed)
        decoding = _decoding(self._options.decoding.caption, num_beams, max_new_tokens)
        return self._write(self._options.prompts.caption, prompts, listed, decoding)

    def ask(
        self,
        image: ImageLike,
        question: str,
        *,
        num_beams: int | None = None,
        max_new_tokens: int | None = None,
    ) -> str:
        """The answer to a question about an image.

        Args:
            image: path, bytes or PIL image.
            question: in plain words.
            num_beams: beams; None: as in the evaluation.
            max_new_tokens: longest answer; None: as in the evaluation.

        Raises:
            InputError: the image cannot be read, or the question is empty.
        """
        if not question.strip():
            raise InputError("the question is empty", action='Ask something, such as "what color is it?"')
        template = self._options.prompts.vqa
        decoding = _decoding(self._options.decoding.vqa, num_beams, max_new_tokens)
        return self._write(template, [fill(template, question=question.strip())], [image], decoding)[0]

    def _write(
        self, template: str, prompts: Sequence[str], images: Sequence[ImageLike], decoding: Decoding
    ) -> list[str]:
        if not images:
            return []
        opened = [_opened(image) for image in images]
        pooled, patch = self.model.encode_images(opened)
        features = {"pooled": pooled, "patch": patch}
        writer = Writer(self.model, template, decoding, self._options.answers, self._options.batch_size)
        answers = writer.answers_to(prompts, {kind: features[kind] for kind in writer.kinds})
        return [answer.text for answer in answers]


def _opened(image: ImageLike) -> Image.Image:
    return image.convert("RGB") if isinstance(image, Image.Image) else open_image(image)


def _decoding(given: Decoding, num_beams: int | None, max_new_tokens: int | None) -> Decoding:
    changes = {"num_beams": num_beams, "max_new_tokens": max_new_tokens}
    return Decoding(**{**given.model_dump(), **{name: value for name, value in changes.items() if value is not None}})


def load(path: str | Path, *, options: EvaluateVlkd | None = None, device: str = "cpu") -> Distilled:
    """Load a distilled model from its folder, such as ``results/distill/vlkd/all-s0``.

    Args:
        path: the folder.
        options: prompts, decoding and extraction; None takes what belongs to the model (`options_of`).
        device: torch device.

    Raises:
        InputError: the folder is not a saved model; says what to do.
    """
    if not Path(path).is_dir():
        raise InputError(
            "no such model folder",
            file=path,
            action="Distil one (make reproduce), or name another folder with --model",
        )
    logging.disable_progress_bar()  # "Loading weights" is over before it can be read
    model = VLKD.load(path, device=device)
    return Distilled(model, options or options_of(path, toy=bool(model.facts.get("toy"))))


def options_of(path: str | Path, *, toy: bool) -> EvaluateVlkd:
    """Prompts, decoding and extraction that belong to a model; where the caller stands does not matter.

    The first there is of: ``prompts.json`` in the folder (keys of ``evaluate.vlkd``, such as ``prompts``, ``decoding``,
    ``answers``; to be put beside a model that is moved away); the params.yaml of the project the folder lies in; the
    defaults of the miniature for a toy, those of the preset paper for a model of published weights.

    Raises:
        InputError: prompts.json or params.yaml does not fit; names the field.
    """
    folder = Path(path).resolve()
    if (folder / PROMPTS).is_file():
        return _validated(read_json(folder / PROMPTS), folder / PROMPTS)
    for place in folder.parents:
        # the params.yaml of another tool's project further up says nothing about the model
        if layout.distill_vlkd(place) in folder.parents and (place / layout.PARAMS).is_file():
            return experiment.load(place / layout.PARAMS).evaluate.vlkd
    return EvaluateVlkd() if toy else EvaluateVlkd.model_validate(PUBLISHED)


def _validated(tree: object, file: Path) -> EvaluateVlkd:
    try:
        return EvaluateVlkd.model_validate(tree)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"])
        raise InputError(first["msg"], file=file, field=field, action="Use the keys of evaluate.vlkd") from None
