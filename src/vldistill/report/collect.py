"""From the results on disk to what stands on the page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

from vldistill import layout, presets
from vldistill.cells import MAD, METHOD, Cell, vlkd_cells
from vldistill.errors import InputError
from vldistill.evaluate.summary import HEADLINE, Bar, bars
from vldistill.files import sha256_file, sha256_json
from vldistill.params import Params
from vldistill.report import comparable, cost, curves, gallery, origin, page, papers, reliability, results, scores, svg
from vldistill.report.cards import cards
from vldistill.report.mad import found as found_of_mad
from vldistill.report.mad import part
from vldistill.report.names import DOMAINS, entity
from vldistill.report.numbers import Numbers
from vldistill.report.page import Chart, Page
from vldistill.report.table import Table

PAPERS = Path("data") / "reference" / "papers.csv"


@dataclass(frozen=True)
class Collected:
    """What was read: scores as they stand in the file, and asked by name; cells; curves; run records; bars; MAD's."""

    rows: list[dict[str, object]]
    numbers: Numbers
    cells: list[Cell]
    curves: list[curves.Curve]
    runs: list[cost.Run]
    bars: list[Bar]
    mad: found_of_mad.Found | None


def read(params: Params, root: Path) -> Collected:
    """Read all that the report shows but the pictures.

    Raises:
        InputError: scores or models are missing or malformed, or the headline arm has no scores.
    """
    path = layout.score_vlkd(root) / "scores.jsonl"
    typed, rows = scores.read(path)
    vlkd = params.evaluate.vlkd
    cells = vlkd_cells(params)
    trained = list(dict.fromkeys(cell.arm for cell in cells))
    ours = [row for row in typed if row.method == METHOD]
    numbers = Numbers(ours, HEADLINE, trained, vlkd.level, vlkd.split, vlkd.vqa_variant)
    if not any(row.arm == HEADLINE and row.split == vlkd.split for row in ours):
        raise InputError(
            f"no scores of the arm {HEADLINE} on the split {vlkd.split}",
            file=path,
            field="arm",
            action=f"Keep {HEADLINE} among distill.vlkd.active and evaluate again",
        )
    distilled = layout.distill_vlkd(root)
    return Collected(
        rows,
        numbers,
        cells,
        curves.read(distilled, cells),
        cost.runs(root / "results"),
        bars(rows, vlkd.vqa_variant),
        found_of_mad.read(params, root),
    )


def build(params: Params, root: Path, found: Collected) -> Page:
    """The page of what was read."""
    numbers = found.numbers
    tables = _tables(params, root, found)
    galleries = _galleries(params, root)
    arms = [arm for arm in numbers.trained if any(curve.cell.arm == arm for curve in found.curves)]
    tones = curves.tones(arms)
    return Page(
        facts=_facts(params, root, found),
        warnings=reliability.reliability_warnings(numbers, params.report.unreliable_margin),
        banners=_banners(params, root),
        cards=cards(numbers, found.bars),
        tables=tables,
        charts=_charts(numbers, found.runs),
        panels=curves.panels(found.curves, arms, numbers.headline) if arms else (),
        panel_legend=[(svg.swatch(tones[arm], thin=arm != numbers.headline), entity(arm)) for arm in arms],
        kind_tables=[table for table in results.all_kinds(numbers) if table.rows],
        galleries=galleries,
        gallery_sentence=_gallery_sentence(galleries),
        identity=_identity(params, root, found),
        settings=_settings(params),
        params_text=yaml.safe_dump(params.model_dump(mode="json"), sort_keys=False, width=100, allow_unicode=True),
        comparable=not comparable.differences(params, root),
        reproduced=comparable.reproduced(root),
        rendered=params.download.source == "world",
        retained=reliability.retained(found.bars),
        headline_name=entity(numbers.headline),
        mad=_mad(params, root, found),
    )


