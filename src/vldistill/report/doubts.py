"""Whether the headline can be trusted: the negative controls in words, and the bars of the experiment."""

from __future__ import annotations

from collections.abc import Sequence

from vldistill.evaluate.summary import UNTRAINED, Bar
from vldistill.report.numbers import Numbers
from vldistill.report.table import Cell, Table

VQA = ("vqav2", "accuracy")


def doubts(numbers: Numbers, margin: float) -> list[str]:
    """Reasons to distrust the headline; empty when every negative control fails as it should.

    A control that sees no image, or another item's image, must not come near the model that sees the right one; a
    teacher that has learnt nothing must not beat the one that has.

    Args:
        numbers: the scores.
        margin: points of VQA accuracy that count as near.
    """
    found = []
    measure = numbers.measure(*VQA)
    model = numbers.get(measure)
    if measure is None or model is None:
        return ["there is no score of the headline, zero-shot VQA accuracy"]
    for control, words in (("no_image", "without any image"), ("shuffled", "with another item's image")):
        blind = numbers.get(measure, control=control)
        if blind is None:
            found.append(f"the control {words} was not run")
        elif model.value - blind.value < margin:
            found.append(
                f"{words} the model still scores {blind.value:.1f} %, "
                f"less than {margin:g} points below its {model.value:.1f} %"
            )
    untrained = numbers.get(measure, UNTRAINED)
    if untrained is None:
        found.append("the control with an untrained CLIP was not run")
    elif untrained.value >= model.value:
        found.append(f"with an untrained CLIP accuracy is {untrained.value:.1f} %, not below {model.value:.1f} %")
    return found


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
