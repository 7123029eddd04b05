"""What a limit on items leaves: the same items in every set that is held against another."""

from __future__ import annotations

from pathlib import Path

import pytest

from vldistill.evaluate.mad.data import MadData, subsets
from vldistill.params import Params
from vldistill.split.pronouns import RULES

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("limit", [0, 1, 12, 40])
def test_rewritten_items_and_their_original_wording_are_the_same_under_a_limit(
    mad_project: Path, mad_params: Params, limit: int
) -> None:
    tree = mad_params.model_dump()
    tree["evaluate"]["mad"]["max_items"] = limit
    limited = Params.model_validate(tree)
    data = MadData(limited, mad_project, "vcr")
    found = {one.name: [record.id for record in data.subset(one)] for one in subsets(limited, "vcr", 20, 0)}
    whole = MadData(mad_params, mad_project, "vcr")
    assert found["test"] == [record.id for record in whole.sets["test"]][: limit or None]
    for rule in RULES:
        assert found[rule] == found[f"{rule}_original"] == [record.id for record in data.sets[rule]]
        assert found[rule] == [record.id for record in whole.sets[rule] if record.id in set(found["test"])]
    # the limits cut through what is rewritten, or nothing would be compared
    assert limit == 1 or any(found[rule] for rule in RULES)
    assert not limit or any(len(found[rule]) < len(whole.sets[rule]) for rule in RULES)
