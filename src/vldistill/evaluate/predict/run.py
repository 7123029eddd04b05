"""Running jobs: models and features loaded once, one job after the other, each result in its run folder."""

from __future__ import annotations

import copy
import itertools
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from vldistill import layout
from vldistill.cells import Cell
from vldistill.errors import InputError
from vldistill.evaluate.data import Data
from vldistill.evaluate.ids import official_id
from vldistill.evaluate.metrics.retrieval import KS, recall_at_k
from vldistill.evaluate.predict import controls, jobs
from vldistill.evaluate.predict.answers import MASK, Answer, fill
from vldistill.evaluate.predict.finetuning import fine_tune
from vldistill.evaluate.predict.generate import Writer, rules
from vldistill.evaluate.predict.jobs import Job
from vldistill.evaluate.predict.losses import text_losses
from vldistill.features.store import Store, open_store, text_key
from vldistill.files import write_json, write_jsonl
from vldistill.models.language_model import load_language_model
from vldistill.models.vlkd import VLKD, VlkdConfig
from vldistill.params import Params
from vldistill.params.evaluate import CAPTION_TASKS, QUESTION_TASKS
from vldistill.progress import Progress
from vldistill.provenance import cpu_seconds
from vldistill.records import UNLABELLED, CaptionRecord, TextRecord
from vldistill.runs import RunFolder, claim
from vldistill.signals import Stopped, StopRequest
from vldistill.training.loop import check_device

PREDICTIONS = {"json": "predictions.json", "jsonl": "predictions.jsonl"}


@dataclass(frozen=True)
class Output:
    """What a job predicts: rows of the official format, and facts that are printed beside its numbers."""

    rows: list[dict[str, Any]]
    facts: dict[str, Any]


def kind_of(task: str) -> str:
    """The file format of a task's predictions: official JSON lists, or one JSON value a line."""
    return "json" if task in CAPTION_TASKS or task in QUESTION_TASKS else "jsonl"


def run_jobs(wanted: Sequence[Job], params: Params, root: Path, *, deadline: float | None = None) -> None:
    """Run the jobs that are not finished, those of one model together.

    Raises:
        Stopped: by the deadline (a `time.monotonic()` moment); finished jobs are kept.
    """
    check_device(params.compute)
    torch.set_num_threads(params.compute.threads)
    predictor = Predictor(params, root, deadline)
    progress = Progress(len(wanted), "evaluate vlkd predict")
    finished = 0
    # signals end the process at once, as ever: a job keeps nothing of its middle, and one whose run folder another
    # process has taken over must not go on
    stop = StopRequest(deadline)
    for (source, arm, seed), group in itertools.groupby(wanted, key=_model_of):
        predictor.use(source, arm, seed)
        for job in group:
            with claim(jobs.STAGE, jobs.key(job, params, root), root) as run:
                if not run.done:
                    _run(job, predictor, run)
            progress.step(job=f"{job.task}/{job.name}")
            finished += 1
            if (reason := stop.reason()) and finished < len(wanted):
                raise Stopped(reason, finished, "job")


def _model_of(job: Job) -> tuple[str | None, str, int | None]:
    # a language model before distillation does not depend on the seed; its fine-tuning starts from a copy
    return job.source, job.arm, job.seed if job.source == "cell" else None


def _run(job: Job, predictor: Predictor, run: RunFolder) -> None:
    wall, cpu = time.monotonic(), cpu_seconds()
    compute = predictor.params.compute
    with torch.autocast(compute.device, torch.bfloat16, enabled=compute.dtype == "bf16"):
        output = predictor.predict(job, run.path)
    kind = kind_of(job.task)
    (write_json if kind == "json" else write_jsonl)(run.path / PREDICTIONS[kind], output.rows)
    took = {"wall_seconds": round(time.monotonic() - wall, 3), "cpu_seconds": round(cpu_seconds() - cpu, 3)}
    run.finish({**output.facts, "n": len(output.rows), **took})


