"""What the next run would do and why, found without running or writing anything."""

from __future__ import annotations

import ast
import json
from pathlib import Path
from typing import Any

from frontends import dvcside, snakeside, sync
from frontends.dvcside import Stage
from frontends.graph import snakemake_graph, stage_of
from frontends.keys import leaves, leaves_below


def jobs(*targets: str) -> dict[str, Any]:
    """The jobs that `snakemake TARGETS` would run, as JSON: rule, wildcards, stage, causes, resources, outputs."""
    stages = dvcside.stages()
    reasons: dict[str, list[Any]] = {}
    force: list[str] = []
    rules: list[str] = []
    without = dvcside.absent()
    if without is None and dvcside.LOCK.is_file() and not sync.switched_off():
        reasons = {name: found for name, found in dvcside.status().items() if name in stages}
        memory = sync.Memory.load()
        force = sync.to_force(stages, set(reasons), memory)
        if sync.to_adopt(stages, set(reasons), memory):
            rules = sync.rules_due(stages, set(reasons))
    # where current stages are left out of the graph, others of their group bring their rules back in
    possible = dvcside.downstream(set(reasons), stages) if rules else set(stages)
    with snakemake_graph(*targets, force=force, rules=rules) as workflow:
        dag = workflow.dag
        owned = ((job, stage_of(job, stages, dag)) for job in dag.needrun_jobs() if job.output)
        due = [(job, stage) for job, stage in owned if stage is not None and stage.name in possible]
        found = [
            {
                "rule": job.rule.name,
                "wildcards": dict(job.wildcards_dict),
                "stage": stage.name,
                "causes": _causes(job, dag.reason(job), stage, reasons),
                "threads": job.threads,
                "resources": {name: job.resources.get(name) for name in ("gpu", "mem_mb", "runtime")},
                "outputs": [str(path) for path in job.output],
                "seconds": _seconds(job),
            }
            for job, stage in sorted(due, key=lambda each: _place(*each, list(stages)))
        ]
    return {"jobs": found, "without_dvc": without, "changed": sorted(reasons), "stages": list(stages)}


def _place(job: Any, stage: Stage, stages: list[str]) -> tuple[int, int, str]:
    return stages.index(stage.name), stage.rules.index(job.rule.name), str(job.wildcards_dict)


def _causes(job: Any, reason: Any, stage: Stage, dvc_reasons: dict[str, list[Any]]) -> list[str]:
    """Why a job would run: parameter keys with their values, changed files, missing outputs; empty if only because
    an earlier job runs."""
    causes = _changed_keys(job)
    if reason.forced:
        causes += _dvc_causes(stage, dvc_reasons.get(stage.name, []))
    if missing := [str(path) for path in reason.missing_output or () if path not in job.temp_output]:
        causes.append(f"not made yet: {missing[0]}")
    causes += [f"changed input: {path}" for path in sorted(map(str, reason.updated_input or ()))[:3]]
    if reason.input_changed:
        causes.append("its set of inputs changed")
    if reason.code_changed:
        causes.append("the rule's command changed")
    if reason.incomplete_output:
        causes.append("an interrupted run left it unfinished")
    return causes


def _changed_keys(job: Any) -> list[str]:
    # Snakemake looks for changed parameters only where no earlier job runs; a reader wants to know them all
    before = recorded(snakeside.metadata(str(job.output[0])).get("params") or [])
    return differing(before, leaves_of(job.params.get("read", {}))) if before else []


def leaves_of(read: dict[str, Any]) -> dict[str, Any]:
    """Dotted keys of what a rule's `narrow` gave it."""
    return {leaf: value for key, tree in read.items() for leaf, value in leaves(tree, key).items()}


def differing(before: dict[str, Any], now: dict[str, Any]) -> list[str]:
    """Lines `KEY: OLD -> NEW`."""
    keys = [key for key in {**before, **now} if before.get(key) != now.get(key)]
    return [f"{key}: {before.get(key, '(absent)')} -> {now.get(key, '(absent)')}" for key in keys]


def _dvc_causes(stage: Stage, reasons: list[Any]) -> list[str]:
    locked = dvcside.lock().get(stage.name, {}).get("params", {}).get(str(dvcside.PARAMS), {})
    before = {leaf: value for key, tree in locked.items() for leaf, value in leaves(tree, key).items()}
    causes = differing(before, leaves_below(dvcside.params(), list(stage.params))) if before else []
    for reason in reasons:
        for kind, entries in reason.items() if isinstance(reason, dict) else ():
            what = "input" if kind == "changed deps" else "output"
            causes += [f"changed {what}: {path}" for path in entries if path != str(dvcside.PARAMS)][:3]
    return causes


def _seconds(job: Any) -> float | None:
    """How long the job took last time, by its run record."""
    for path in job.output:
        if str(path).endswith(".run.json"):
            try:
                return float(json.loads(Path(path).read_text(encoding="utf-8"))["wall_seconds"])
            except (OSError, ValueError, KeyError):
                return None
    return None


def recorded(texts: list[str]) -> dict[str, Any]:
    """The leaves of the first parameter mapping in Snakemake's own record of a job."""
    for text in texts:
        try:
            value = ast.literal_eval(text)
        except (ValueError, SyntaxError):
            continue
        if isinstance(value, dict):
            return leaves_of(value)
    return {}