def _mad(params: Params, root: Path, found: Collected) -> part.MadPart | None:
    if found.mad is None:
        return None
    reported = [entry for entry in papers.read(root / PAPERS) if entry.method == MAD]
    return part.build(
        params,
        root,
        found.mad,
        runs=found.runs,
        reported=reported,
        differences={entry.task: comparable.mad_differences(params, root, entry.task) for entry in reported},
    )


def _tables(params: Params, root: Path, found: Collected) -> dict[str, Table]:
    numbers = found.numbers
    made = {
        "headline": results.headline(numbers, _per_task(params)),
        "measures": results.all_measures(numbers, _per_task(params)),
        "bars": reliability.table(found.bars),
        "papers": papers.table(
            [entry for entry in papers.read(root / PAPERS) if entry.method == METHOD],
            numbers,
            comparable=not comparable.differences(params, root),
            teacher=papers.teacher(params.pretrain.clip),
        ),
        "controls": results.controls(numbers),
        "ablation": results.ablation(numbers),
        "domains": results.domains(numbers, rendered=params.download.source == "world"),
        "vqa_variants": results.variants(numbers),
        "retention": results.retention(numbers),
        "retrieval": results.retrieval(numbers),
        "cost": cost.table(found.runs),
        "cells": origin.cells(params, root, found.cells, found.runs),
        "artifacts": origin.artifacts(root / "results"),
        "splits": origin.splits(root / "results"),
    }
    return {name: table for name, table in made.items() if table.rows}


def _charts(numbers: Numbers, runs: Sequence[cost.Run]) -> dict[str, Chart]:
    vqa, captions = numbers.measure("vqav2", "accuracy"), numbers.measure("coco", "CIDEr")
    domains, nocaps = numbers.measure("domains", "accuracy"), numbers.measure("nocaps", "CIDEr")
    made = {
        "vqa": vqa and page.contrast_chart(numbers, vqa),
        "arms": vqa and page.arms_chart(numbers, vqa),
        "types": vqa and page.kinds_chart(numbers, vqa, "question_type:"),
        "captions": captions and page.contrast_chart(numbers, captions),
        "domains_vqa": domains and page.domain_chart(numbers, domains),
        "domains_caption": nocaps and page.domain_chart(numbers, nocaps),
        "cost": cost_chart(runs),
    }
    return {name: chart for name, chart in made.items() if chart}


def cost_chart(runs: Sequence[cost.Run]) -> Chart | None:
    """Wall time of every step that took at least a fiftieth of the longest."""
    longest = max((run.wall for run in runs), default=0.0)
    drawn = [svg.Mark(run.step, run.wall, tone="arm") for run in runs if run.wall >= longest / 50]
    if not drawn or not longest:
        return None
    chart = svg.bars(drawn, label="Wall time of each step", axis="wall time, s", digits=0)
    return Chart(chart, "Wall time of the steps that take at least 2 % of the longest; all are in the table.")


