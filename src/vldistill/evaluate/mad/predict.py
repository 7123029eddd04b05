"""Running jobs: what models see of a task's items is made or opened once, then every model scores them all."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from vldistill import layout
from vldistill.cells import MadCell
from vldistill.device import check_device
from vldistill.distill.mad.data import pictures_of, store_of
from vldistill.distill.mad.inputs import Inputs, make_inputs
from vldistill.distill.mad.items import ANSWERS
from vldistill.distill.mad.key import CLIP, RECORDS, region_files, subset_file
from vldistill.distill.mad.scores import item_scores
from vldistill.distill.mad.targets import of_teacher, teacher_vectors
from vldistill.evaluate.ids import official_id
from vldistill.evaluate.mad import jobs
from vldistill.evaluate.mad.data import BOARDS, DECIMALS, TEACHER, MadData
from vldistill.evaluate.mad.eval_items import EvalItems, Kind, eval_items, kinds
from vldistill.evaluate.mad.jobs import Job
from vldistill.evaluate.mad.teacher import teacher_scores
from vldistill.evaluate.metrics.vcr import LeaderboardRow, write_leaderboard
from vldistill.features.sentences import Wording
from vldistill.features.store import Store
from vldistill.files import sha256_file, write_json, write_jsonl
from vldistill.models.mad import STUDENT, MadModel
from vldistill.models.student.tokens import TOKENIZER
from vldistill.params import Params
from vldistill.params.mad_grid import Task
from vldistill.progress import Progress
from vldistill.provenance import cpu_seconds
from vldistill.runs import RunFolder, claim
from vldistill.signals import Stopped, stop_requests

Rows = list[dict[str, Any]]


def run_jobs(wanted: Sequence[Job], params: Params, root: Path, *, deadline: float | None = None) -> None:
    """Run the jobs that are not finished; all of one task.

    Raises:
        Stopped: by a signal or the deadline (a `time.monotonic()` moment); finished jobs are kept.
    """
    check_device(params.compute)
    torch.set_num_threads(params.compute.threads)
    predictor = Predictor(params, root, wanted[0].cell.task)
    progress = Progress(len(wanted), f"evaluate mad predict {predictor.task}")
    with stop_requests(deadline) as stop:
        for finished, job in enumerate(wanted, start=1):
            with claim(jobs.STAGE, jobs.key(job, params, root), root) as run:
                if not run.done:
                    predictor.run(job, run)
            progress.step(job=job.cell.name)
            if (reason := stop.reason()) and finished < len(wanted):
                raise Stopped(reason, finished, "cell")


class Predictor:
    """Predicts a task's items with one model after the other; what models see of them is made once."""

    def __init__(self, params: Params, root: Path, task: Task) -> None:
        self.params, self.root, self.task = params, root, task
        self.options = params.evaluate.mad
        unreadable = self._store(self._images).invalid
        self.data = MadData(params, root, task, unreadable)
        self._eval_items: dict[Kind, EvalItems] = {}
        self._inputs: dict[tuple[Kind, str], Inputs] = {}

    def run(self, job: Job, run: RunFolder) -> None:
        """Predict with the model of one cell, or the teacher's head, into the run folder."""
        wall, cpu = time.monotonic(), cpu_seconds()
        compute = self.params.compute
        found: dict[str, Rows] = {}
        texts = 0
        with torch.autocast(compute.device, torch.bfloat16, enabled=compute.dtype == "bf16"):
            loaded = None if job.cell.arm == TEACHER else self.load(job.cell)
            for kind in kinds(self.data):
                if loaded is None:
                    evaluated, scores, answers = self.teacher(job.cell, kind)
                else:
                    evaluated, scores = self.scores(*loaded, kind)
                    answers = loaded[0].answers
                add_rows(found, self.task, evaluated, scores, answers)
                texts += len(evaluated.items.texts)
            if loaded and job.leaderboard and self.data.unlabelled:
                self.write_board(run.path / BOARDS[self.task], *loaded)
        for name, rows in found.items():
            write_jsonl(run.path / f"{name}.jsonl", rows)
            if self.task == "vqa":
                write_json(run.path / f"{name}.json", official_answers(rows))
        took = {"wall_seconds": round(time.monotonic() - wall, 3), "cpu_seconds": round(cpu_seconds() - cpu, 3)}
        facts = {"n": {name: len(rows) for name, rows in found.items()}, "texts": texts}
        run.finish({**facts, "unreadable": self.data.left_out, **took})

    def write_board(self, file: Path, model: MadModel, vocabulary: str) -> None:
        """Write what the model says of the questions without public labels, in the format of their leaderboard."""
        evaluated, scores = self.scores(model, vocabulary, "leaderboard")
        if self.task == "vqa":
            (rows,) = rows_of(self.task, evaluated, scores, model.answers).values()
            write_json(file, official_answers(rows))
        else:
            write_leaderboard(file, leaderboard_rows(evaluated, scores))

    def load(self, cell: MadCell) -> tuple[MadModel, str]:
        """The model of a cell, and what tells its student's vocabulary from others."""
        folder = layout.distill_mad(self.root, self.task) / cell.name
        model = MadModel.load(folder).to(self.params.compute.device)
        return model, sha256_file(folder / STUDENT / TOKENIZER)

    def scores(self, model: MadModel, vocabulary: str, kind: Kind) -> tuple[EvalItems, Tensor]:
        """What is evaluated and the model's scores [N, A] of it; a small world may leave nothing."""
        evaluated = self.eval_items(kind)
        if not len(evaluated.items):
            return evaluated, torch.empty(0, evaluated.items.choices)
        inputs, target = self.inputs(model, vocabulary, kind), None
        if model.sees_teacher:
            features, texts = (self._store(name) for name in (self._images, layout.TEXTS))
            target = of_teacher(teacher_vectors(evaluated.items, inputs, features, texts, None), inputs)
        return evaluated, item_scores(model, inputs, target, at_once=self.options.batch_size)

    def teacher(self, cell: MadCell, kind: Kind = "sets") -> tuple[EvalItems, Tensor, list[str]]:
        """What is evaluated, the scores of the teacher's head of the cell's subset, and what they stand for."""
        subset = subset_file(self.params, self.root, cell)
        stores = (self._store(name) for name in (self._images, layout.TEXTS))
        options, wording = jobs.head_options(self.params, cell), Wording.of(self.params.features)
        return teacher_scores(kind, self.data, subset, cell, options, wording, *stores)

    def eval_items(self, kind: Kind) -> EvalItems:
        """The items."""
        if kind not in self._eval_items:
            self._eval_items[kind] = eval_items(kind, self.data, Wording.of(self.params.features))
        return self._eval_items[kind]

    def inputs(self, model: MadModel, vocabulary: str, kind: Kind) -> Inputs:
        """What the model's student sees of the items; students with one vocabulary share it."""
        key = (kind, vocabulary)
        if key not in self._inputs:
            pictures = pictures_of(
                layout.download(self.root, self._images),
                layout.features(self.root, CLIP, self._images),
                region_files(self.params, self.root, self._images),
            )
            self._inputs[key] = make_inputs(self.eval_items(kind).items, model.student, pictures)
        return self._inputs[key]

    def _store(self, name: str) -> Store:
        return store_of(layout.features(self.root, CLIP, name))

    @property
    def _images(self) -> str:
        return RECORDS[self.task][1]


