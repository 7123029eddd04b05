"""How students are made: grounded on phrases about images, or published."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from vldistill import layout
from vldistill.artifact import absence
from vldistill.files import sha256_file
from vldistill.models.student import Student
from vldistill.models.student.published import load_published
from vldistill.params import Params
from vldistill.params import student as options
from vldistill.pretrain.names import STUDENTS
from vldistill.pretrain.stage import Recipe, absent, contents
from vldistill.pretrain.student import make
from vldistill.pretrain.student_words import TASK_SETS, task_words, withheld_words
from vldistill.training import Run

PHRASES = "vg"
TEACHER = "clip"
USUAL = "student"
NO_GAP = "a published student has learnt what it has learnt: it cannot be kept from chosen synonyms"
UNASKED = "pretrain.student.gaps does not ask for a student that is kept from {} % of the synonyms"


def recipe_of(params: Params, root: Path, name: str) -> Recipe:
    """How the student ``name`` is made; of a chosen gap there is one where it is asked for, but no published one."""
    settings, percent = params.pretrain.student, STUDENTS[name]
    if settings.source != "train":
        return _published(settings) if name == USUAL else absent(NO_GAP)
    if name != USUAL and percent not in settings.gaps:
        return absent(UNASKED.format(percent))
    phrases, features = layout.download(root, PHRASES), layout.features(root, TEACHER, PHRASES)
    tasks = {each: folder for each in TASK_SETS if not absence(folder := layout.download(root, each))}

    # one of a chosen gap has learnt all that the usual student has, and goes on with the synonyms that it may meet
    start = None if name == USUAL else layout.pretrain(root, USUAL)
    own = settings if start is None else settings.model_copy(update={"training": settings.gap_training})

    def run(folder: Path, state: Run) -> dict[str, Any]:
        withheld = withheld_words(phrases, percent)
        return make(own, phrases, features, folder, state, words=task_words(tasks), withheld=withheld, start=start)

    # the features' fingerprint stands for the regions; another gap changes no other student
    unread = {"published", "sha256", "published_vocabulary", "published_seen", "regions", "gaps", "gap_steps"}
    read = own.model_dump(mode="json", exclude=unread)
    made_from = {PHRASES: phrases, "features": features, **tasks, **({"start": start} if start else {})}
    return Recipe({**read, "withheld": percent}, made_from, run)


def _published(settings: options.Student) -> Recipe:
    def run(folder: Path, _: Run) -> dict[str, Any]:
        student = _loaded(settings)
        student.save(folder)
        return {"published": settings.published, "parameters": sum(each.numel() for each in student.parameters())}

    read = settings.model_dump(mode="json", include={"source", "published", "sha256", "published_seen", "seed"})
    if settings.source == "uniter":
        read["vocabulary"] = sha256_file(Path(settings.published_vocabulary))
    else:
        read["files"] = contents(settings.published)
    return Recipe(read, {}, run)


def _loaded(settings: options.Student) -> Student:
    if settings.source == "vilt":
        # transformers' ViLT takes seconds to import; the students that are trained here do without
        from vldistill.models.student.vilt import load_published_vilt

        student: Student = load_published_vilt(settings.published)
    else:
        student = load_published(settings.published, settings.published_vocabulary, settings.sha256)
    student.facts["seen"] = sorted({*student.facts["seen"], *settings.published_seen})
    return student
