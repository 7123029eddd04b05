"""Caption metrics against pycocoevalcap as it comes, on 5,000 real COCO images of val2014.

The captions are those inside the wheel's SPICE jar. Each image's first caption is the hypothesis, the others are its
references. SPICE is left out: the stock wrapper does not run on current Java versions. The stock package runs from a
copy, because it writes into its own folder.
"""

from __future__ import annotations

import importlib
import json
import shutil
import sys
import tempfile
import time
import zipfile
from pathlib import Path
from typing import Any

from table import Race, Row

from vldistill.evaluate.metrics.captions import CaptionScorer, score_captions
from vldistill.evaluate.metrics.java import wheel

IMAGES = 5000
SETS = 3
Captions = tuple[dict[int, list[str]], dict[int, str]]


def captions() -> Captions:
    """References and hypotheses by image id."""
    with zipfile.ZipFile(wheel() / "spice" / "spice-1.0.jar") as jar:
        content = json.loads(jar.read("coco/annotations/captions_val2014.json"))
    by_image: dict[int, list[str]] = {}
    for record in content["annotations"]:
        by_image.setdefault(record["image_id"], []).append(record["caption"])
    chosen = sorted(by_image)[:IMAGES]
    return {key: by_image[key][1:] for key in chosen}, {key: by_image[key][0] for key in chosen}


def stock(folder: Path, references: dict[int, list[str]], hypotheses: dict[int, str]) -> dict[str, float]:
    """The stock tokenizer and scorers one after the other, as its evaluation calls them."""
    shutil.copytree(wheel(), folder / "pycocoevalcap", ignore=shutil.ignore_patterns("spice", "__pycache__"))
    sys.path.insert(0, str(folder))
    try:
        part = {
            name: importlib.import_module(f"pycocoevalcap.{path}")
            for name, path in (
                ("tokenizer", "tokenizer.ptbtokenizer"),
                ("bleu", "bleu.bleu"),
                ("meteor", "meteor.meteor"),
                ("rouge", "rouge.rouge"),
                ("cider", "cider.cider"),
            )
        }
    finally:
        sys.path.remove(str(folder))
    tokenizer = part["tokenizer"].PTBTokenizer()
    truth = tokenizer.tokenize({key: [{"caption": text} for text in texts] for key, texts in references.items()})
    guess = tokenizer.tokenize({key: [{"caption": text}] for key, text in hypotheses.items()})
    bleu, _ = part["bleu"].Bleu(4).compute_score(truth, guess, verbose=0)
    scores = {f"Bleu_{order + 1}": value for order, value in enumerate(bleu)}
    for name, scorer in (
        ("METEOR", part["meteor"].Meteor()),
        ("ROUGE_L", part["rouge"].Rouge()),
        ("CIDEr", part["cider"].Cider()),
    ):
        scores[name], _ = scorer.compute_score(truth, guess)
    return scores


def timed(call: Any) -> tuple[float, Any]:
    """Wall seconds of a call and what it returned."""
    start = time.perf_counter()
    result = call()
    return time.perf_counter() - start, result


def several(references: dict[int, list[str]], sets: dict[int, dict[int, str]]) -> Any:
    """Several result sets on the same references."""
    with CaptionScorer(references, spice="off") as scorer:
        return scorer.score_many(sets)


def race() -> Race:
    """Stock against ours, one results file and several."""
    references, hypotheses = captions()
    keys = list(hypotheses)
    sets = {
        shift: dict(zip(keys, [hypotheses[key] for key in keys[shift:] + keys[:shift]], strict=True))
        for shift in range(SETS)
    }
    with tempfile.TemporaryDirectory() as folder:
        stock_seconds, expected = timed(lambda: stock(Path(folder), references, hypotheses))
    one_seconds, one = timed(lambda: score_captions(references, hypotheses, spice="off"))
    many_seconds, many = timed(lambda: several(references, sets))
    worst = max(abs(one["metrics"][name] - value) for name, value in expected.items())
    same = many[0]["metrics"] == one["metrics"]
    return Race(
        "Caption metrics",
        f"{len(references):,} COCO val2014 images, {sum(map(len, references.values())):,} references; BLEU, METEOR, "
        f"ROUGE-L, CIDEr. Seconds for one results file.",
        [
            Row("pycocoevalcap 1.2, one scorer after the other", stock_seconds),
            Row("vldistill score captions", one_seconds, f"largest difference {worst:.1e}"),
            Row(
                f"vldistill, {SETS} results files on the same references",
                many_seconds / SETS,
                f"per file; {'the same numbers' if same else 'OTHER NUMBERS'}",
            ),
        ],
    )
