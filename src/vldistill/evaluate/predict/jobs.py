"""What there is to predict: jobs, each with a run folder found by content.

A job is one task of one cell (arm, seed), possibly under a control, or of a reference that is no arm. Its key holds the
parameters it reads and fingerprints of its inputs, so that a new seed, prompt or task runs its own jobs only. Nothing
here imports torch: finished jobs are recognised before anything heavy is loaded.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from vldistill import layout
from vldistill.artifact import absence
from vldistill.cells import Cell
from vldistill.code_version import code_version
from vldistill.errors import InputError
from vldistill.evaluate.inputs import identity, list_identity, model_identity
from vldistill.params import Params
from vldistill.params.evaluate import CAPTION_TASKS, QUESTION_TASKS, TASKS, TEXT_TASKS
from vldistill.provenance import libraries

STAGE = "evaluate_predict"
DIRECT, TUNED = "direct", "fine-tuned"
MAIN_TRAINING = "vqav2"
IMAGE_SETS = {"coco": "coco", "nocaps": "nocaps", "vqav2": "coco", "okvqa": "coco", "domains": "nocaps"}
NO_DEV = ("nocaps", "domains")  # sets without a dev part
DISTILLED_SET = "cc3m"
CAPTION_REFERENCES = ("clip_retrieval", "most_common", "random")


@dataclass(frozen=True)
class Job:
    """One task of one model or reference.

    Attributes:
        task: what is predicted.
        arm: the arm, or the name of the reference.
        seed: None for references without chance.
        control: ``no_image`` or ``shuffled``, else None.
        variant: ``direct`` or ``fine-tuned`` for text tasks, else None.
        source: where the model is: ``cell`` (a distilled model), the name of a language model, or None.
    """

    task: str
    arm: str
    seed: int | None
    control: str | None = None
    variant: str | None = None
    source: str | None = None

    @property
    def name(self) -> str:
        """The stem of the job's files."""
        parts = [self.arm if self.seed is None else f"{self.arm}-s{self.seed}", self.control]
        return ".".join(part for part in [*parts, self.variant if self.variant == TUNED else None] if part)


def cell_jobs(params: Params, cell: Cell) -> list[Job]:
    """All jobs of one cell."""
    options = params.evaluate.vlkd
    controlled = _of_arm(options.controls, cell.arm)
    jobs = []
    for task in _tasks_of(params, [cell.arm]):
        variants: list[str | None] = [DIRECT] if task in TEXT_TASKS else [None]
        if task in options.finetuning.tasks and cell.arm in options.finetuning.arms:
            variants += [TUNED] * (cell.seed < options.finetuning.seeds)
        controls: list[str | None] = [None, "no_image", "shuffled"] if task in controlled else [None]
        pairs = [(control, variant) for control in controls for variant in variants]
        jobs += [Job(task, cell.arm, cell.seed, control, variant, "cell") for control, variant in pairs]
    return jobs


def _of_arm(table: dict[str, Any], arm: str) -> list[str]:
    return list(table.get(arm, table.get("default", [])))


def reference_jobs(params: Params, cells: Iterable[Cell]) -> list[Job]:
    """Jobs of the references that are no arm, for the tasks that any of ``cells`` has."""
    if not params.evaluate.vlkd.references:
        return []
    arms = sorted({cell.arm for cell in cells})
    tasks = _tasks_of(params, arms)
    jobs = [Job(task, "majority", None) for task in tasks if task in QUESTION_TASKS]
    for task in tasks:
        if task in CAPTION_TASKS:
            jobs += [Job(task, name, None) for name in CAPTION_REFERENCES]
    if "retrieval" in tasks:
        jobs.append(Job("retrieval", "clip_text", None))
    return jobs + _before_distillation(params, arms)


def all_jobs(params: Params, cells: Sequence[Cell]) -> list[Job]:
    """The jobs of all ``cells``, and those of the references."""
    return [job for cell in cells for job in cell_jobs(params, cell)] + reference_jobs(params, cells)


def _tasks_of(params: Params, arms: Iterable[str]) -> list[str]:
    """The tasks of any of ``arms``, in the order of `TASKS`."""
    wanted = {task for arm in arms for task in _of_arm(params.evaluate.vlkd.tasks, arm)}
    none = NO_DEV if params.evaluate.vlkd.split == "dev" else ()
    return [task for task in TASKS if task in wanted and task not in none]


def _before_distillation(params: Params, arms: Sequence[str]) -> list[Job]:
    """Every language model as it was before, on the tasks of the arms that start from it."""
    vlkd, tuning = params.distill.vlkd, params.evaluate.vlkd.finetuning
    models = {arm: vlkd.options_of(arm).language_model for arm in arms}
    jobs = []
    for model in sorted(set(models.values())):
        arm = "plm" if model == vlkd.language_model else f"plm_{model}"
        mine = [name for name in arms if models[name] == model]
        for task in _tasks_of(params, mine):
            if task != "retrieval":
                jobs.append(Job(task, arm, None, variant=DIRECT if task in TEXT_TASKS else None, source=model))
            if task in tuning.tasks and set(tuning.arms) & set(mine):
                jobs += [Job(task, arm, seed, variant=TUNED, source=model) for seed in range(tuning.seeds)]
    return jobs


