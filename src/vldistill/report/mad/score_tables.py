"""What arms of MAD score: the main arms task by task, under shift, and every arm everywhere."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from vldistill.evaluate.mad.chief import CHIEF
from vldistill.evaluate.mad.data import REFERENCES
from vldistill.evaluate.mad.effects import BASELINE, METHOD_ARM, NAIVE
from vldistill.evaluate.mad.statistics import DEV, IN_DOMAIN, REASONS, SHIFTED, UNSHIFTED, Difference, Mean
from vldistill.evaluate.mad.summary import Summary
from vldistill.params.mad import Mad
from vldistill.params.mad_arms import ON_DEV
from vldistill.report.mad import names
from vldistill.report.mad.columns import (
    ENDS,
    ON_DEV_NOTE,
    Row,
    count_cell,
    difference_cell,
    end_cells,
    where,
)
from vldistill.report.table import Cell, Table

GRID = (BASELINE, NAIVE, METHOD_ARM)
MAIN = (*GRID, *REFERENCES)
"""The arms of the first tables; all others stand among the controls and in the table of every number."""
COUNTS = [("n", "n"), ("groups", "images or movies"), ("seeds", "seeds")]
SPREAD = (
    "\u00b1: half of the two-level bootstrap interval (seeds; images, or VCR\u2019s movies); its ends stand in the CSV "
    "file. n: test items of each seed. \u2020: one seed."
)
NO_LINE = (
    "No matched baseline on {}: none was run there that is stopped early or has smoothed labels (distill.mad.extra), "
    "or its points make no line. What changes there may come from fitting less."
)
SAME_OR_ABSENT = (
    "the same: both choose the same settings; \u2013: no sweep taken over there, or the arm tuned on dev not run."
)


def accuracy(summary: Summary, task: str, mad: Mad) -> Table:
    """What the main arms score on the unchanged test items of a task, and what they gain over the baseline.

    Args:
        summary: all statistics.
        task: whose items.
        mad: tells which arms have the settings that dev chooses; their scores, if any, make a marked column.
    """
    rows, gains = [], _against_baseline(summary)
    means = _means(summary, task, MAIN)
    on_dev = _on_dev(means, _means(summary, task, [*mad.sweep.dev_choices.values()]), mad)
    for mean in means:
        gain = gains.get((task, mean.place.fraction, mean.arm))
        rows.append(
            {
                "fraction": Cell(f"{mean.place.fraction} %"),
                "arm": Cell(names.arm(mean.arm)),
                "value": _spread(mean),
                **({"on_dev": on_dev.get((mean.place.fraction, mean.arm), Cell())} if on_dev else {}),
                "over": difference_cell(gain) if gain else Cell(),
                **(end_cells(gain) if gain else {}),
                **_counts(mean),
            }
        )
    return Table(
        f"mad_{task}",
        f"{names.chief_label(task)} on the evaluated items, percent",
        [
            ("fraction", "training data"),
            ("arm", "arm"),
            ("value", "score"),
            ("over", "minus baseline"),
            *ENDS,
            *([("on_dev", "tuned on dev\u2021")] if on_dev else []),
            *COUNTS,
        ],
        rows,
        head=("fraction", "arm"),
        notes=(
            SPREAD,
            "from, to: interval of the paired difference to the baseline, not corrected.",
            *([f"{ON_DEV_NOTE} {SAME_OR_ABSENT}"] if on_dev else []),
        ),
        emphasised=_of_method(rows),
    )


def _on_dev(means: Sequence[Mean], tuned: Sequence[Mean], mad: Mad) -> dict[tuple[int, str], Cell]:
    """(fraction, arm) -> its score with the settings that dev chooses, where they are known and it was run."""
    scores = {(mean.place.fraction, mean.arm): mean for mean in tuned if mean.arm.endswith(ON_DEV)}
    found = {}
    for fraction, arm, task in ((mean.place.fraction, mean.arm, mean.place.task) for mean in means):
        if mad.dev_agrees(arm, task, fraction):
            found[fraction, arm] = Cell("the same")
        elif score := scores.get((fraction, mad.sweep.dev_choices.get(arm, ""))):
            found[fraction, arm] = replace(_spread(score), tone="faint")
    return found


def _against_baseline(summary: Summary) -> dict[tuple[str, int, str], Difference]:
    chosen = [one for one in summary.differences if one.other == BASELINE and one.family in ("gain", "arms")]
    return {
        (one.place.task, one.place.fraction, one.arm): one
        for one in chosen
        if one.place.subset in (IN_DOMAIN[one.place.task], DEV)
    }


def everything(summary: Summary) -> Table:
    """Every arm at every place, with both intervals."""
    rows = [
        {
            "task": Cell(names.task(mean.place.task)),
            "fraction": Cell(f"{mean.place.fraction} %"),
            "subset": Cell(names.subset(mean.place.subset)),
            "metric": Cell(names.metric(mean.place.metric)),
            "arm": Cell(names.arm(mean.arm)),
            "value": _spread(mean),
            "over_seeds": Cell(number=mean.value, low=mean.seed_low, high=mean.seed_high)
            if mean.seeds > 1
            else Cell("one seed"),
            **_counts(mean),
        }
        for mean in summary.means
    ]
    columns = [("task", "task"), ("fraction", "training data"), ("subset", "items"), ("metric", "metric")]
    columns += [("arm", "arm"), ("value", "score"), ("over_seeds", "score, over seeds"), *COUNTS]
    note = "over seeds: \u00b1 is half of Student\u2019s t interval over seeds alone."
    return Table("mad_all", "Every arm on every set of items, percent", columns, rows, ("task",), (SPREAD, note))


def shift(summary: Summary) -> Table:
    """Scores under shift beside those without it: the original wording of the same items, where there is one."""
    by_place = {(mean.place, mean.arm): mean for mean in summary.means}
    rows, unmatched = [], set()
    lines = {(one.task, one.fraction) for one in summary.matched}
    for shifted in _shifted(summary):
        task, fraction, metric = shifted.place.task, shifted.place.fraction, shifted.place.metric
        plain = by_place.get((replace(shifted.place, subset=UNSHIFTED[task]), shifted.arm))
        if plain is None:
            continue
        unmatched |= {(task, fraction)} - lines
        rows.append(
            {
                "task": Cell(names.task(task)),
                "fraction": Cell(f"{fraction} %"),
                "metric": Cell(names.metric(metric)),
                "arm": Cell(names.arm(shifted.arm)),
                "plain": _spread(plain),
                "plain_n": count_cell(plain.items),
                "shifted": _spread(shifted),
                "n": count_cell(shifted.items),
                "change": Cell(number=shifted.value - plain.value, signed=True),
                "seeds": count_cell(shifted.seeds),
            }
        )
    columns = [
        ("task", "task"),
        ("fraction", "training data"),
        ("metric", "metric"),
        ("arm", "arm"),
        ("plain", "unshifted"),
        ("plain_n", "n unshifted"),
    ]
    columns += [("shifted", "shifted"), ("n", "n"), ("change", "change"), ("seeds", "seeds")]
    notes = (
        "VCR: shifted by the rules Rule-Singular and Rule-Plural; unshifted is the original wording of the same items. "
        "Q\u2192A is what is claimed; QA\u2192R gives the right answer as it was rewritten, and the rationales are as "
        "they were. "
        "SNLI-VE: shifted are the test items that a classifier of the hypothesis alone, trained on the same subset, "
        "gets wrong; their wording is the original one, and unshifted is the whole test set. VQA: answer priors "
        "differ from training; unshifted are questions held out with the priors of training.",
        SPREAD,
        *([NO_LINE.format(names.places(unmatched))] if unmatched else []),
    )
    return Table(
        "mad_shift", "Under shift, percent", columns, rows, ("task", "fraction", "metric"), notes, _of_method(rows)
    )  # fmt: skip


def _shifted(summary: Summary) -> list[Mean]:
    """What the arms of the grid score under shift, VCR's rationales behind its answers."""
    found = [mean for mean in summary.means if mean.place.subset == SHIFTED[mean.place.task] and mean.arm in GRID]
    listed = {task: [chief, *dict.fromkeys(metric for _, metric in REASONS)] for task, chief in CHIEF.items()}
    shown = [mean for mean in found if mean.place.metric in listed[mean.place.task]]

    def order(mean: Mean) -> tuple[int, int, int, tuple[int, str]]:
        task, metrics = mean.place.task, listed[mean.place.task]
        return [*CHIEF].index(task), mean.place.fraction, metrics.index(mean.place.metric), names.place_of(mean.arm)

    return sorted(shown, key=order)


def _means(summary: Summary, task: str, arms: Sequence[str]) -> list[Mean]:
    found = [
        mean
        for mean in summary.means
        if (mean.place.task, mean.place.metric) == (task, CHIEF[task])
        and mean.place.subset in (IN_DOMAIN[task], DEV)
        and mean.arm in arms
    ]
    return sorted(found, key=lambda mean: (mean.place.fraction, names.place_of(mean.arm)))


def _of_method(rows: Sequence[Row]) -> list[int]:
    return [number for number, row in enumerate(rows) if row["arm"].text == names.arm(METHOD_ARM)]


def _spread(mean: Mean) -> Cell:
    mark = "" if mean.seeds > 1 else "\u2020"
    return Cell(number=mean.value, low=mean.low, high=mean.high, mark=mark, title=f"n = {mean.items}, {where(mean)}")


def _counts(mean: Mean) -> Row:
    return {"n": count_cell(mean.items), "groups": count_cell(mean.groups), "seeds": count_cell(mean.seeds)}