class Predictor:
    """Predicts with the model at hand; holds records and features."""

    def __init__(self, params: Params, root: Path, deadline: float | None = None) -> None:
        self.params, self.root, self.deadline = params, root, deadline
        self.options = params.evaluate.vlkd
        self.data = Data(root, self.options.split, self.options.max_items)
        self.model: VLKD | None = None
        self._stores: dict[tuple[str, str], Store] = {}

    def use(self, source: str | None, arm: str, seed: int | None) -> None:
        """Load the model of a cell, or a language model as it was before distillation."""
        device = self.params.compute.device
        self.model = None
        if source == "cell":
            folder = layout.distill_vlkd(self.root) / Cell(arm, seed or 0).name
            self.model = VLKD.load(folder, device=device)
        elif source:
            language_model = load_language_model(layout.pretrain(self.root, source), device=device)
            # its projections are never used: it gets no image
            self.model = VLKD(language_model, VlkdConfig(dim=1, patch_width=1)).to(device).eval()

    def predict(self, job: Job, folder: Path) -> Output:
        """Run one job with the model in use."""
        if job.arm == "majority":
            return self._majority(job)
        if job.arm in jobs.CAPTION_REFERENCES:
            return self._reference_captions(job)
        if job.task in CAPTION_TASKS:
            return self._captions(job)
        if job.task in QUESTION_TASKS:
            return self._questions(job)
        if job.task == "retrieval":
            return self._retrieval(job)
        return self._corpus() if job.task == "corpus" else self._text(job, folder)

    def _store(self, encoder: str, dataset: str) -> Store:
        if (encoder, dataset) not in self._stores:
            self._stores[encoder, dataset] = open_store(layout.features(self.root, encoder, dataset))
        return self._stores[encoder, dataset]

    def _writer(self, kind: str) -> Writer:
        assert self.model is not None
        options = self.options
        return Writer(
            self.model,
            getattr(options.prompts, kind),
            getattr(options.decoding, kind),
            options.answers,
            options.batch_size,
        )

    def _write(
        self, job: Job, kind: str, prompts: Sequence[str], images: Sequence[str]
    ) -> tuple[list[Answer], dict[str, Any]]:
        """Answers to the prompts with the images the job's control lets the model see."""
        writer = self._writer(kind)
        facts = {"prompt": writer.template, "decoding": writer.decoding.model_dump()}
        if job.source != "cell" or job.control == "no_image":
            answers = writer.write(prompts)
            return answers, {**facts, "extraction": rules(answers)}
        store = self._store(jobs.encoder_of(job, self.params), jobs.IMAGE_SETS[job.task])
        usable = _readable(store, images)
        shown = dict(zip(usable, usable, strict=True))
        if job.control == "shuffled":
            shown = controls.shuffled_images(usable, self.options.shuffle_seed)
        answers = writer.write(prompts, store, [shown.get(image) for image in images])
        unreadable = sum(image not in shown for image in images)
        return answers, {**facts, "extraction": rules(answers), "unreadable_images": unreadable}

    def _captions(self, job: Job) -> Output:
        records = self.data.captions(job.task)
        prompts = [self.options.prompts.caption] * len(records)
        answers, facts = self._write(job, "caption", prompts, [record.image for record in records])
        return Output(_caption_rows([record.id for record in records], [answer.text for answer in answers]), facts)

    def _questions(self, job: Job) -> Output:
        records = self.data.questions(job.task)
        prompts = [fill(self.options.prompts.vqa, question=record.question) for record in records]
        answers, facts = self._write(job, "vqa", prompts, [record.image for record in records])
        return Output(_answer_rows([record.id for record in records], [answer.text for answer in answers]), facts)

    def _majority(self, job: Job) -> Output:
        records = self.data.questions(job.task)
        source = jobs.MAIN_TRAINING if job.task == "domains" else job.task
        # all answered questions outside test are official training questions; on dev the prior has thus seen what it
        # predicts
        seen = [r for r in self.data.all_questions(source) if r.split not in ("test", UNLABELLED)]
        training = [(r.question_type, r.answers) for r in seen]
        answers, table = controls.majority_answers(training, [record.question_type for record in records])
        return Output(_answer_rows([record.id for record in records], answers), {"majority": table})

    def _reference_captions(self, job: Job) -> Output:
        records = self.data.captions(job.task)
        ids, images = [record.id for record in records], [record.image for record in records]
        seen = [r for r in self.data.all_captions(jobs.DISTILLED_SET) if r.split == "train"]
        pool = [caption for record in seen for caption in record.captions]
        if job.arm == "most_common":
            return Output(_caption_rows(ids, [controls.most_common_caption(pool)] * len(ids)), {})
        if job.arm == "random":
            return Output(_caption_rows(ids, controls.random_captions(pool, ids, self.options.shuffle_seed)), {})
        encoder = jobs.encoder_of(job, self.params)
        texts = self._store(encoder, jobs.DISTILLED_SET).get("text", _text_keys(seen))
        queries = self._store(encoder, jobs.IMAGE_SETS[job.task])
        shown = _readable(queries, images)
        found = dict(zip(shown, controls.nearest_captions(queries.get("pooled", shown), texts, pool), strict=True))
        return Output(_caption_rows(ids, [found.get(image, "") for image in images]), {"captions_searched": len(pool)})

    def _retrieval(self, job: Job) -> Output:
        store = self._store(jobs.encoder_of(job, self.params), "coco")
        records = self.data.captions("coco")
        readable = set(_readable(store, [record.image for record in records]))
        records = [record for record in records if record.image in readable]
        captions = [caption for record in records for caption in record.captions]
        if job.source is None:
            texts = controls.unit(store.get("text", _text_keys(records)))
        else:
            assert self.model is not None
            # equal captions are encoded once, so that they are ties and not decided by the last bit
            distinct = list(dict.fromkeys(captions))
            vectors = dict(zip(distinct, self.model.encode_text(distinct).numpy(), strict=True))
            texts = np.stack([vectors[caption] for caption in captions])
        images = controls.unit(store.get("pooled", [record.image for record in records]))
        owner = [row for row, record in enumerate(records) for _ in record.captions]
        hits = recall_at_k(images @ texts.T, owner)
        queries = {"i2t": [record.id for record in records], "t2i": _text_keys(records)}
        rows = [
            {"id": name, "direction": way, "hits": {str(k): hits[way][k][row] for k in KS}}
            for way, names in queries.items()
            for row, name in enumerate(names)
        ]
        return Output(rows, {"images": len(records), "captions": len(captions)})

    def _text(self, job: Job, folder: Path) -> Output:
        records = self.data.texts(job.task)
        writer, facts = self._writer(job.task), {}
        if job.variant == jobs.TUNED:
            assert self.model is not None
            model = copy.deepcopy(self.model)
            training = [record for record in self.data.all_texts(job.task) if record.split == "train"]
            options = self.options.finetuning
            metrics = fine_tune(
                model.language_model,
                training,
                writer.template,
                options,
                folder / "training",
                seed=job.seed or 0,
                compute=self.params.compute,
                deadline=self.deadline,
            )
            writer = Writer(model, writer.template, writer.decoding, writer.answers, writer.batch)
            facts = {"finetuning": {"steps": options.steps, "examples": len(training), "loss": metrics.get("loss")}}
        answers = writer.write([fill(writer.template, text=record.text) for record in records])
        rows = [{"id": r.id, "prediction": answer.text} for r, answer in zip(records, answers, strict=True)]
        described = {"prompt": writer.template, "decoding": writer.decoding.model_dump(), "extraction": rules(answers)}
        return Output(rows, {**described, **facts})

    def _corpus(self) -> Output:
        assert self.model is not None
        options, documents = self.options, self.data.held_out(self._spelled)
        losses = text_losses(
            self.model.language_model,
            [text for _, text in documents],
            np.random.default_rng(options.corruption_seed),
            mask_ratio=options.mask_ratio,
            span=options.mask_span,
            batch=options.batch_size,
        )
        pairs = zip(documents, losses, strict=True)
        rows = [{"id": name, "loss": loss, "tokens": tokens} for (name, _), (loss, tokens) in pairs]
        return Output(rows, {"mask_ratio": options.mask_ratio, "span": options.mask_span})

    def _spelled(self, record: TextRecord) -> str:
        template = getattr(self.options.prompts, record.kind)
        return str(fill(template, text=record.text).replace(MASK, str(record.target)))


