"""The optional loggers write what the metric log writes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from toy import Toy, options

from vldistill.errors import InputError
from vldistill.training import Run, open_loggers, train


@pytest.mark.slow
def test_dvclive_mirrors_the_log(tmp_path: Path) -> None:
    pytest.importorskip("dvclive")
    train(Toy(), options(), Run(tmp_path, loggers=open_loggers(("dvclive",), tmp_path, "toy")))
    rows = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    summary = json.loads((tmp_path / "dvclive/metrics.json").read_text())
    assert summary["fit"] == pytest.approx(rows[-1]["fit"])
    lines = (tmp_path / "dvclive/plots/metrics/fit.tsv").read_text().splitlines()
    assert len(lines) == len(rows) + 1


def test_unknown_and_missing_loggers(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"unknown logger 'paper'.*tensorboard"):
        open_loggers(("paper",), tmp_path, "toy")
    try:
        import wandb  # noqa: F401
    except ImportError:
        with pytest.raises(InputError, match="pip install wandb"):
            open_loggers(("wandb",), tmp_path, "toy")