def absent_tasks(wanted: Iterable[Job], root: str | Path) -> dict[str, str]:
    """The tasks of ``wanted`` whose data set is absent, with the reason; the text loss needs one text task."""
    found = {}
    for task in dict.fromkeys(job.task for job in wanted):
        reasons = [absence(layout.download(root, name)) for name in _sets_of(task)]
        if reasons[0] and all(reasons):
            found[task] = reasons[0]
    return found


def _sets_of(task: str) -> Sequence[str]:
    """The data sets whose items ``task`` is measured on; any one of them will do."""
    return {"corpus": TEXT_TASKS, "retrieval": ("coco",)}.get(task, (task,))


def check(params: Params) -> None:
    """Refuse tasks and controls of arms that do not exist.

    Raises:
        InputError: names the key.
    """
    options = params.evaluate.vlkd
    named = {
        "tasks": list(options.tasks),
        "controls": list(options.controls),
        "finetuning.arms": options.finetuning.arms,
    }
    for field, arms in named.items():
        for arm in arms:
            if arm != "default" and arm not in params.distill.vlkd.arms:
                raise InputError(
                    f"there is no arm {arm!r}",
                    file=layout.PARAMS,
                    field=f"evaluate.vlkd.{field}",
                    action=f"Arms: {', '.join(params.distill.vlkd.arms)}",
                )
    for arm in params.distill.vlkd.active:
        if unused := set(_of_arm(options.controls, arm)) - set(_of_arm(options.tasks, arm)):
            raise InputError(
                f"controls of tasks the arm does not run: {', '.join(sorted(unused))}",
                file=layout.PARAMS,
                field=f"evaluate.vlkd.controls.{arm}",
                action="Add them to evaluate.vlkd.tasks, or drop the controls",
            )


def key(job: Job, params: Params, root: Path) -> dict[str, Any]:
    """All that a job's result depends on."""
    return {
        "job": asdict(job),
        "code": code_version(STAGE, root),
        "libraries": libraries(),
        "params": {**_params(job, params), "compute": _compute(params)},
        "inputs": _inputs(job, params, root),
    }


def _compute(params: Params) -> dict[str, Any]:
    return params.compute.model_dump(include={"device", "dtype", "threads"})


def _params(job: Job, params: Params) -> dict[str, Any]:
    options = params.evaluate.vlkd
    read: dict[str, Any] = {"split": options.split, "max_items": options.max_items, "batch_size": options.batch_size}
    kind = "caption" if job.task in CAPTION_TASKS else "vqa" if job.task in QUESTION_TASKS else job.task
    if job.source and kind in ("caption", "vqa", *TEXT_TASKS):
        read["prompt"] = getattr(options.prompts, kind)
        read["decoding"] = getattr(options.decoding, kind).model_dump()
        read["answers"] = options.answers.model_dump()
    if job.variant == TUNED:
        read["finetuning"] = options.finetuning.model_dump(exclude={"arms", "tasks", "seeds"})
    if job.task == "corpus":
        read["corruption"] = options.model_dump(include={"corruption_seed", "mask_ratio", "mask_span"})
        read["prompts"] = {task: getattr(options.prompts, task) for task in TEXT_TASKS}
    if job.control == "shuffled" or job.arm == "random":
        read["shuffle_seed"] = options.shuffle_seed
    return read


def encoder_of(job: Job, params: Params) -> str:
    """The teacher whose image features the job reads."""
    vlkd = params.distill.vlkd
    return vlkd.options_of(job.arm).encoder if job.source == "cell" else vlkd.encoder


def feature_sets(job: Job) -> list[str]:
    """The sets whose features the job reads."""
    if job.task == "retrieval":
        return ["coco"]
    if job.task not in IMAGE_SETS:
        return []
    if job.arm == "clip_retrieval":
        return [IMAGE_SETS[job.task], DISTILLED_SET]
    return [IMAGE_SETS[job.task]] if job.source == "cell" and job.control != "no_image" else []


def record_sets(job: Job) -> list[str]:
    """The sets whose records the job reads."""
    if job.task == "corpus":
        return list(TEXT_TASKS)
    own = "coco" if job.task == "retrieval" else job.task
    if job.arm in CAPTION_REFERENCES:
        return [own, DISTILLED_SET]
    if job.arm == "majority" and job.task == "domains":
        return [own, MAIN_TRAINING]
    return [own]


def _inputs(job: Job, params: Params, root: Path) -> dict[str, Any]:
    encoder = encoder_of(job, params)
    found: dict[str, Any] = {name: identity(layout.download(root, name)) for name in record_sets(job)}
    found["features"] = {name: identity(layout.features(root, encoder, name)) for name in feature_sets(job)}
    lists = TEXT_TASKS if job.task == "corpus" else ["coco" if job.task == "retrieval" else job.task]
    found["split"] = {task: list_identity(root, task, params.evaluate.vlkd.split) for task in lists}
    if job.source == "cell":
        name = Cell(job.arm, job.seed or 0).name
        found["model"] = model_identity(layout.distill_vlkd(root), name, "vldistill distill vlkd")
    elif job.source:
        found["model"] = identity(layout.pretrain(root, job.source))
    return found
