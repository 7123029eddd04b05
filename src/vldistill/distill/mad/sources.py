"""What a cell reads besides its records: the images of its task and the stores of teachers' vectors, opened."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from vldistill.distill.mad.data import pictures_of, store_of
from vldistill.distill.mad.inputs import Pictures
from vldistill.features.store import Store, check_fingerprint


@dataclass(frozen=True)
class Sources:
    """What a cell reads, opened.

    Attributes:
        paths: the artifacts, by the part they play.
        pictures: the task's images.
        texts: CLIP's store of texts; None where no teacher is asked.
        language_model: the language model's store of texts; None where it teaches nothing.
    """

    paths: Mapping[str, Path]
    pictures: Pictures
    texts: Store | None
    language_model: Store | None


def open_sources(paths: Mapping[str, Path], files: Path | None) -> Sources:
    """Open the stores of a cell and check that they are of one teacher.

    Args:
        paths: the artifacts, by the part they play.
        files: the user's region features of the task's images, for a student that reads them.

    Raises:
        InputError: they are not, or a store lacks a kind.
    """
    pictures = pictures_of(paths["images"], paths["features"], files)
    texts = store_of(paths["texts"]) if "texts" in paths else None
    if texts is not None:
        for store in (pictures.features, store_of(paths["phrase_features"])):
            check_fingerprint(store.folder, store.fingerprint, texts.fingerprint)
    language_model = store_of(paths["language_model"]) if "language_model" in paths else None
    return Sources(paths, pictures, texts, language_model)
