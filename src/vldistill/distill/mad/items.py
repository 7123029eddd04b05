"""The items of a task: what the student reads, which text the teachers read, and the target.

Inputs as the students' papers have them: SNLI-VE ``[hypothesis]``, VQA ``[question]``, VCR one text a choice,
``[question, answer]`` and ``[question, right answer, rationale]``. An object is ``[i]`` for the student, which reads
its name instead where it knows no tags (`vldistill.models.student.tokens.object_names`), and its class for a teacher.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from vldistill.evaluate.metrics.vqa_formula import soft_targets
from vldistill.features.sentences import PLAIN, Wording, judged
from vldistill.models.student import object_tag
from vldistill.models.student.heads import AnswerVocabulary, SoftTargets
from vldistill.records import CHOICES, LABELS, ChoiceRecord, EntailmentRecord, QuestionRecord, Token

ANSWERS, RATIONALES = "answers", "rationales"


@dataclass(frozen=True)
class Items:
    """N items of a task, C texts each; text c of item i is row i C + c.

    Attributes:
        task: snli_ve, vcr or vqa.
        ids: record of each item.
        groups: image of each item, or its movie: what no split may cut.
        images: image key of each item.
        texts: segments of each text.
        teacher_texts: what a teacher reads of each text: of VCR the last segment, or all (`features.sentences.judged`).
        choices: C.
        targets: [N] index of the right label or choice, -1 where it is not public; VQA: scores [N, answers], whose rows
            are made when they are asked for.
        objects: class of each object that the item's texts may name by a tag; empty where tags mean nothing.
    """

    task: str
    ids: list[str]
    groups: list[str]
    images: list[str]
    texts: list[list[str]]
    teacher_texts: list[str]
    choices: int
    targets: Tensor | SoftTargets
    objects: list[tuple[str, ...]]

    def __len__(self) -> int:
        return len(self.ids)

    def take(self, chosen: Sequence[int]) -> Items:
        """Some of the items."""
        rows = [item * self.choices + choice for item in chosen for choice in range(self.choices)]
        return replace(
            self,
            ids=[self.ids[item] for item in chosen],
            groups=[self.groups[item] for item in chosen],
            images=[self.images[item] for item in chosen],
            texts=[self.texts[row] for row in rows],
            teacher_texts=[self.teacher_texts[row] for row in rows],
            targets=self.targets[torch.tensor(chosen, dtype=torch.long)],
            objects=[self.objects[item] for item in chosen],
        )


def entailment_items(records: Sequence[EntailmentRecord]) -> Items:
    """SNLI-VE."""
    return Items(
        task="snli_ve",
        ids=[record.id for record in records],
        groups=[record.image for record in records],
        images=[record.image for record in records],
        texts=[[record.hypothesis] for record in records],
        teacher_texts=[record.hypothesis for record in records],
        choices=1,
        targets=torch.tensor([LABELS.index(record.label) for record in records], dtype=torch.long),
        objects=[()] * len(records),
    )


def question_items(records: Sequence[QuestionRecord], answers: Sequence[str]) -> Items:
    """VQA, with the scores of ``answers``, which may be empty where nothing is to be learnt."""
    targets: Tensor | SoftTargets = torch.zeros(len(records), 0)
    if answers:
        targets = AnswerVocabulary(answers).targets([soft_targets(record.answers) for record in records])
    return Items(
        task="vqa",
        ids=[record.id for record in records],
        groups=[record.image for record in records],
        images=[record.image for record in records],
        texts=[[record.question] for record in records],
        teacher_texts=[record.question for record in records],
        choices=1,
        targets=targets,
        objects=[()] * len(records),
    )


def choice_items(records: Sequence[ChoiceRecord], part: str, wording: Wording = PLAIN) -> Items:
    """VCR's questions with their answers, or, given the right answer, with their rationales.

    Args:
        records: the questions; for rationales with a public answer.
        part: `ANSWERS` or `RATIONALES`.
        wording: how texts are put to the teachers.
    """
    choices = [record.answers if part == ANSWERS else record.rationales for record in records]
    labels = [record.answer_label if part == ANSWERS else record.rationale_label for record in records]
    return Items(
        task="vcr",
        ids=[record.id for record in records],
        groups=[record.movie for record in records],
        images=[record.image for record in records],
        texts=[
            [student_text(tokens) for tokens in (*_asked(record, part), choice)]
            for record, of_record in zip(records, choices, strict=True)
            for choice in of_record
        ],
        teacher_texts=[
            judged(_asked(record, part), choice, record.objects, wording)
            for record, of_record in zip(records, choices, strict=True)
            for choice in of_record
        ],
        choices=CHOICES,
        targets=torch.tensor([-1 if label is None else label for label in labels], dtype=torch.long),
        objects=[tuple(record.objects) for record in records],
    )


def joined(one: Items, other: Items) -> Items:
    """The items of both, one after the other; both of one task."""
    return replace(
        one,
        ids=one.ids + other.ids,
        groups=one.groups + other.groups,
        images=one.images + other.images,
        texts=one.texts + other.texts,
        teacher_texts=one.teacher_texts + other.teacher_texts,
        targets=_joined(one.targets, other.targets),
        objects=one.objects + other.objects,
    )


def _joined(one: Tensor | SoftTargets, other: Tensor | SoftTargets) -> Tensor | SoftTargets:
    if isinstance(one, Tensor) and isinstance(other, Tensor):
        return torch.cat([one, other])
    assert isinstance(one, SoftTargets) and isinstance(other, SoftTargets), "both of one task and its answers"
    return one.followed_by(other)


def student_text(tokens: Sequence[Token]) -> str:
    """A VCR text as the student reads it: objects are their tags."""
    return " ".join(
        token if isinstance(token, str) else " and ".join(object_tag(index) for index in token) for token in tokens
    )


def _asked(record: ChoiceRecord, part: str) -> list[list[Token]]:
    """What stands before a choice."""
    if part == ANSWERS or record.answer_label is None:
        return [record.question]
    return [record.question, record.answers[record.answer_label]]
