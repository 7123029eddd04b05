"""The optional loggers write what the metric log writes."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from toy import Toy, options

from vldistill.errors import InputError
from vldistill.training import Run, train
from vldistill.training.loggers import VARIABLE, open_loggers


@pytest.mark.slow
def test_dvclive_mirrors_the_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("dvclive")
    monkeypatch.setenv(VARIABLE, "dvclive")
    train(Toy(), options(), Run(tmp_path))
    rows = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    summary = json.loads((tmp_path / "dvclive/metrics.json").read_text())
    assert summary["fit"] == pytest.approx(rows[-1]["fit"])
    lines = (tmp_path / "dvclive/plots/metrics/fit.tsv").read_text().splitlines()
    assert len(lines) == len(rows) + 1


def test_no_logger_is_open_unless_it_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    train(Toy(), options(), Run(tmp_path))
    assert (tmp_path / "metrics.jsonl").is_file()
    assert not (tmp_path / "dvclive").exists()


def test_an_unknown_logger_is_refused_before_training(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "dvclive, paper")
    with pytest.raises(InputError, match=rf"{VARIABLE}.*unknown logger 'paper'.*tensorboard"):
        train(Toy(), options(), Run(tmp_path))
    assert not (tmp_path / "dvclive").exists()


def test_a_logger_without_its_package_says_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "wandb", None)  # as if it were not installed
    monkeypatch.setenv(VARIABLE, "wandb")
    with pytest.raises(InputError, match=f"{VARIABLE}.*pip install wandb"):
        open_loggers(tmp_path, "toy")
