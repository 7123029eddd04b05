"""The `distill` section: arms are checked overrides."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from vldistill.cells import Cell, batches, vlkd_cells
from vldistill.errors import InputError
from vldistill.params import Params, load, parse


def vlkd(**changes: Any) -> Any:
    return parse({"distill": {"vlkd": changes}}).distill.vlkd


def test_an_arm_changes_only_what_it_names() -> None:
    options = vlkd(weights={"ttdm": 2.0})
    everything, arm = options.options_of("all").model_dump(), options.options_of("no_itcl").model_dump()
    assert arm["weights"] == {"ttdm": 2.0, "itcl": 0.0, "icti": 1.0, "replay": 1.0}
    assert {**arm, "weights": None} == {**everything, "weights": None}


def test_default_grid() -> None:
    params = Params()
    cells = vlkd_cells(params)
    assert Cell("all", 2) in cells and Cell("untrained_clip", 1) not in cells and Cell("no_icti", 1) not in cells
    options = [params.distill.vlkd.options_of(arm) for arm in params.distill.vlkd.active]
    assert all(options.count(one) == 1 for one in options), "two active arms are the same training"
    assert sum(map(len, batches(cells, 4))) == len(cells)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"training": {"accumulate": 4}}, r"training\.accumulate \(4\): ITCL contrasts all pairs"),
        ({"arms": {"all": {"training": {"accumulate": 2}}}}, r"arms\.all.*accumulate \(2\): ITCL"),
        ({"arms": {"all": {"wheights": {}}}}, r"arms\.all\.wheights: unknown option; the nearest is weights"),
        ({"arms": {"all": {"weights": {"itlc": 0.0}}}}, r"arms\.all\.weights\.itlc: .*nearest is itcl"),
        ({"arms": {"all": {"weights": 3.0}}}, r"arms\.all\.weights: a mapping is expected"),
        ({"arms": {"all": {"pool": "median"}}}, r"arms\.all\.pool: input should be"),
        ({"arms": {"all": {"weights": {"itcl": -1.0}}}}, r"arms\.all\.weights\.itcl: input should be greater"),
        ({"arms": {"All-1": {}}}, r"arms\.All-1: use small letters"),
        ({"active": ["all", "no_ict"]}, r"no arm called 'no_ict'; the nearest is no_icti"),
        ({"seeds": {"al": 2}}, r"no arm called 'al'; the nearest is all"),
        ({"seeds": {"all": 0}}, r"seeds\.all"),
        ({"active": ["all", "all"]}, "stands twice"),
        ({"active": []}, "at least one arm"),
        ({"weights": {"ttdm": 0.0, "itcl": 0.0, "icti": 0.0}}, "at least one of ttdm, itcl, icti"),
        ({"pol": "mean"}, r"unknown key.*distill\.vlkd\.pool"),
    ],
)
def test_wrong_options_are_named(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=f"(?is){message}"):
        vlkd(**changes)


def test_an_arm_without_contrast_may_be_cut_into_micro_batches() -> None:
    arm = {"weights": {"itcl": 0.0}, "training": {"accumulate": 4}}
    assert (
        vlkd(arms={"all": {}, "cut": arm}, active=["all", "cut"], seeds={}).options_of("cut").training.accumulate == 4
    )


def test_the_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "params.yaml").write_text("distill:\n  vlkd:\n    arms:\n      all: {itcl: tanh}\n")
    with pytest.raises(InputError, match=r"params\.yaml.*arms\.all\.itcl"):
        load(tmp_path / "params.yaml")
