"""Examples of sets that may not be passed on stay off the page."""

from __future__ import annotations

from pathlib import Path

import pytest

from vldistill.distill.mad.key import RECORDS
from vldistill.download.registry import read_registry
from vldistill.params import Params
from vldistill.report.mad import gallery
from vldistill.report.mad.found import Found, read
from vldistill.report.mad.part import _notes

ROOT = Path(__file__).parents[3]


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
