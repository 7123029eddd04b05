"""`vldistill plan`: what the next run will do and why, before anything runs."""

from __future__ import annotations

import os
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import click

from vldistill import forecast
from vldistill.cli.frontends import ask
from vldistill.layout import PARAMS
from vldistill.params import load


@click.command("plan")
@click.argument("targets", nargs=-1)
def command(targets: tuple[str, ...]) -> None:
    """Tell what `snakemake TARGETS` (default: all) would run, and which changed key or input causes it.

    Also the jobs by kind, the time and disk they take by what earlier runs recorded, and what is reused. Nothing is
    run or written.
    """
    root = Path.cwd()
    params = load(root / PARAMS)
    answer = ask(root, "plan", *targets)
    jobs = answer["jobs"]
    if answer["without_dvc"]:
        click.echo(f"without DVC: {answer['without_dvc']}")
    if not jobs:
        click.echo("nothing to be done: all results are current")
        return
    click.echo(f"{len(jobs)} jobs, by stage and cause:")
    for line in causes(jobs, answer["stages"]):
        click.echo(f"  {line}")
    click.echo("on SLURM (snakemake --profile slurm):")
    for name, count in partitions(jobs).items():
        click.echo(f"  {name}: {count} jobs")
    cells = forecast.states(jobs, params, root)
    for line in [*forecast.cost(jobs, cells, params, root), *forecast.reuse(jobs, cells, params, root)]:
        click.echo(line)


def causes(jobs: list[dict[str, Any]], stages: list[str]) -> list[str]:
    """Lines by stage: number of jobs, then each cause once; jobs without a cause of their own follow earlier ones."""
    lines = []
    for stage in stages:
        own = [job for job in jobs if job["stage"] == stage]
        if not own:
            continue
        found = list(dict.fromkeys(cause for job in own for cause in job["causes"]))
        missing = [cause for cause in found if cause.startswith("not made yet")]
        shown = [cause for cause in found if cause not in missing]
        if missing:
            shown.append(missing[0] if len(missing) == 1 else f"not made yet: {len(missing)} results")
        lines.append(f"{stage}: {len(own)} jobs")
        lines += [f"  because {cause}" for cause in shown] or ["  because a stage before it runs"]
    return lines


def partitions(jobs: list[dict[str, Any]]) -> dict[str, int]:
    """Jobs by where SLURM would put them, named as the site's environment variables say."""
    cpu = os.environ.get("VLDISTILL_SLURM_PARTITION") or "default partition"
    gpu = os.environ.get("VLDISTILL_SLURM_GPU_PARTITION") or cpu
    counted = Counter(f"{gpu}, with a GPU" if job["resources"]["gpu"] else f"{cpu}, CPU only" for job in jobs)
    limits: dict[str, int] = defaultdict(int)
    for job in jobs:
        name = f"{gpu}, with a GPU" if job["resources"]["gpu"] else f"{cpu}, CPU only"
        limits[name] = max(limits[name], int(job["resources"]["mem_mb"] or 0))
    return {f"{name}, up to {limits[name]} MB": count for name, count in sorted(counted.items())}
