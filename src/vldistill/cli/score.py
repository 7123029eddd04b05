"""`vldistill score`: scores of official result files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from vldistill.files import write_json, write_jsonl

FILE = click.Path(path_type=Path)


@click.group("score")
def command() -> None:
    """Score result files in the official formats against official annotation files."""


@command.command("captions")
@click.option("--references", required=True, type=FILE, help="COCO captions JSON: {images, annotations}.")
@click.option("--results", required=True, type=FILE, help='JSON list of {"image_id", "caption"}.')
@click.option("--out", required=True, type=FILE, help="Where to write the scores (JSON).")
@click.option("--items", type=FILE, help="Also write each image's scores (JSON lines).")
@click.option(
    "--spice",
    type=click.Choice(["auto", "required", "off"]),
    default="auto",
    show_default=True,
    help="auto: null with the reason where SPICE cannot run; required: an error then.",
)
@click.option("--corenlp", type=FILE, help="Folder of SPICE's jars [default: $VLDISTILL_CORENLP, then the cache].")
@click.option("--cache", type=FILE, help="Folder for SPICE's parses [default: the user's cache folder].")
def captions(
    references: Path, results: Path, out: Path, items: Path | None, spice: Any, corenlp: Path | None, cache: Path | None
) -> None:
    """BLEU-1..4, METEOR, ROUGE-L, CIDEr and SPICE, as fractions, equal to the COCO caption evaluation's."""
    from vldistill.evaluate.metrics.captions import check_ids, score_captions
    from vldistill.evaluate.metrics.official import Source, caption_references, caption_results

    truth = caption_references(Source.read(references))
    predicted = caption_results(Source.read(results))
    check_ids(truth, predicted, file=results)
    scores = score_captions(truth, predicted, spice=spice, corenlp=corenlp, cache=cache)
    write_json(out, scores["metrics"])
    if items is not None:
        write_jsonl(items, ({"id": key, "scores": value} for key, value in scores["per_item"].items()))
    _show(scores["metrics"])


@command.command("vqa")
@click.option("--questions", required=True, type=FILE, help="VQA questions JSON.")
@click.option("--annotations", required=True, type=FILE, help="VQA annotations JSON, ten answers a question.")
@click.option("--results", required=True, type=FILE, help='JSON list of {"question_id", "answer"}.')
@click.option("--out", required=True, type=FILE, help="Where to write the scores (JSON).")
@click.option("--items", type=FILE, help="Also write each question's scores (JSON lines).")
@click.option("--canonicalise", is_flag=True, help="Normalise the answers first, as the pipeline does.")
@click.option("--stem", is_flag=True, help="Stem the answers' words (OK-VQA's ground truth is stemmed).")
def vqa(
    questions: Path, annotations: Path, results: Path, out: Path, items: Path | None, canonicalise: bool, stem: bool
) -> None:
    """VQA accuracy in four variants, in percent, also per answer type and question type."""
    from vldistill.evaluate.metrics.official import Source, score_vqa

    first, second, third = (Source.read(path) for path in (questions, annotations, results))
    scores = score_vqa(first, second, third, canonicalise=canonicalise, stemmed=stem)
    types = {key: scores[key] for key in ("per_answer_type", "per_question_type")}  # type: ignore[literal-required]
    write_json(out, {**scores["metrics"], **types})
    if items is not None:
        write_jsonl(items, ({"id": key, "scores": value} for key, value in scores["per_item"].items()))
    _show(scores["metrics"])


@command.command("fetch-spice")
@click.option("--from", "source", type=FILE, help="The CoreNLP 3.6.0 zip, or a folder of jars, instead of a download.")
@click.option("--to", "folder", type=FILE, help="Where to put them [default: the user's cache folder].")
def fetch_spice(source: Path | None, folder: Path | None) -> None:
    """Get what SPICE needs: CoreNLP 3.6.0, its models and a JavaScript engine (GPL v3 or later, MPL 2.0)."""
    from vldistill.evaluate.metrics import spice_fetch

    for path in spice_fetch.fetch_spice(source, folder):
        click.echo(str(path))


def _show(metrics: dict[str, Any]) -> None:
    for name, value in metrics.items():
        click.echo(f"{name:<14} {value:.4f}" if isinstance(value, float) else f"{name:<14} {value}")
