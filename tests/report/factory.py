"""A project with made-up results, to test the report without training anything.

The numbers are invented (means near the trials', noise from a fixed seed); they look like results so that layout and
rules are tested on a realistic page, and they are never printed anywhere but in test folders.
"""

from __future__ import annotations

import io
import math
import random
import zipfile
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw

from vldistill import layout
from vldistill.artifact import publish
from vldistill.cells import vlkd_cells
from vldistill.evaluate.summary import BEFORE, CLIP_TEXT, MAJORITY, RETRIEVED, UNTRAINED
from vldistill.files import sha256_json, write_bytes, write_json, write_jsonl
from vldistill.params import Params

VARIANTS = ("official", "official_2017", "evalai", "both")
QUESTION_TYPES = {"how many": 88, "what color is the": 93, "what shape is the": 71, "is the": 78, "what size": 84}
ANSWER_TYPES = {"number": 88, "other": 79, "yes/no": 78}
DOMAINS = {"in-domain": 0, "near-domain": -6, "out-domain": -19}
VQA = {"vqav2": 80.0, "okvqa": 71.0, "domains": 76.0}
SHIFT = {"all": 0, "no_icti": -49, "icti_only": 0.3, "no_ttdm": 0.4, "no_itcl": -0.5, "pooled": -8, "both": 1.2}
BLIND = {"no_image": 29.0, "shuffled": 24.0, MAJORITY: 27.5, UNTRAINED: 61.0}
COLOURS = {"red": (200, 40, 40), "blue": (50, 90, 200), "green": (50, 150, 70), "yellow": (230, 200, 60)}


def row(task: str, arm: str, metric: str, value: float, **more: Any) -> dict[str, Any]:
    """One tidy row."""
    base = {"method": "vlkd", "task": task, "split": "test", "arm": arm, "seed": None, "control": None}
    base |= {"metric": metric, "variant": None, "value": value, "unit": "percent", "n": 2400, "subset": "all"}
    base |= {"group": None} | more
    # an interval over images, as wide as a binomial's, except where there is no value
    reach = None if base["value"] is None else 0.02 * abs(base["value"])
    ends = (
        {"low": None, "high": None} if reach is None else {"low": base["value"] - reach, "high": base["value"] + reach}
    )
    return base | ends


def score_rows(params: Params) -> list[dict[str, Any]]:
    """Rows of every active cell, its controls and the references."""
    rng, rows = random.Random(7), []
    for cell in vlkd_cells(params):
        shift = SHIFT.get(cell.arm, BLIND[UNTRAINED] - 80 if cell.arm == UNTRAINED else 0.0)
        named = {"arm": cell.arm, "seed": cell.seed}
        controls = (None, "no_image", "shuffled") if cell.arm == "all" else (None,)
        for control in controls:
            rows += _vqa(named | {"control": control}, shift if control is None else BLIND[control] - 80, rng)
            rows += _captions(named | {"control": control}, shift if control is None else -60, rng)
        rows += _text(named, rng, 0.1 if cell.arm == "no_replay" else 0.01)
        rows += _retrieval(named, 40 if cell.arm in ("icti_only", "no_itcl") else 71, rng)
    rows += _vqa({"arm": MAJORITY}, BLIND[MAJORITY] - 80, rng)
    rows += _captions({"arm": RETRIEVED}, -3, rng) + _captions({"arm": "random"}, -62, rng)
    return rows + _text({"arm": BEFORE}, rng, 0.0) + _retrieval({"arm": CLIP_TEXT}, 70, rng)


