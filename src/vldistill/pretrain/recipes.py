"""How teachers and language models are made."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from vldistill import layout
from vldistill.params import Params
from vldistill.params.pretrain import Clip, LanguageModel
from vldistill.pretrain.clip import make as make_teacher
from vldistill.pretrain.language_model import make as make_language_model
from vldistill.pretrain.published import language_model as import_language_model
from vldistill.pretrain.published import teacher as import_teacher
from vldistill.pretrain.stage import Recipe, absent, contents

NO_TWIN = "published weights have no twin that was trained without documents that ask and answer without a description"


def recipe_of(params: Params, root: Path, name: str) -> Recipe:
    """How the model ``name`` is made; `bart_no_direct` has no published twin."""
    return _teacher(params, root, name) if name.startswith("clip") else _language_model(params, root, name)


def _teacher(params: Params, root: Path, name: str) -> Recipe:
    teacher, trained = params.pretrain.clip, name == "clip"
    if teacher.source == "published":
        read = published_options(teacher)
        return Recipe(read, {}, lambda to, run: import_teacher(teacher.published, to, trained, run.seed))
    # the control reads no training options; what is held out decides its vocabulary, as the trained one's
    left_out = set() if trained else {"training"}
    read = teacher.model_dump(mode="json", exclude={"published", *left_out})
    data = layout.download(root, "cc3m")
    return Recipe(read, {"cc3m": data}, lambda to, run: make_teacher(teacher, data, to, run, trained=trained))


def _language_model(params: Params, root: Path, name: str) -> Recipe:
    text, direct = params.pretrain.language_model, name == "bart"
    if text.source == "published":
        if not direct:
            return absent(NO_TWIN)
        return Recipe(published_options(text), {}, lambda to, run: import_language_model(text.published, to))
    read = {**text.model_dump(mode="json", exclude={"published"}), "direct": direct}
    folders = {dataset: layout.download(root, dataset) for dataset in ("corpus", "cc3m")}
    return Recipe(read, folders, lambda to, run: make_language_model(text, folders, to, run, direct=direct))


def published_options(options: Clip | LanguageModel) -> dict[str, Any]:
    """What a published model depends on: its name, or the content of the folder that is given for it."""
    return {
        "source": "published",
        "published": options.published,
        "seed": options.seed,
        "files": contents(options.published),
    }
