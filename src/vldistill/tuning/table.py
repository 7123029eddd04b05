"""A sweep as a table, and as the part of params.yaml that takes its choices over."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from vldistill.errors import InputError
from vldistill.evaluate.mad.chief import CHIEF
from vldistill.evaluate.mad.statistics import DEV
from vldistill.files import write_text
from vldistill.params.mad import Mad
from vldistill.params.mad_arms import ON_DEV
from vldistill.params.mad_grid import Task
from vldistill.report.table import Cell, Table
from vldistill.tuning.trials import CRITERIA, HOLDOUT, Trials, Where

LABELS: dict[str, str] = {HOLDOUT: "hold-out", DEV: "dev"}
BEGIN = "<!-- trials: written by `vldistill tuning --write` -->"
END = "<!-- end of trials -->"
_MARKED = re.compile(f"{re.escape(BEGIN)}.*?{re.escape(END)}", re.DOTALL)


def tables(trials: Trials, mad: Mad, sources: Mapping[str, str]) -> list[Table]:
    """All trials of all arms, each with what both criteria see: a table for each task.

    Args:
        trials: the sweep.
        mad: its parameters.
        sources: what was read -> its commit, or nothing for a folder.
    """
    tasks = list(dict.fromkeys(task for task, _ in trials.places))
    # what all tables share is said once, below the last
    return [_table(trials, mad, task, notes(trials, mad, sources) if task == tasks[-1] else []) for task in tasks]


def _table(trials: Trials, mad: Mad, task: Task, shared: Sequence[str]) -> Table:
    columns = [("arm", "arm"), ("trial", "trial"), ("rate", "learning rate"), ("embedding_rate", "embedding rate")]
    columns.append(("weight", "weight"))
    some = next(iter(next(iter(trials.scores.values())).values()))
    places = [where for where in trials.places if where[0] == task]
    for where in places:
        columns += [(_key(where, name), _label(where, name, some[where].items[name])) for name in CRITERIA]
    columns.append(("chosen", "chosen by"))
    rows = [_row(trials, mad, arm, trial, places) for arm, found in trials.scores.items() for trial in found]
    seeds = ", ".join(f"{some[where].seeds} at {where[1]} %" for where in places)
    said = [f"Seeds: {seeds}; means over them; n: items of a seed.", *shared]
    return Table(f"trials_{task}", f"{task}: trials, percent", columns, rows, ("arm", "trial"), said)


def _row(trials: Trials, mad: Mad, arm: str, number: int, places: Sequence[Where]) -> dict[str, Cell]:
    trial = mad.sweep.trials[number - 1]
    row = {
        "arm": Cell(arm),
        "trial": Cell(number=number, digits=0),
        "rate": Cell(f"{trial.learning_rate:g}"),
        "embedding_rate": Cell(f"{trial.embedding_rate:g}"),
        "weight": Cell(f"{trial.weight:g}") if _weight(mad, arm, places[0]) else Cell(),
        "chosen": Cell(_chosen_for(trials, arm, number, places)),
    }
    own = trials.scores[arm][number]
    return row | {_key(where, name): Cell(number=own[where].values[name]) for where in places for name in CRITERIA}


def _chosen_for(trials: Trials, arm: str, number: int, places: Sequence[Where]) -> str:
    """At which sizes a criterion chooses the trial, as in `hold-out: 10, 25 %; dev: 10 %`."""
    found = []
    for name in CRITERIA:
        if sizes := [str(where[1]) for where in places if trials.chosen(arm, where, name) == number]:
            found.append(f"{LABELS[name]}: {', '.join(sizes)} %")
    return "; ".join(found)


def _key(where: Where, name: str) -> str:
    return f"{where[1]}.{name}"


def _label(where: Where, name: str, items: int) -> str:
    return f"{where[1]} %, {LABELS[name]}, n = {items}"


def _weight(mad: Mad, arm: str, where: Where) -> float:
    return mad.options_of(arm, *where).weight


def notes(trials: Trials, mad: Mad, sources: Mapping[str, str]) -> list[str]:
    """What the numbers are, which trials are not there, and where all was read."""
    arms, share = list(trials.scores), mad.sweep.holdout
    own = trials.scores[arms[0]]
    metrics = ", ".join(dict.fromkeys(f"{task}: {CHIEF[task]}" for task, _ in trials.places))
    found = [
        f"{len(own)} trials of each arm, alike: {', '.join(arms)}. A criterion chooses for each arm, task and size the "
        "trial with the highest score there, of equals the first.",
        f"hold-out: accuracy on {100 * share:g} % of the training subset's images (vcr: movies), which are kept from "
        "training (vcr: of answers and rationales alike; vqa: the mean score of the answers given).",
        f"dev: the chief score on dev ({metrics}) of the same models, so of models trained on the other "
        f"{100 * (1 - share):g} % of the subset.",
    ]
    if lacking := [str(number) for number in range(1, len(mad.sweep.trials) + 1) if number not in own]:
        found.append(f"Not run, by no arm: trial {', '.join(lacking)}.")
    read = (f"{name} ({commit[:10]})" if commit else name for name, commit in sources.items())
    return [*found, f"Read from {', '.join(read)}."]


def choices(trials: Trials, mad: Mad) -> dict[str, Any]:
    """The part of params.yaml that takes the choices over.

    The hold-out's are the arms' own settings. An arm for which dev chooses another trial in any place gets an arm
    ``ARM_dev_tuned`` with dev's in all of them, run in the grid ``dev_tuned`` at the smallest size of the sweep. All
    places of the sweep are said to be chosen by it.
    """
    settings: dict[str, Any] = {}
    tuned: dict[str, Any] = {}
    for arm in trials.scores:
        own, dev = (_chosen(trials, mad, arm, name) for name in (HOLDOUT, DEV))
        settings[arm] = own
        if dev != own:
            tuned[arm + ON_DEV] = dev
    on_dev = {arm: arm + ON_DEV if arm + ON_DEV in tuned else arm for arm in settings}
    grid = {"arms": list(tuned), "tasks": list(mad.sweep.tasks), "fractions": [min(mad.sweep.fractions)]}
    sweep = {"on_dev": on_dev, "chosen": [_place(where) for where in trials.places]}
    made = {"settings": settings | tuned, "extra": {"dev_tuned": grid}, "sweep": sweep}
    return {"distill": {"mad": made}}


def _chosen(trials: Trials, mad: Mad, arm: str, criterion: str) -> dict[str, dict[str, float]]:
    """TASK-FRACTION -> what the trial that a criterion chooses there sets in an arm."""
    found = {}
    for where in trials.places:
        chosen = mad.sweep.trials[trials.chosen(arm, where, criterion) - 1]
        idle = set() if _weight(mad, arm, where) else {"weight"}
        found[_place(where)] = chosen.model_dump(exclude=idle)
    return found


def _place(where: Where) -> str:
    return f"{where[0]}-{where[1]}"


class _WrittenOut(yaml.SafeDumper):
    """Writes equal parts each time they stand there: a reference to another arm would not bear being edited."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def to_yaml(tree: Mapping[str, Any]) -> str:
    """The tree as it stands in params.yaml."""
    made: str = yaml.dump(dict(tree), Dumper=_WrittenOut, sort_keys=False, default_flow_style=None, width=110)
    return made


def write(file: Path, parts: Sequence[str]) -> None:
    """Put the parts between the marks of a Markdown file, in place of what stands there.

    Raises:
        InputError: there is no such file, or it has not the two marks.
    """
    text = file.read_text(encoding="utf-8") if file.is_file() else ""
    if not _MARKED.search(text):
        raise InputError(
            "no such file" if not text else "the marks of the trials are not there",
            file=file,
            action=f"Name a file with the lines {BEGIN} and {END}",
        )
    write_text(file, _MARKED.sub(lambda _: "\n\n".join([BEGIN, *(part.strip() for part in parts), END]), text))