def _galleries(params: Params, root: Path) -> dict[str, list[gallery.Picture]]:
    vlkd, report = params.evaluate.vlkd, params.report
    cell = f"{HEADLINE}-s0"
    made: dict[str, list[gallery.Picture]] = {}
    if report.gallery:
        made["The first images of the draw"] = gallery.pictures(
            root, cell, vlkd.split, report.gallery, report.image_width
        )
        made["NoCaps images of each domain, by the same draw"] = gallery.domain_pictures(
            root, cell, vlkd.split, list(DOMAINS), max(1, report.gallery // 6), report.image_width
        )
    if report.failures:
        made["The first wrong answers of the draw"] = gallery.failures(
            root, cell, vlkd.split, report.failures, report.image_width
        )
    return {title: shown for title, shown in made.items() if shown}


def _gallery_sentence(galleries: dict[str, list[gallery.Picture]]) -> str:
    shown = galleries.get("The first images of the draw", [])
    right, answered = gallery.right_and_answered(shown)
    score = (
        f" The model scores {right:.1f} of {answered} on the questions shown below the first images."
        if answered
        else ""
    )
    return (
        "Not picked by hand: the first images in the order of the sha256 of their key, right or wrong; then the first "
        "questions answered wrongly, in the order of the sha256 of their id. "
        f"Seed 0 of the headline arm.{score}"
    )


def _facts(params: Params, root: Path, found: Collected) -> dict[str, str]:
    code = origin.code(found.runs)
    seeds = sorted({cell.seed for cell in found.cells if cell.arm == HEADLINE})
    arms = len({cell.arm for cell in found.cells})
    return {
        "experiment": preset_name(root),
        "params": sha256_json(params.model_dump(mode="json"))[:12],
        "code": code.sentence,
        "split": params.evaluate.vlkd.split,
        "models": f"{len(found.cells)} ({plural(arms, 'arm')}, {plural(len(seeds), 'seed')} of the headline)",
        "data": "rendered miniature world" if params.download.source == "world" else "published data sets",
    }


def plural(count: int, noun: str) -> str:
    """``1 seed``, ``3 seeds``."""
    return f"{count} {noun}{'' if count == 1 else 's'}"


def preset_name(root: Path) -> str:
    """The preset that params.yaml equals, else that it is edited."""
    try:
        return presets.current(root) or "edited params.yaml"
    except InputError:  # the presets are not beside this project
        return "params.yaml"


def _banners(params: Params, root: Path) -> list[str]:
    """What a reader must know before any number. Only a tracked run at the paper's scale ends the first one."""
    found, preset, vlkd = [], preset_name(root), params.evaluate.vlkd
    if preset in ("smoke", "paper-dry"):
        found.append(f"The preset {preset} only tests that everything runs: its numbers mean nothing.")
    if not comparable.reproduced(root):
        found.append("Re-implementation; paper numbers not yet reproduced.")
    if reasons := comparable.differences(params, root):
        found.append(f"The numbers of this run are not comparable with the paper\u2019s: {'; '.join(reasons)}.")
    if vlkd.split != "test":
        found.append(f"Numbers are of the split {vlkd.split}, which tuning looks at: they are no test results.")
    if absent := origin.absent(root / "results"):
        reasons = [f"{name} ({reason})" for name, reason in absent.items()]
        found.append(f"Not in this experiment, and so not measured: {'; '.join(reasons)}.")
    return found


def _identity(params: Params, root: Path, found: Collected) -> dict[str, str]:
    code = origin.code(found.runs)
    score = layout.score_vlkd(root) / "scores.jsonl"
    return {
        "params, sha256": sha256_json(params.model_dump(mode="json")),
        "code, commits": ", ".join(code.commits) or "not recorded (outside git)",
        "uncommitted edits": "yes" if code.edited else "no",
        "scores.jsonl, sha256": sha256_file(score),
        "versions": ", ".join(f"{name} {version}" for name, version in code.versions.items()) or "not recorded",
    }


def _settings(params: Params) -> dict[str, str]:
    vlkd = params.evaluate.vlkd
    prompts = {f"prompt, {name}": value for name, value in vlkd.prompts.model_dump(mode="json").items()}
    decoding = {
        f"decoding, {name}": ", ".join(f"{key} {value}" for key, value in values.items())
        for name, values in vlkd.decoding.model_dump(mode="json").items()
    }
    form = "canonicalised" if vlkd.canonicalise else "as generated"
    scoring = {
        "VQA accuracy": f"variant {vlkd.vqa_variant}, answers {form}",
        "OK-VQA": "predictions stemmed" if vlkd.stem_okvqa else "predictions not stemmed",
    }
    return prompts | decoding | scoring


def _per_task(params: Params) -> dict[str, str]:
    vlkd = params.evaluate.vlkd
    kinds = dict.fromkeys(("vqav2", "okvqa", "domains"), "vqa") | dict.fromkeys(("coco", "nocaps"), "caption")
    kinds |= {"reading": "reading", "summary": "summary"}
    prompts, decoding = vlkd.prompts.model_dump(), vlkd.decoding.model_dump()
    return {
        task: f"{prompts[kind]} · "
        + ("greedy" if decoding[kind]["num_beams"] == 1 else f"{decoding[kind]['num_beams']} beams")
        for task, kind in kinds.items()
    }
