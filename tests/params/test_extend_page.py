"""The example of docs/extend.md is an experiment that differs from MAD in what the page says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from vldistill.params import Params

PAGE = Path(__file__).resolve().parents[2] / "docs" / "extend.md"


def merged(tree: dict[str, Any], more: dict[str, Any]) -> dict[str, Any]:
    """``more`` put into ``tree``: mappings key by key, all else replaced."""
    both = {key: merged(tree[key], more[key]) for key in more if isinstance(tree.get(key), dict)}
    return tree | more | both


def test_the_arm_of_the_page_is_mad_but_for_one_word() -> None:
    block = PAGE.read_text(encoding="utf-8").split("```yaml\n")[1].split("```")[0]
    params = Params.model_validate(merged(Params().model_dump(mode="json"), yaml.safe_load(block)))
    mad = params.distill.mad
    (own,) = set(mad.active) - set(Params().distill.mad.active)
    for task in mad.tasks:
        ours, theirs = (mad.options_of(arm, task, 10).model_dump() for arm in (own, "mad"))
        assert {key: (ours[key], theirs[key]) for key in ours if ours[key] != theirs[key]} == {"tokens": (1, 2)}
