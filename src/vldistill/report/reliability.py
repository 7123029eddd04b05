"""Whether the headline is reliable: the negative controls in words, and the bars of the experiment."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from vldistill.evaluate.summary import HEADLINE, MAJORITY, UNTRAINED, Bar
from vldistill.report.names import task as task_name
from vldistill.report.numbers import Numbers
from vldistill.report.scores import Estimate
from vldistill.report.table import Cell, Table

Pair = tuple[str, str | None]
NO_IMAGE: Pair = (HEADLINE, "no_image")
SHUFFLED: Pair = (HEADLINE, "shuffled")
MOST_GIVEN: Pair = (MAJORITY, None)
NO_TEACHER: Pair = (UNTRAINED, None)
WORDS = {
    NO_IMAGE: "without any image",
    SHUFFLED: "with another item\u2019s image",
    MOST_GIVEN: "with the majority answer",
    NO_TEACHER: "with an untrained CLIP",
}
CHIEF = {"vqav2": "accuracy", "okvqa": "accuracy", "domains": "accuracy", "coco": "CIDEr"}
CONTROLS: dict[str, tuple[Pair, ...]] = {
    **dict.fromkeys(("vqav2", "okvqa", "domains"), (NO_IMAGE, SHUFFLED, MOST_GIVEN, NO_TEACHER)),
    "coco": (NO_IMAGE, SHUFFLED, NO_TEACHER),
}
# CIDEr has no upper end (about 0.6 on photographs, above 2 on few templates): its margin is a share of the headline's
CIDER_SHARE = 0.25
NEEDS_UNTRAINED = ("vqav2", "coco")  # elsewhere an untrained teacher is judged where it was evaluated


@dataclass(frozen=True)
class ReliabilityWarnings:
    """Reasons to distrust the headline: controls that work though they must not, and controls that nobody ran."""

    working: tuple[str, ...] = ()
    not_run: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.working or self.not_run)


def reliability_warnings(numbers: Numbers, margin: float) -> ReliabilityWarnings:
    """Reasons to distrust the headline; false when every negative control fails as it should.

    A control that sees no image, or another item's image, or gives the majority answer, must not come near the model
    that sees the right one; a teacher that has learnt nothing must not reach the one that has.

    Args:
        numbers: the scores.
        margin: points of VQA accuracy that count as near; for CIDEr it is `CIDER_SHARE` of the headline's.
    """
    working, not_run = [], []
    for task, metric in CHIEF.items():
        measure = numbers.measure(task, metric)
        model = numbers.get(measure)
        if model is None:
            if task == "vqav2":
                not_run.append("Zero-shot VQA, the headline itself, was not run.")
            continue
        for pair in CONTROLS[task]:
            control = numbers.get(measure, *pair)
            if control is not None:
                working += _raised(task, pair, control, model, margin)
            elif pair != NO_TEACHER or task in NEEDS_UNTRAINED:
                not_run.append(f"{task_name(task)}: the control {WORDS[pair]} was not run.")
    return ReliabilityWarnings(tuple(working), tuple(not_run))


def _raised(task: str, pair: Pair, control: Estimate, model: Estimate, margin: float) -> list[str]:
    """The warning that ``control`` raises, if any."""
    where, captions = f"{task_name(task)}: {WORDS[pair]}", CHIEF[task] == "CIDEr"
    what, unit = ("CIDEr \u00d7 100", "") if captions else ("accuracy", " %")
    near = CIDER_SHARE * model.value if captions else margin
    if pair == NO_TEACHER:
        if control.value < model.value:
            return []
        return [f"{where}, {what} is {control.value:.1f}{unit}, not below the model\u2019s {model.value:.1f}{unit}."]
    if model.value - control.value >= near:
        return []
    return [
        f"{where}, {what} is still {control.value:.1f}{unit}, less than {near:.3g} points below the model\u2019s "
        f"{model.value:.1f}{unit}."
    ]


def table(bars: Sequence[Bar]) -> Table:
    """The bars of the default experiment with what was measured."""
    rows = []
    for bar in bars:
        verdict, tone = {None: ("not measured", "plain"), True: ("holds", "good"), False: ("not shown", "bad")}[
            bar.holds
        ]
        rows.append(
            {
                "what": Cell(bar.what),
                "value": Cell(number=bar.value, signed=True),
                "asked": Cell((">" if bar.strict else "\u2265") + f"\u00a0{bar.threshold:g}".replace("-", "\u2212")),
                "seeds": Cell(", ".join(f"{value:+.1f}" for value in bar.values).replace("-", "\u2212") or "\u2013"),
                "holds": Cell(verdict, tone=f"pill {tone}"),
            }
        )
    columns = [("what", "requirement"), ("value", "measured"), ("asked", "asked"), ("seeds", "of each seed")]
    return Table("bars", "Bars of the default experiment", [*columns, ("holds", "verdict")], rows)


def retained(bars: Sequence[Bar]) -> str:
    """What the retention bars say, in one sentence; empty where none was measured."""
    held = [bar.holds for bar in bars if bar.name.startswith("retention.") and bar.holds is not None]
    if not held:
        return ""
    if all(held):
        return "Every retention bar that was measured holds: language skills were kept within it."
    return f"{sum(held)} of the {len(held)} retention bars measured hold: that language skills are kept is not shown."
