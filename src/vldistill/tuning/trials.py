"""The trials of a sweep as its results tell them: what each scored, and which one each criterion chooses.

A trial's models are trained on the training subset without its hold-out (`distill.mad.sweep.holdout`) and judged twice:

- on the hold-out, by the accuracy that training left in the model's config.json (VCR: of answers and rationales alike;
  VQA: the mean score of the answers given);
- on dev, by the chief score in the tidy rows of the score stage. These are the same models: what is judged on
  dev has not been trained on the hold-out either.

An arm has settings of its own at each task and size: a criterion chooses the trial that is highest there.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

from vldistill import layout
from vldistill.errors import InputError
from vldistill.evaluate.mad.chief import CHIEF
from vldistill.evaluate.mad.statistics import DEV
from vldistill.files import read_json, read_jsonl
from vldistill.params.mad_grid import TASKS, Task
from vldistill.params.mad_sweep import Sweep
from vldistill.presets import flat

HOLDOUT = "holdout"
CRITERIA = (HOLDOUT, DEV)
TRIED = ("training.learning_rate", "training.embedding_rate", "weight")
TARGETS = "the targets evaluate_mad_score@TASK"
Where = tuple[Task, int]
"""Task, and size of the training subset in percent."""


@dataclass(frozen=True)
class TrialModel:
    """One model of a trial.

    Attributes:
        source: the revision, experiment or folder it was read from.
        trial: its number in `distill.mad.sweep.trials`.
        items, values: by criterion, the items it was judged on and the percentage.
        setup: all that the trials of an arm have in common: options and inputs, by dotted name.
    """

    source: str
    arm: str
    where: Where
    seed: int
    trial: int
    items: Mapping[str, int]
    values: Mapping[str, float]
    setup: Mapping[str, Any]

    @property
    def name(self) -> str:
        """What errors call it."""
        task, fraction = self.where
        return f"{task}/{self.arm}-f{fraction}-s{self.seed}"


@dataclass(frozen=True)
class Score:
    """A trial of an arm in one place: means over seeds of what each criterion sees, and of the items it sees."""

    seeds: int
    items: Mapping[str, int]
    values: Mapping[str, float]


@dataclass(frozen=True)
class Trials:
    """A whole sweep, the same number of trials for every arm.

    Attributes:
        places: tasks and sizes, in the order of params.yaml.
        scores: by arm and trial, a score for each place.
    """

    places: Sequence[Where]
    scores: Mapping[str, Mapping[int, Mapping[Where, Score]]]

    def chosen(self, arm: str, where: Where, criterion: str) -> int:
        """The trial with the highest score in a place; of equals the first."""
        own = self.scores[arm]
        return max(sorted(own), key=lambda trial: own[trial][where].values[criterion])


def read_models(name: str, root: Path, sweep: Sweep) -> list[TrialModel]:
    """The models of the trials below ``root``.

    Args:
        name: what the user calls it: a revision, an experiment or a folder.
        root: the folder that holds ``results/``.
        sweep: which trials there are; what other arms, tasks and sizes scored is not read.

    Raises:
        InputError: there is none, one was trained without a hold-out or with settings of no trial, or it was not
            scored on dev.
    """
    found = []
    for task in (task for task in TASKS if task in sweep.tasks):
        folder = layout.distill_mad(root, task)
        configs = {file: read_json(file) for file in sorted(folder.glob("*/config.json"))}
        configs = {
            file: config
            for file, config in configs.items()
            if config["arm"] in sweep.arms and config["fraction"] in sweep.fractions
        }
        dev = _dev_rows(name, root, task) if configs else {}
        for file, config in configs.items():
            found.append(_trial_model(name, file.relative_to(root), task, config, dev, sweep))
    if not found:
        raise InputError(
            f"no model of {', '.join(sweep.arms)} on {', '.join(sweep.tasks)}",
            file=f"{name}:results/distill/mad",
            action=f"Run a trial: distill.mad.sweep.trial, {TARGETS}",
        )
    return found


def gathered(models: Iterable[TrialModel], sweep: Sweep) -> Trials:
    """The table of all trials.

    Raises:
        InputError: a model stands twice; the arms have not the same trials, or the trials not the same seeds; or models
            that are compared differ in more than a trial sets.
    """
    cells: dict[tuple[str, int], dict[Where, dict[int, TrialModel]]] = {}
    for model in models:
        seeds = cells.setdefault((model.arm, model.trial), {}).setdefault(model.where, {})
        if other := seeds.get(model.seed):
            raise InputError(
                f"trial {model.trial} stands twice, in {other.source} and in {model.source}",
                record=model.name,
                action="Name one of them",
            )
        seeds[model.seed] = model
    _check_even(cells, sweep)
    _check_alike([model for places in cells.values() for seeds in places.values() for model in seeds.values()])
    places = sorted(
        {where for found in cells.values() for where in found},
        key=lambda where: (TASKS.index(where[0]), where[1]),
    )
    scores: dict[str, dict[int, dict[Where, Score]]] = {}
    for arm in sweep.arms:
        for trial in sorted(number for name, number in cells if name == arm):
            own = cells[arm, trial]
            scores.setdefault(arm, {})[trial] = {where: _score(own[where].values()) for where in places}
    return Trials(places, scores)


def _score(seeds: Iterable[TrialModel]) -> Score:
    models = list(seeds)
    return Score(
        len(models),
        {name: round(fmean(model.items[name] for model in models)) for name in CRITERIA},
        {name: fmean(model.values[name] for model in models) for name in CRITERIA},
    )


def _trial_model(
    name: str, file: Path, task: Task, config: Mapping[str, Any], dev: Mapping[str, dict[str, Any]], sweep: Sweep
) -> TrialModel:
    shown = f"{name}:{file}"
    options = flat(config["options"])
    if HOLDOUT not in config:
        raise InputError(
            "trained without a hold-out, so this is no model of a trial",
            file=shown,
            field=HOLDOUT,
            action="Name revisions in which distill.mad.sweep.trial was run",
        )
    cell = file.parent.name
    if cell not in dev:
        raise InputError(
            f"no score on dev of {cell}",
            file=f"{name}:{layout.scores_mad('', task)}",
            action=f"Run the trial with evaluate.mad.split: dev, and {TARGETS}",
        )
    held, row = config[HOLDOUT], dev[cell]
    return TrialModel(
        source=name,
        arm=config["arm"],
        where=(task, config["fraction"]),
        seed=config["seed"],
        trial=_number(options, shown, sweep),
        items={HOLDOUT: held["items"], DEV: row["n"]},
        values={HOLDOUT: held["accuracy"], DEV: row["value"]},
        setup=flat({"options": config["options"], "inputs": config["inputs"]}),
    )


def _number(options: Mapping[str, Any], shown: str, sweep: Sweep) -> int:
    """The number of the trial whose settings the options are."""
    # a model of an older version may lack an option
    tried = {name: options.get(name, "absent") for name in TRIED}
    for number, trial in enumerate(sweep.trials, start=1):
        weight = trial.weight if tried["weight"] else 0.0
        if tried == dict(zip(TRIED, (trial.learning_rate, trial.embedding_rate, weight), strict=True)):
            return number
    said = ", ".join(f"{name} {value}" for name, value in tried.items())
    raise InputError(
        f"settings of no trial: {said}", file=shown, field="options", action="See distill.mad.sweep.trials"
    )


def _dev_rows(name: str, root: Path, task: str) -> dict[str, dict[str, Any]]:
    """The rows of the chief score on dev, by cell."""
    file = layout.scores_mad(root, task)
    found = {}
    for row in read_jsonl(file) if file.is_file() else []:
        if row["split"] != DEV:
            raise InputError(
                f"scored on {row['split']}, which tuning must not look at",
                file=f"{name}:{layout.scores_mad('', task)}",
                field="split",
                action="Name revisions in which distill.mad.sweep.trial was run",
            )
        if (row["variant"] or row["metric"]) == CHIEF[task]:
            found[f"{row['arm']}-f{row['fraction']}-s{row['seed']}"] = row
    return found


def _check_even(cells: Mapping[tuple[str, int], Mapping[Where, Mapping[int, TrialModel]]], sweep: Sweep) -> None:
    """Refuse a sweep in which an arm lacks a trial, or a trial a place or seed, that another one has."""
    trials = {trial for _, trial in cells}
    places = {where for found in cells.values() for where in found}
    for where in ((task, fraction) for task in sweep.tasks for fraction in sweep.fractions):
        if where not in places:
            raise InputError(
                f"no trial on {where[0]} at {where[1]} %",
                field="distill.mad.sweep",
                action=f"Run the trials on all tasks and sizes of the sweep: {TARGETS}",
            )
    wanted = {(where, seed) for places in cells.values() for where, seeds in places.items() for seed in seeds}
    for arm in sweep.arms:
        own = {trial for name, trial in cells if name == arm}
        if lacking := sorted(trials - own):
            raise InputError(
                f"arm {arm} has {len(own)} trials, others have {len(trials)}: it lacks {_listed(lacking)}",
                field="distill.mad.sweep.trial",
                action="Every arm gets the same number of trials: run those, or name revisions that hold them",
            )
        for trial in sorted(own):
            there = {(where, seed) for where, seeds in cells[arm, trial].items() for seed in seeds}
            if lacking_models := sorted(wanted - there):
                (task, fraction), seed = lacking_models[0]
                raise InputError(
                    f"trial {trial} of arm {arm} lacks {len(lacking_models)} of {len(wanted)} models, first "
                    f"{task}/{arm}-f{fraction}-s{seed}",
                    field="distill.mad.sweep.trial",
                    action="Run that trial again, with all seeds and tasks",
                )


def _check_alike(models: Sequence[TrialModel]) -> None:
    """Refuse trials that differ in what no trial sets, and arms that were judged on other items."""
    first: dict[tuple[str, Where, int], TrialModel] = {}
    there: dict[tuple[Where, int], TrialModel] = {}
    for model in models:
        base = first.setdefault((model.arm, model.where, model.seed), model)
        names = sorted(model.setup.keys() | base.setup.keys())
        for name in (name for name in names if name.removeprefix("options.") not in TRIED):
            if model.setup.get(name) != base.setup.get(name):
                raise InputError(
                    f"not the same in {base.source} and in {model.source}, and no trial sets it",
                    record=model.name,
                    field=name,
                    action="Run all trials from one commit",
                )
        base = there.setdefault((model.where, model.seed), model)
        if model.items != base.items:
            raise InputError(
                f"judged on other items than {base.name} of {base.source}",
                record=f"{model.source}, {model.name}",
                action="Run all trials from one commit",
            )


def _listed(numbers: Sequence[int]) -> str:
    return ", ".join(map(str, numbers))