def rows_of(task: str, evaluated: EvalItems, scores: Tensor, answers: Sequence[str]) -> dict[str, Rows]:
    """Predictions of each set (`evaluate.mad.data`); arguments as those of `add_rows`."""
    found: dict[str, Rows] = {}
    add_rows(found, task, evaluated, scores, answers)
    return found


def add_rows(found: dict[str, Rows], task: str, evaluated: EvalItems, scores: Tensor, answers: Sequence[str]) -> None:
    """Add predictions to those of each set that are there.

    Args:
        found: rows by set; those of a set that is not there are added.
        task: snli_ve, vcr or vqa.
        evaluated: N items.
        scores: [N, A] of a model: logits of labels, answers or choices.
        answers: what the logits stand for; empty for VCR.
    """
    chances = (scores.float().sigmoid() if task == "vqa" else scores.float().softmax(dim=1)).cpu()
    for name, part, where in evaluated.parts:
        rows = found.setdefault(name, [{"id": key} for key in evaluated.items.ids[where]])
        for row, of_item in zip(rows, chances[where].tolist(), strict=True):
            if task == "vcr":
                row["scores" if part == ANSWERS else "rationale_scores"] = _rounded(of_item)
                continue
            best = max(range(len(of_item)), key=of_item.__getitem__)
            row["prediction"] = answers[best]
            if task == "vqa":
                row["score"] = round(of_item[best], DECIMALS)
            else:
                row["scores"] = dict(zip(answers, _rounded(of_item), strict=True))


def official_answers(rows: Rows) -> list[dict[str, Any]]:
    """VQA's official results format."""
    return [{"question_id": official_id(row["id"]), "answer": row["prediction"]} for row in rows]


def leaderboard_rows(evaluated: EvalItems, scores: Tensor) -> dict[str, LeaderboardRow]:
    """VCR's leaderboard format: probabilities of the answers, and of the rationales given each of the answers."""
    chances = scores.float().softmax(dim=1).tolist()
    parts = [[tuple(row) for row in chances[where]] for _, _, where in evaluated.parts]
    ids = evaluated.items.ids[evaluated.parts[0][2]]
    return {key: LeaderboardRow(own[0], own[1:]) for key, *own in zip(ids, *parts, strict=True)}


def _rounded(values: Sequence[float]) -> list[float]:
    return [round(value, DECIMALS) for value in values]