def _readable(store: Store, images: Iterable[str]) -> list[str]:
    """The images, each once, that have features; those that could not be read when features were extracted have none.

    Raises:
        InputError: an image was never given to extraction.
    """
    wanted = list(dict.fromkeys(images))
    if unknown := set(wanted) - set(store.keys):
        raise InputError(
            f"{len(unknown)} of {len(wanted)} images are not in the feature store",
            file=store.folder,
            record=min(unknown),
            action="Name their split under features.splits and extract again",
        )
    readable = set(store.valid_keys)
    return [image for image in wanted if image in readable]


def _text_keys(records: Iterable[CaptionRecord]) -> list[str]:
    """Keys of the captions in a feature store's kind ``text``, record by record."""
    return [text_key(record.id, number) for record in records for number in range(len(record.captions))]


def _caption_rows(ids: Sequence[str], captions: Sequence[str]) -> list[dict[str, Any]]:
    pairs = zip(ids, captions, strict=True)
    return [{"image_id": official_id(item), "caption": caption} for item, caption in pairs]


def _answer_rows(ids: Sequence[str], answers: Sequence[str]) -> list[dict[str, Any]]:
    pairs = zip(ids, answers, strict=True)
    return [{"question_id": official_id(item), "answer": answer} for item, answer in pairs]
