"""Changes everything of a project's data that a cell may not read: if it reads none of it, it stays what it was."""

from __future__ import annotations

import json
import shutil
import zipfile
from collections.abc import Container
from pathlib import Path
from typing import Any

from vldistill import artifact, features, layout
from vldistill.files import write_jsonl
from vldistill.params import load
from vldistill.records import LABELS

OTHER_LABELS: dict[str, dict[str, Any]] = {
    "snli_ve": {"label": LABELS[0]},
    "vcr": {},
    "vqa": {"answers": ["nothing"] * 10},
}
OTHER_TEXTS: dict[str, dict[str, Any]] = {
    "snli_ve": {"hypothesis": "something quite other"},
    "vcr": {"answers": [["other", str(at)] for at in range(4)], "answer_label": 0, "rationale_label": 0},
    "vqa": {"question": "something else ?"},
}


def spoil(root: Path, task: str, kept: Container[str], asked: Container[str] = ()) -> None:
    """Change labels, texts and pictures of all items of a task but those that are kept, and extract again.

    Of what is ``asked`` of a model, the labels alone, and none of VCR: its rationales are asked given the right answer,
    and rewritten texts follow both labels.
    """
    source, images = {"snli_ve": ("snli_ve", "flickr30k"), "vcr": ("vcr", "vcr"), "vqa": ("vqav2", "coco")}[task]
    folder = layout.download(root, source)
    rows = [json.loads(line) for line in (folder / "records.jsonl").read_text().splitlines()]
    shown = {row["image"] for row in rows if row["id"] in kept or row["id"] in asked}
    for row in (row for row in rows if row["id"] not in kept):
        row |= OTHER_LABELS[task]
        if row["id"] not in asked:
            row |= OTHER_TEXTS[task]
    republish(folder, {"records.jsonl": rows})
    blacken(layout.download(root, images), shown)
    params = load(root / "params.yaml")
    features.run(params, root, "clip", images)
    for encoder in ("clip", "bart"):
        features.run(params, root, encoder, layout.TEXTS)


def blacken(folder: Path, shown: set[str]) -> None:
    with zipfile.ZipFile(folder / "images.zip") as archive:
        content = {name: archive.read(name) for name in archive.namelist()}
    one = next(data for name, data in sorted(content.items()) if name not in shown)
    with zipfile.ZipFile(folder / "images.zip", "w") as archive:
        for name, data in content.items():
            archive.writestr(name, data if name in shown else one)
    republish(folder, {})


def republish(folder: Path, rows: dict[str, list[Any]]) -> None:
    meta = artifact.read_manifest(folder)["meta"]
    old = Path(shutil.move(folder, folder.with_name("old")))

    def build(fresh: Path) -> None:
        for path in old.iterdir():
            if path.name != "manifest.json":
                shutil.copy(path, fresh / path.name)
        for name, content in rows.items():
            write_jsonl(fresh / name, content)

    artifact.publish(folder, build, meta)
    shutil.rmtree(old)