def _vqa(named: dict[str, Any], shift: float, rng: random.Random) -> list[dict[str, Any]]:
    rows = []
    for task, level in VQA.items():
        value = level + shift + rng.gauss(0, 0.7)
        for variant, off in zip(VARIANTS, (0, -1.5, 0.4, 0.2), strict=True):
            rows.append(row(task, metric="accuracy", value=value + off, variant=variant, **named))
        subsets = DOMAINS if task == "domains" else {}
        subsets |= {f"question_type:{kind}": v - 80 for kind, v in QUESTION_TYPES.items()} if task == "vqav2" else {}
        subsets |= {f"answer_type:{kind}": v - 80 for kind, v in ANSWER_TYPES.items()} if task == "vqav2" else {}
        for subset, off in subsets.items():
            part = max(0.0, value + off * (1 if shift > -15 else 0.3) + rng.gauss(0, 1.5))
            rows.append(
                row(task, metric="accuracy", value=part, subset=subset, **named | {"variant": "official", "n": 480})
            )
    return rows


def _captions(named: dict[str, Any], shift: float, rng: random.Random) -> list[dict[str, Any]]:
    rows = []
    for task in ("coco", "nocaps"):
        for metric, level, width in (("CIDEr", 3.1, 0.045), ("Bleu_4", 0.62, 0.006), ("METEOR", 0.41, 0.003)):
            value = max(0.01, level + shift * width + rng.gauss(0, 0.004))
            rows.append(row(task, metric=metric, value=value, **named | {"unit": "fraction", "n": 800}))
        for subset, off in DOMAINS.items() if task == "nocaps" else ():
            value = max(0.01, 3.1 + (shift + off) * 0.045 + rng.gauss(0, 0.02))
            rows.append(
                row(task, metric="CIDEr", value=value, **named | {"unit": "fraction", "n": 300, "subset": subset})
            )
    spice = {"unit": "fraction", "value": None, "reason": "no CoreNLP jars found"}
    return [*rows, row("coco", metric="SPICE", **named | spice)]


def _text(named: dict[str, Any], rng: random.Random, worse: float) -> list[dict[str, Any]]:
    n = {"n": 500}
    return [
        row("reading", metric="accuracy", value=95.5 - 40 * worse + rng.gauss(0, 0.2), variant="direct", **named | n),
        row("summary", metric="rougeL", value=88.1 - 50 * worse + rng.gauss(0, 0.2), variant="direct", **named | n),
        row("corpus", metric="loss", value=0.239 + worse, **named | n | {"unit": "loss"}),
    ]


def _retrieval(named: dict[str, Any], level: float, rng: random.Random) -> list[dict[str, Any]]:
    ways = ("text_to_image", "image_to_text")
    return [row("retrieval", metric="R@1", value=level + rng.gauss(0, 1), variant=way, **named) for way in ways]


def curve(length: int, start: float, rng: random.Random) -> list[float]:
    """A falling loss."""
    return [start * math.exp(-3 * step / length) + 0.1 + rng.random() * 0.05 for step in range(length)]


def _image(rng: random.Random, colour: str) -> bytes:
    picture = Image.new("RGB", (48, 48), (225, 222, 210))
    draw = ImageDraw.Draw(picture)
    for _ in range(rng.randint(1, 3)):
        x, y = rng.randint(2, 30), rng.randint(2, 30)
        draw.ellipse((x, y, x + 14, y + 14), fill=COLOURS[colour])
    out = io.BytesIO()
    picture.save(out, "PNG")
    return out.getvalue()


def _download(root: Path, name: str, records: list[dict[str, Any]], images: dict[str, bytes] | None = None) -> None:
    def build(folder: Path) -> None:
        write_jsonl(folder / "records.jsonl", records)
        if images is not None:
            with zipfile.ZipFile(folder / "images.zip", "w") as archive:
                for key, data in images.items():
                    archive.writestr(key, data)

    publish(layout.download(root, name), build)


