"""The graph as Snakemake builds it and as dvc.yaml states it, and whether the two are equal."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from frontends import dvcside
from frontends.dvcside import Stage
from frontends.keys import leaves_below


@contextmanager
def snakemake_graph(
    *targets: str, force_all: bool = False, force: Iterable[str] = (), rules: Iterable[str] = ()
) -> Iterator[Any]:
    """The workflow with its graph of jobs for `targets` (default: `all`), built in this process; runs nothing.

    Args:
        targets: rules or files to make.
        force_all: every job is due.
        force: files whose jobs are due.
        rules: leave all other rules out of the graph, if given.
    """
    from snakemake.api import SnakemakeApi
    from snakemake.settings.types import (
        DAGSettings,
        DeploymentSettings,
        OutputSettings,
        Quietness,
        ResourceSettings,
        StorageSettings,
        WorkflowSettings,
    )

    quiet = OutputSettings(quiet={Quietness.ALL}, log_level_override=None)
    with SnakemakeApi(quiet) as api:
        workflow_api = api.workflow(
            resource_settings=ResourceSettings(cores=1),
            storage_settings=StorageSettings(),
            deployment_settings=DeploymentSettings(),
            workflow_settings=WorkflowSettings(),
        )
        settings = DAGSettings(
            targets=frozenset(targets),
            forceall=force_all,
            forcerun=frozenset(force),
            allowed_rules=frozenset(rules),
            max_checksum_file_size=10**12,
        )
        dag_api = workflow_api.dag(settings)
        workflow = dag_api.workflow_api._workflow
        # there is no public call that builds the graph and keeps it
        workflow._prepare_dag(forceall=force_all, ignore_incomplete=True, lock_warn_only=True)
        workflow._build_dag()
        yield workflow


def differences() -> list[str]:
    """What the two graphs disagree on: outputs, inputs or parameters of a stage; empty if they are equal."""
    stages = dvcside.stages()
    params = dvcside.params()
    with snakemake_graph(force_all=True) as workflow:
        jobs = [job for job in workflow.dag.jobs if job.output]
        problems = []
        for stage in stages.values():
            own = [job for job in jobs if stage_of(job, stages, workflow.dag) == stage]
            problems += [f"{stage.name}: {problem}" for problem in _stage_differences(stage, own, params)]
        unknown = sorted({job.rule.name for job in jobs if stage_of(job, stages, workflow.dag) is None})
        return problems + [f"rule {name} belongs to no stage of dvc.yaml" for name in unknown]


def stage_of(job: Any, stages: dict[str, Stage], dag: Any) -> Stage | None:
    """The stage of dvc.yaml that a job belongs to; None where its rule is in none.

    Stages of one group have their rules in common: there a job's outputs tell, and a job whose outputs are temporary
    belongs to whoever takes them.
    """
    found = [stage for stage in stages.values() if job.rule.name in stage.rules]
    if len(found) < 2:
        return found[0] if found else None
    for stage in found:
        if any(_within(str(path), stage.outs) for path in job.output):
            return stage
    return next((owner for later in dag.depending[job] if (owner := stage_of(later, stages, dag))), None)


def _stage_differences(stage: Stage, jobs: list[Any], params: dict[str, Any]) -> Iterator[str]:
    made = {str(path) for job in jobs for path in job.output}
    lasting = {str(path) for job in jobs for path in job.output if path not in job.temp_output}
    yield from (f"out {out} is no output of its rules" for out in sorted(set(stage.outputs) - made))
    yield from (f"output {path} is in no out" for path in sorted(lasting) if not _within(path, stage.outs))
    read = {str(path) for job in jobs for path in job.input} - made
    yield from (f"input {path} is in no dep" for path in sorted(read) if not _within(path, stage.deps))
    yield from (f"dep {dep} is no input" for dep in stage.deps if not any(_within(path, [dep]) for path in read))
    keys = {key for job in jobs for key in job.params.get("read", {})}
    ours, theirs = leaves_below(params, sorted(keys)), leaves_below(params, list(stage.params))
    yield from (f"parameter {key} is read by its rules only" for key in sorted(set(ours) - set(theirs)))
    yield from (f"parameter {key} is tracked by DVC only" for key in sorted(set(theirs) - set(ours)))


def _within(path: str, places: Any) -> bool:
    return any(path == place or Path(place) in Path(path).parents for place in places)
