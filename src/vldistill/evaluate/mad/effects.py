"""Every part of MAD with the control that it is held against, and in what more than that part the two differ."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from vldistill.params.mad import Mad
from vldistill.params.mad_grid import Task

BASELINE, NAIVE, METHOD_ARM = "baseline", "nkd", "mad"
NAIVE_ALIKE = "nkd_alike"  # naive distillation with MAD's learning rates
RATES = ("training.learning_rate", "training.embedding_rate")
DRAWN_TO = "drawn to"
"""Stands among options for the teacher's vector that a state is drawn to, where two arms differ in that."""


class Effect(NamedTuple):
    """What the difference of an arm and its control is the effect of.

    Attributes:
        arm, other: the arm and its control.
        about: the effect in words.
        switches: the options, or sections of options, that stand for it.
    """

    arm: str
    other: str
    about: str
    switches: tuple[str, ...]


EFFECTS = (
    Effect("ts", NAIVE_ALIKE, "choosing tokens instead of [CLS]", ("target",)),
    Effect("cw", NAIVE_ALIKE, "weighting by confidence", ("confidence",)),
    Effect(METHOD_ARM, "cw", "choosing tokens instead of [CLS], on top of weights by confidence", ("target",)),
    Effect(METHOD_ARM, "ts", "weighting by confidence, on top of chosen tokens", ("confidence",)),
    Effect("ts", "random_token", "choosing the best token instead of any", ("target",)),
    Effect("ts", "argmin_token", "choosing the best token instead of the worst", ("target",)),
    Effect("cw", "constant_weight", "weighting by confidence instead of its mean", ("confidence",)),
    Effect(
        METHOD_ARM,
        "mad_constant_weight",
        "weighting by confidence instead of its mean, on chosen tokens",
        ("confidence",),
    ),
    Effect("mad_af", METHOD_ARM, "adapting the teacher first", ("adapt",)),
    Effect(METHOD_ARM, "undistilled", "distilling, with the same learning rates", ("weight",)),
    Effect(
        "mad_gap0",
        "undistilled_gap0",
        "distilling, with the same learning rates, where no synonym is unseen",
        ("weight",),
    ),
    Effect(
        METHOD_ARM,
        "shuffled_targets",
        "the teacher's targets instead of those of another item",
        ("shuffle_targets",),
    ),
    Effect(
        METHOD_ARM,
        "embeddings_init",
        "distilling instead of starting from the teacher's word vectors",
        ("weight", "embeddings"),
    ),
    Effect(
        METHOD_ARM,
        "projected_input",
        "distilling instead of giving the teacher's features as input",
        ("weight", "projected_input"),
    ),
    Effect(
        METHOD_ARM,
        "baseline_matching",
        "distilling instead of starting the head from pre-training's matching",
        ("weight", "task_head"),
    ),
    Effect(
        "mad_matching", "baseline_matching", "distilling, where heads start from pre-training's matching", ("weight",)
    ),
    Effect(NAIVE_ALIKE, "nkd_trainable", "projections fitted before instead of trained along", ("projections",)),
)
"""A control with the constant weight 1 is held against `ts` and one that draws [CLS] alone to the teacher against `cw`,
neither against MAD, so that one switch is between the two. Where more is, `besides` tells. `embeddings_init` and
`projected_input` are other ways to use the teacher, and `baseline_matching` uses none: these have the baseline's
settings, and `mad_matching` has MAD's. What a state is drawn to follows from where it stands: [CLS] to the vector of
the whole text or image, a chosen one, with `scope: part`, to that of its word or region."""


def besides(effect: Effect, mad: Mad, task: Task, fraction: int) -> list[str]:
    """The options, dotted, in which the two arms of an effect differ on a task and size besides its switches.

    `DRAWN_TO` stands there where the switch changes the teacher's vector, too.
    """
    one, other = (mad.options_of(arm, task, fraction) for arm in (effect.arm, effect.other))
    mine, theirs = (dict(_dotted(options.model_dump())) for options in (one, other))
    changed = [path for path in mine if mine[path] != theirs[path]]
    found = [path for path in changed if not any(f"{path}.".startswith(f"{name}.") for name in effect.switches)]
    if one.weight and other.weight:
        drawn = ["whole" if options.target == "cls" else options.scope for options in (one, other)]
        found += [DRAWN_TO] if drawn[0] != drawn[1] else []
    return found


def _dotted(tree: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in tree.items():
        if isinstance(value, dict):
            yield from _dotted(value, f"{above}{name}.")
        else:
            yield f"{above}{name}", value
