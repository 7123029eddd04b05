"""The requirements on MAD, set before any test number was known.

Low-shot (10 and 25 %), SNLI-VE and VCR: MAD minus baseline has its interval above zero after Holm, in domain and under
shift. The correction runs over these declared cells, since nothing else is claimed to be a gain. Under shift MAD lies
above the matched baseline; MAD minus naive distillation has its lower limit above -1 point. At full data, and
on VQA throughout, MAD minus baseline has its lower limit above -1 point. Where the student has seen all synonyms,
MAD's gain must vanish: its interval holds zero, and is narrow enough to say so.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from vldistill.evaluate.mad.statistics import Difference, Family, Matched, chief
from vldistill.evaluate.mad.tables import Place
from vldistill.stats import holm

LOW_SHOT, FULL = (10, 25), 100
CLAIMED, HARMLESS = ("snli_ve", "vcr"), "vqa"
GAP_PLACE = chief("snli_ve", 10)
MARGIN = -1.0
HALF_WIDTH = 3.0
"""Points, at most, for an interval that holds zero to count as no gain: a wider one holds gains of the size claimed
elsewhere, too, and the fewer items and seeds there are, the surer it would hold zero."""


@dataclass(frozen=True)
class Bar:
    """One requirement.

    Attributes:
        name: dotted name.
        requirement: in words.
        value, low, high: what was measured, in points, with its interval; None where it was not.
        met: whether the requirement holds; None where it was not measured.
        extrapolated: it is measured against a line beyond its points.
    """

    name: str
    requirement: str
    value: float | None
    low: float | None
    high: float | None
    met: bool | None
    extrapolated: bool = False

    @property
    def half_width(self) -> float | None:
        """Half the length of the interval; None where nothing was measured."""
        return None if self.low is None or self.high is None else (self.high - self.low) / 2


def bars(
    differences: Sequence[Difference],
    matched: Sequence[Matched],
    gap: Mapping[int, Sequence[Difference]],
    *,
    level: float = 0.95,
) -> list[Bar]:
    """The requirements with what was measured; those not measured stand there too."""
    corrected = _corrected(differences)
    found = [
        bar
        for task in CLAIMED
        for fraction in LOW_SHOT
        for bar in _low_shot(task, fraction, differences, corrected, level)
    ]
    lines = {(one.task, one.fraction): one for one in matched}
    for task in CLAIMED:
        for fraction in LOW_SHOT:
            line = lines.get((task, fraction))
            requirement = (
                "under shift, MAD above the line through baselines that are stopped, smoothed or have more data: "
                "lower limit above 0"
            )
            found.append(_bar(f"{task}.f{fraction}.matched", requirement, line, line.low > 0 if line else None))
    unharmed = [(task, FULL) for task in CLAIMED] + [(HARMLESS, fraction) for fraction in (*LOW_SHOT, FULL)]
    for task, fraction in unharmed:
        for shifted in (False, True) if task == HARMLESS else (False,):
            one = _find(differences, "gain", task, fraction, shifted=shifted)
            requirement = f"{_where(shifted)}, MAD minus baseline: lower limit above {MARGIN:g} point"
            name = f"{task}.f{fraction}.{_side(shifted)}.not_worse"
            found.append(_bar(name, requirement, one, one.low > MARGIN if one else None))
    none = next((one for one in gap.get(0, ()) if one.place == GAP_PLACE), None)
    requirement = "no synonym unknown to the student, MAD minus baseline: the interval holds 0, "
    requirement += f"and half its width is at most {HALF_WIDTH:g} points"
    found.append(_bar("gap.0", requirement, none, _vanishes(none) if none else None))
    return found


def _vanishes(one: Difference) -> bool:
    return one.low <= 0 <= one.high and (one.high - one.low) / 2 <= HALF_WIDTH


def _corrected(differences: Sequence[Difference]) -> dict[Place, float]:
    """p of the gains that are claimed, each at its place, by Holm's correction over all of them that were measured."""
    declared = {chief(task, part, shifted=side) for task in CLAIMED for part in LOW_SHOT for side in (False, True)}
    return holm({one.place: one.p for one in differences if one.family == "gain" and one.place in declared})


def _low_shot(
    task: str, fraction: int, differences: Sequence[Difference], corrected: Mapping[Place, float], level: float
) -> Iterator[Bar]:
    for shifted in (False, True):
        start = f"{task}.f{fraction}.{_side(shifted)}"
        gain = _find(differences, "gain", task, fraction, shifted=shifted)
        requirement = (
            f"{_where(shifted)}, MAD minus baseline: lower limit above 0 and corrected p below {1 - level:.2g}"
        )
        shown = gain is not None and gain.low > 0 and corrected[gain.place] < 1 - level
        yield _bar(f"{start}.gain", requirement, gain, shown if gain else None)
        naive = _find(differences, "over_naive", task, fraction, shifted=shifted)
        requirement = f"{_where(shifted)}, MAD minus naive distillation: lower limit above {MARGIN:g} point"
        yield _bar(f"{start}.over_naive", requirement, naive, naive.low > MARGIN if naive else None)


def _find(
    differences: Sequence[Difference], family: Family, task: str, fraction: int, *, shifted: bool
) -> Difference | None:
    place = chief(task, fraction, shifted=shifted)
    return next((one for one in differences if one.family == family and one.place == place), None)


def _bar(name: str, requirement: str, measured: Difference | Matched | None, met: bool | None) -> Bar:
    if measured is None:
        return Bar(name, requirement, None, None, None, None)
    beyond = isinstance(measured, Matched) and measured.extrapolated
    return Bar(name, requirement, measured.value, measured.low, measured.high, met, beyond)


def _side(shifted: bool) -> str:
    return "shift" if shifted else "test"


def _where(shifted: bool) -> str:
    return "under shift" if shifted else "in domain"
