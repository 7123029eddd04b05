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
from vldistill.params.mad import ON_DEV, Mad, settings
from vldistill.presets import merge
from vldistill.report.table import Cell, Table
from vldistill.tuning.trials import CRITERIA, HOLDOUT, Trials, Where

LABELS: dict[str, str] = {HOLDOUT: "hold-out", DEV: "dev"}
BEGIN = "<!-- trials: written by `vldistill tuning --write` -->"
END = "<!-- end of trials -->"
_MARKED = re.compile(f"{re.escape(BEGIN)}.*?{re.escape(END)}", re.DOTALL)


def table(trials: Trials, mad: Mad, sources: Mapping[str, str]) -> Table:
    """All trials of all arms, each with what both criteria see.

    Args:
        trials: the sweep.
        mad: its parameters.
        sources: what was read -> its commit, or nothing for a folder.
    """
    columns = [("arm", "arm"), ("trial", "trial"), ("rate", "learning rate"), ("embedding_rate", "embedding rate")]
    columns.append(("weight", "weight"))
    some = next(iter(next(iter(trials.scores.values())).values()))
    for where in trials.places:
        columns += [(_key(where, name), _label(where, name, some[where].items[name])) for name in CRITERIA]
    columns += [(f"mean.{name}", f"mean, {LABELS[name]}") for name in CRITERIA if len(trials.places) > 1]
    columns.append(("chosen", "chosen by"))
    rows = [_row(trials, mad, arm, trial) for arm, found in trials.scores.items() for trial in found]
    return Table("trials", "Trials, percent", columns, rows, ("arm", "trial"), notes(trials, mad, sources))


def _row(trials: Trials, mad: Mad, arm: str, number: int) -> dict[str, Cell]:
    trial, distils = mad.sweep.trials[number - 1], _distils(mad, arm, trials.places[0])
    choosing = [LABELS[name] for name in CRITERIA if trials.chosen(arm, name) == number]
    row = {
        "arm": Cell(arm),
        "trial": Cell(number=number, digits=0),
        "rate": Cell(f"{trial.learning_rate:g}"),
        "embedding_rate": Cell(f"{trial.embedding_rate:g}"),
        "weight": Cell(f"{trial.weight:g}") if distils else Cell(),
        "chosen": Cell(" and ".join(choosing)),
    }
    for name in CRITERIA:
        row |= {
            _key(where, name): Cell(number=score.values[name]) for where, score in trials.scores[arm][number].items()
        }
        row[f"mean.{name}"] = Cell(number=trials.mean(arm, number, name), digits=2)
    return row


def _key(where: Where, name: str) -> str:
    return f"{where[0]}.{where[1]}.{name}"


def _label(where: Where, name: str, items: int) -> str:
    return f"{where[0]} {where[1]} %, {LABELS[name]}, n = {items}"


def _distils(mad: Mad, arm: str, where: Where) -> bool:
    return mad.options_of(arm, where[0], where[1]).weight > 0


def notes(trials: Trials, mad: Mad, sources: Mapping[str, str]) -> list[str]:
    """What the numbers are, which trials are not there, and where all was read."""
    arms, share = list(trials.scores), mad.sweep.holdout
    own = trials.scores[arms[0]]
    seeds = next(iter(next(iter(own.values())).values())).seeds
    metrics = ", ".join(dict.fromkeys(f"{task}: {CHIEF[task]}" for task, _ in trials.places))
    found = [
        f"{len(own)} trials of each arm, alike: {', '.join(arms)}. Seeds: {seeds}; means over them; n: items of a "
        "seed. A criterion chooses the trial with the highest mean over tasks and sizes, of equals the first.",
        f"hold-out: accuracy on {100 * share:g} % of the training subset's images (vcr: movies), which are kept from "
        "training (vcr: of answers and rationales alike).",
        f"dev: the chief score on dev ({metrics}) of the same models, so of models trained on the other "
        f"{100 * (1 - share):g} % of the subset.",
    ]
    if lacking := [str(number) for number in range(1, len(mad.sweep.trials) + 1) if number not in own]:
        found.append(f"Not run, by no arm: trial {', '.join(lacking)}.")
    read = (f"{name} ({commit[:10]})" if commit else name for name, commit in sources.items())
    return [*found, f"Read from {', '.join(read)}."]


def choices(trials: Trials, mad: Mad) -> dict[str, Any]:
    """The part of params.yaml that takes the choices over.

    The hold-out's are the arms' own settings; where dev chooses others, these make an arm ``ARM_dev_tuned``, run in the
    grid ``dev_tuned`` on the tasks and sizes of the sweep.
    """
    arms: dict[str, Any] = {}
    on_dev: dict[str, str] = {}
    for arm in trials.scores:
        chosen = {name: trials.chosen(arm, name) for name in CRITERIA}
        distils = _distils(mad, arm, trials.places[0])
        over = {name: settings(mad.sweep.trials[chosen[name] - 1], distils=distils) for name in CRITERIA}
        arms[arm] = merge(mad.arms[arm], over[HOLDOUT])
        on_dev[arm] = arm if chosen[HOLDOUT] == chosen[DEV] else arm + ON_DEV
        if on_dev[arm] != arm:
            arms[on_dev[arm]] = merge(mad.arms[arm], over[DEV])
    tuned = [name for arm, name in on_dev.items() if name != arm]
    grid = {"arms": tuned, "tasks": list(mad.sweep.tasks), "fractions": list(mad.sweep.fractions)}
    return {"distill": {"mad": {"arms": arms, "extra": {"dev_tuned": grid}, "sweep": {"on_dev": on_dev}}}}


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
