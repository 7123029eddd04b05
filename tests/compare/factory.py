"""Per-item score files as the score stages write them, with known differences."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path

from vldistill.files import write_jsonl


def items(arm: str, seed: int, gain: float, n: int = 60) -> list[dict]:
    """Two questions an image; the arm is right with probability 0.5 + ``gain``, the same draws for every arm."""
    draws = random.Random(f"items-{seed}")
    return [
        {
            "id": f"q{index}",
            "prediction": arm,
            "target": f"answer {index}",
            "scores": {"official": 100.0 * (draws.random() < 0.5 + gain), "both": 50.0},
            "group": f"image {index // 2}",
        }
        for index in range(n)
    ]


def row(method: str, task: str, **more: object) -> dict:
    """A tidy row of scores.jsonl."""
    base = {"method": method, "task": task, "split": "test", "arm": "all", "seed": 0, "control": None}
    metric = {"metric": "accuracy", "variant": "official", "value": 50.0, "low": 45.0, "high": 55.0}
    return {**base, **metric, "unit": "percent", "n": 60, "subset": "all", **more}


def write_vlkd(root: Path, gains: dict[str, float], seeds: Sequence[int] = (0, 1, 2), n: int = 60) -> Path:
    """VLKD's scores of the task vqav2: arm -> gain; the arm ``all`` also without the image."""
    folder = root / "results/evaluate/vlkd/score"
    for arm, gain in gains.items():
        for seed in seeds:
            write_jsonl(folder / f"items/vqav2/{arm}-s{seed}.jsonl", items(arm, seed, gain, n))
            write_jsonl(folder / f"items/vqav2/{arm}-s{seed}.no_image.jsonl", items(arm, seed, -0.2, n))
    write_jsonl(folder / "items/vqav2/majority.jsonl", items("majority", 0, -0.3, n))
    rows = [row("vlkd", "vqav2"), row("vlkd", "vqav2", variant="both", low=None, high=None)]
    write_jsonl(folder / "scores.jsonl", [*rows, row("vlkd", "vqav2", control="no_image")])
    return root


def write_mad(root: Path, gains: dict[str, float], seeds: Sequence[int] = (0, 1, 2)) -> Path:
    """MAD's scores of the task snli_ve on two splits at 10 %, without tidy rows."""
    for split in ("full", "hard"):
        for arm, gain in gains.items():
            for seed in seeds:
                path = root / f"results/evaluate/mad/score/items/snli_ve/{split}/{arm}-f10-s{seed}.jsonl"
                records = items(arm, seed, gain / (2 if split == "hard" else 1))
                write_jsonl(path, ({**one, "scores": {"accuracy": one["scores"]["official"]}} for one in records))
    return root
