"""Reasons to warn that the headline is unreliable: negative controls that work or were not run, no room for a gain."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from vldistill.evaluate.mad.bars import FULL
from vldistill.evaluate.mad.effects import BASELINE, METHOD_ARM
from vldistill.evaluate.mad.statistics import DEV, IN_DOMAIN, Difference, Family, Mean, is_chief
from vldistill.evaluate.mad.tables import Place

SHUFFLED = "shuffled_targets"
NOTHING_UNSEEN = ("mad_gap0", "undistilled_gap0")
CEILING = 92.0
"""Percent; above it, a baseline with all training data leaves too little room for arms to differ in."""
EXPLAINED = {
    "embeddings_init": "starting from the teacher's word vectors",
    "baseline_matching": "starting the head from pre-training's matching, without a teacher,",
    "projected_input": "giving the projected teacher features as input",
}
"""Controls that may explain the gain without distillation -> what they do."""


def reliability_warnings(
    differences: Sequence[Difference], gap: Mapping[int, Sequence[Difference]], means: Sequence[Mean]
) -> list[str]:
    """Sentences, each a reason; none where every negative control fails as it should and no task is too easy.

    Args:
        differences: every comparison.
        gap: MAD's gain by the share of synonyms that the student has not seen.
        means: what arms score.
    """
    found = []
    by_pair = {(one.family, one.place, one.arm, one.other): one for one in differences}
    gains = [one for one in differences if one.family == "gain" and one.low > 0]
    for gain in gains:
        where = f"{gain.place.task} at {gain.place.fraction} %, {gain.place.subset}"
        real = by_pair.get(("effects", gain.place, METHOD_ARM, SHUFFLED))
        if real and real.low <= 0:
            found.append(f"{where}: with another item's teacher targets MAD is not shown to be worse.")
        shuffled = by_pair.get(("arms", gain.place, SHUFFLED, BASELINE))
        if shuffled and shuffled.low > 0:
            found.append(f"{where}: another item's teacher targets are better than none.")
        for arm, what in EXPLAINED.items():
            other = by_pair.get(("effects", gain.place, METHOD_ARM, arm))
            if other and other.low <= 0:
                worse = "is better than" if other.high < 0 else "is not shown to be worse than"
                found.append(f"{where}: {what} {worse} MAD, and may explain its gain.")
    if gains and not any(one.arm == SHUFFLED for one in differences if one.family == "arms"):
        found.append("No arm with another item's teacher targets was run.")
    found += _blind(differences)
    found += _ceiling(means)
    found += [_nothing_to_teach(one, by_pair) for one in gap.get(0, ()) if one.low > 0]
    return found


def _nothing_to_teach(gain: Difference, by_pair: Mapping[tuple[Family, Place, str, str], Difference]) -> str:
    """A gain where the student has seen every synonym, beside that over the same learning rates where it was run."""
    said = (
        f"{gain.place.task} at {gain.place.fraction} %, {gain.place.subset}: MAD gains {gain.value:+.1f} points where "
        "the student has seen every synonym, and there is nothing to teach"
    )
    alike = by_pair.get(("effects", gain.place, *NOTHING_UNSEEN))
    if alike is None:
        return f"{said}."
    interval = f"{alike.value:+.1f}, interval {alike.low:+.1f} to {alike.high:+.1f}"
    return f"{said}; over the same learning rates without distillation it is {interval}."


def _ceiling(means: Sequence[Mean]) -> list[str]:
    return [
        f"{one.place.task} at {FULL} %, {one.place.subset}: the baseline scores {one.value:.1f} %, above {CEILING:g} "
        "%; that leaves little to gain, and differences say little."
        for one in means
        if (one.arm, one.place.fraction) == (BASELINE, FULL)
        and is_chief(one.place)
        and one.place.subset in (IN_DOMAIN[one.place.task], DEV)
        and one.value > CEILING
    ]


def _blind(differences: Sequence[Difference]) -> list[str]:
    """MAD against the classifier that sees no image: it is MAD that has to be shown to be better."""
    return [
        f"{one.place.task} at {one.place.fraction} %, {one.place.subset}: MAD is not shown to be above a classifier "
        f"that sees no image ({one.value:+.1f} points, interval {one.low:+.1f} to {one.high:+.1f})."
        for one in differences
        if one.family == "blind" and one.low <= 0
    ]
