"""Per-item scores by recipe: each arm's chance to be right at each place, drawn with one generator."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from vldistill.evaluate.mad.tables import Items, Key, Results

METRICS = {"snli_ve": ("accuracy",), "vcr": ("Q->A", "QA->R", "Q->AR"), "vqa": ("official", "both")}
SUBSETS = {
    "snli_ve": {"test": 300, "hard": 120},
    "vcr": {"test": 240, "singular": 90, "singular_original": 90, "plural": 30, "plural_original": 30},
    "vqa": {"iid": 150, "shift": 150},
}
GROUP = 3


def results(
    rates: Mapping[str, Mapping[str, float]],
    *,
    tasks: Sequence[str] = ("snli_ve",),
    fractions: Sequence[int] = (10,),
    seeds: int = 3,
    scale: int = 1,
) -> Results:
    """Scores of arms whose chance to be right is ``rates[arm][subset]`` or, for all others, ``rates[arm]["test"]``.

    Arms are right on nested sets of items: each item has one hardness, so that differences are as paired as can be.
    """
    files: dict[Key, Items] = {}
    for task in tasks:
        for subset, size in SUBSETS[task].items():
            for fraction in fractions:
                for seed in range(seeds):
                    rng = np.random.default_rng([len(subset), fraction, seed])
                    numbers = np.arange(scale * size)
                    if subset == "hard":
                        numbers = np.sort(rng.choice(scale * SUBSETS[task]["test"], scale * size, replace=False))
                    hardness = rng.random(len(numbers))
                    # a rewritten item is called as its original, and the hard ones are test items
                    name = "test" if subset == "hard" else subset.removesuffix("_original")
                    ids = tuple(f"{name}-{number}" for number in numbers)
                    groups = tuple(str(number // GROUP) for number in numbers)
                    for arm, chance in rates.items():
                        right = 100.0 * (hardness < chance.get(subset, chance["test"]))
                        scores = dict.fromkeys(METRICS[task], right)
                        files[task, subset, arm, fraction, seed] = Items(ids, groups, scores)
    return Results(files)