def _pictures(root: Path, count: int) -> None:
    """COCO, NoCaps and VQAv2 records, images, and scored items of the headline's first seed."""
    rng = random.Random(3)
    items: dict[str, list[dict[str, Any]]] = {"coco": [], "nocaps": [], "vqav2": []}
    questions = []
    for name in ("coco", "nocaps"):
        records, images = [], {}
        for index in range(count):
            colour = rng.choice(list(COLOURS))
            key = f"{name}_{index:04d}.png"
            images[key] = _image(rng, colour)
            captions = [f"a {colour} circle on a grey ground", f"there is a {colour} round thing"]
            domain = list(DOMAINS)[index % 3] if name == "nocaps" else None
            records.append({"id": str(index), "image": key, "captions": captions, "split": "test", "domain": domain})
            said = f"a {rng.choice([colour, colour, 'blue'])} circle"
            items[name].append(
                {
                    "id": str(index),
                    "prediction": said,
                    "target": captions,
                    "scores": {"CIDEr": 2.0},
                    "group": str(index),
                }
            )
            if name == "coco":
                answer = rng.choice([colour, colour, "red"])
                questions.append(_question(f"q{index}", key, colour))
                score = 1.0 if answer == colour else 0.0
                items["vqav2"].append(
                    {
                        "id": f"q{index}",
                        "prediction": answer,
                        "target": [colour] * 10,
                        "scores": {"official": score},
                        "group": str(index),
                    }
                )
        _download(root, name, records, images)
    _download(root, "vqav2", questions)
    for task, scored in items.items():
        write_jsonl(layout.score_vlkd(root) / "items" / task / "all-s0.jsonl", scored)


def _question(name: str, image: str, colour: str) -> dict[str, Any]:
    record = {"id": name, "image": image, "image_set": "coco", "question": "what color is the circle?"}
    record |= {"answers": [colour] * 9 + ["dark"], "answer_type": "other", "question_type": "what color is the"}
    return record | {"split": "test", "domain": None}


def _distilled(root: Path, params: Params) -> None:
    rng = random.Random(5)

    def build(folder: Path) -> None:
        for cell in vlkd_cells(params):
            columns = {"ttdm": curve(15, 1.0, rng), "itcl": curve(15, 4.0, rng), "icti": curve(15, 5.0, rng)}
            lines = [
                {"step": 20 * (index + 1), "loss": sum(c[index] for c in columns.values())}
                | {name: values[index] for name, values in columns.items()}
                | {"gradient_norm": 1.0, "learning_rate": 0.001}
                for index in range(15)
            ]
            write_jsonl(folder / cell.name / "metrics.jsonl", lines)
            write_bytes(folder / cell.name / "model.safetensors", f"weights of {cell.name}".encode())

    publish(layout.distill_vlkd(root), build)


def _run_record(path: Path, wall: float) -> None:
    record = {"started": "2024-01-01T00:00:00Z", "wall_seconds": wall, "cpu_seconds": wall * 0.97}
    record |= {"peak_memory_bytes": 900 * 2**20, "versions": {"python": "3.11.2", "torch": "2.14.1"}}
    write_json(path, record | {"commit": "0123456789abcdef0123456789abcdef01234567", "dirty": False})


def make(root: Path, params: Params, *, papers: Path, images: int = 40) -> Path:
    """Fill ``root`` with results; ``papers`` is the repository's table of reported numbers."""
    write_bytes(root / "data" / "reference" / "papers.csv", papers.read_bytes())
    rows = score_rows(params)
    publish(layout.score_vlkd(root), lambda folder: void(write_jsonl(folder / "scores.jsonl", rows)))
    _pictures(root, images)
    _distilled(root, params)
    for task in ("coco", "vqav2"):
        ids = [str(index) for index in range(images)]
        split = {"ids": ids, "unit": "image", "seed": 0, "fraction": 1.0, "sha256": sha256_json(ids)}
        write_json(layout.split(root, task, "test"), split)
    steps = {"download/coco": 9.0, "pretrain/clip": 181.0, "pretrain/bart": 84.2, "features/clip/cc3m": 21.5}
    steps |= {"distill/vlkd": 342.0, "evaluate/vlkd/predict": 66.0, "evaluate/vlkd/score": 31.0}
    for step, wall in steps.items():
        _run_record(root / "results" / f"{step}.run.json", wall)
    return root


def void(_: Any) -> None:
    """Drop a value where a function must return nothing."""
