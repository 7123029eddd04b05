"""What the page shows of single items, and what it says of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from vldistill.distill.mad.key import RECORDS
from vldistill.download.registry import read_registry
from vldistill.params import Params
from vldistill.report.mad import gallery, names
from vldistill.report.mad.found import Found, read
from vldistill.report.mad.part import _gallery_sentence, _notes

ROOT = Path(__file__).parents[3]
VQA = names.task("vqa")


@pytest.fixture(scope="module")
def found(both: Path, both_params: Params) -> Found:
    made = read(both_params, both)
    assert made is not None
    return made


def of_source(params: Params, source: str, *, gated: bool) -> Params:
    tree = params.model_dump()
    tree["download"] |= {"source": source, "gated_remote": "gated"}
    tree["report"] |= {"gated": gated}
    return Params.model_validate(tree)


def test_the_gated_sets_are_those_of_the_registry() -> None:
    gated = {source.set for source in read_registry(ROOT / "data/registry.csv") if source.gated}
    assert set(gallery.GATED) == gated & {images for _, images in RECORDS.values()}


def test_published_gated_examples_are_shown_where_the_switch_is_on_only(
    both: Path, both_params: Params, found: Found
) -> None:
    hidden = of_source(both_params, "registry", gated=False)
    assert {title.split(",")[0] for title in gallery.galleries(hidden, both, found)} == {"VQA"}
    assert [note for note in _notes(hidden, found) if "SNLI-VE, VCR" in note and "report.gated" in note]
    for params in (of_source(both_params, "registry", gated=True), of_source(both_params, "world", gated=False)):
        assert len(gallery.galleries(params, both, found)) == 6
        assert not [note for note in _notes(params, found) if "report.gated" in note]


@pytest.mark.parametrize(
    ("mad", "told"),
    [
        ({"arms": {"mad": {"confidence": {"most": 7.0}}}}, "at most 7."),
        ({"per_task": {"vcr": {"confidence": {"most": 3.0}}}}, f"at most 2 (SNLI-VE), 3 (VCR), 2 ({VQA})."),
        ({"per_task": {"vcr": {"confidence": {"kind": "p"}}}}, f"at most 2 (SNLI-VE), 2 ({VQA})."),
        ({"confidence": {"kind": "p"}}, "p: what each gives the right answer."),
    ],
)
def test_the_largest_weight_is_that_of_the_arm_that_is_shown(
    mad: dict[str, Any], told: str, both: Path, both_params: Params, found: Found
) -> None:
    tree = both_params.model_dump()
    tree["distill"]["mad"]["per_task"] = {}
    for name, over in mad.items():
        tree["distill"]["mad"][name] |= over
    sentence = _gallery_sentence(Params.model_validate(tree), found, gallery.galleries(both_params, both, found))
    assert f"{told} Weight: " in sentence
