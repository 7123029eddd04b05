"""Make Snakemake and DVC agree: what one of them made, the other need not make again.

When a run begins, Snakemake adopts the stages that DVC proves current (a pull, a checkout, `dvc repro`), and is forced
to make those outputs that DVC calls changed and Snakemake has not made itself (it would take a file without metadata
for current). When a run ends, also badly, DVC records the stages that are complete. VLDISTILL_SYNC=off turns it off.
"""

from __future__ import annotations

import atexit
import json
import os
import sys
from pathlib import Path
from typing import Any

from frontends import dvcside, snakeside
from frontends.dvcside import Stage
from frontends.graph import snakemake_graph
from frontends.keys import value_at
from vldistill.files import sha256_json, write_json

MEMORY = Path(".snakemake/vldistill-agreed.json")
# targets that only name others; they run nothing
TARGETS = ("all", "vlkd", "mad", "snli_ve", "vcr", "vqa")
BATCHING = ("runs_per_job", "mad_runs_per_job")
_sources_at_start: dict[str, Any] = {}
_hook_has_run = False


def say(text: str) -> None:
    """One line for the user, beside Snakemake's own."""
    print(f"sync: {text}", file=sys.stderr, flush=True)


def switched_off() -> bool:
    """Whether the user, or DVC as the caller, wants no synchronisation."""
    return os.environ.get("VLDISTILL_SYNC") == "off" or "DVC_STAGE" in os.environ


def agree(workflow: Any) -> None:
    """When the Snakefile is read: adopt what DVC proves current, force what DVC alone calls changed."""
    mode = snakeside.mode(workflow)
    if mode is None or switched_off():
        return
    if reason := dvcside.absent():
        say(f"{reason}, so this run goes without DVC")
        return
    stages = dvcside.stages()
    _sources_at_start.update(_sources(stages))
    if mode == "run":
        atexit.register(_record_if_nothing_ran, workflow)
    restarted = os.environ.pop("VLDISTILL_SYNC", None) == "agreed"
    if restarted or snakeside.restricted() or not dvcside.LOCK.is_file():
        return
    memory = Memory.load()
    if memory.current(stages, _sources_at_start):
        return
    try:
        changed = set(dvcside.status()) & set(stages)
        _settle(mode, stages, changed, memory)
    except RuntimeError as error:
        say(f"DVC and Snakemake could not be compared, Snakemake decides alone: {error}")


def to_adopt(stages: dict[str, Stage], changed: set[str], memory: Memory) -> list[Stage]:
    """Stages that DVC proves current and Snakemake has not heard of since."""
    return [stage for name, stage in stages.items() if name not in changed and not memory.agreed(stage)]


def to_force(stages: dict[str, Stage], changed: set[str], memory: Memory) -> list[str]:
    """Outputs of changed stages that Snakemake has not made itself: without metadata it takes them for current."""
    outputs = [path for name in stages if name in changed for path in stages[name].outputs]
    return [path for path in outputs if Path(path).exists() and not memory.knows(path)]


def rules_due(stages: dict[str, Stage], changed: set[str]) -> list[str]:
    """Rules whose jobs can be due, if all that is not downstream of a changed stage is taken as it is."""
    due = dvcside.downstream(changed, stages)
    return [*TARGETS, *(rule for name in stages if name in due for rule in stages[name].rules)]


def _settle(mode: str, stages: dict[str, Stage], changed: set[str], memory: Memory) -> None:
    adopt, force = to_adopt(stages, changed, memory), to_force(stages, changed, memory)
    options: list[str] = ["--forcerun", *force] if force else []
    if adopt:
        names = ", ".join(stage.name for stage in adopt)
        if mode == "dry":
            # nothing may be written now, so leave out of the graph what would be adopted
            options += ["--allowed-rules", *rules_due(stages, changed)]
            say(f"current by DVC, left out of this dry run: {names}")
            due = dvcside.downstream(changed, stages)
            left_out = [stage for stage in adopt if stage.name not in due]
            if snakeside.asks_only_for({name for stage in left_out for name in (stage.target, *stage.outputs)}):
                say("nothing to be done")
                raise SystemExit(0)
        else:
            snakeside.touch([rule for stage in adopt for rule in stage.rules], [stage.target for stage in adopt])
            memory.learn(adopt, [path for stage in adopt for path in stage.outputs])
            say(f"adopted from DVC as current: {names}")
    if force:
        affected = [name for name in stages if set(stages[name].outputs) & set(force)]
        say(f"changed by DVC, will be made again: {', '.join(affected)}")
    if options:
        snakeside.restart(*options)
    elif mode == "run" and not changed:
        memory.close(_sources_at_start)


def record(workflow: Any, failed: bool = False) -> None:
    """When a run ends: let DVC record the stages whose outputs are all there and current; say how to go on."""
    global _hook_has_run
    _hook_has_run = True
    if failed:
        _explain_failure(workflow)
    if not workflow.is_main_process or workflow.touch or workflow.dryrun or switched_off() or dvcside.absent():
        return
    stages = dvcside.stages()
    memory = Memory.load()
    done = _current_outputs(workflow)
    complete = [stage for stage in stages.values() if done.issuperset(stage.outputs)]
    due = [stage for stage in complete if not memory.agreed(stage)]
    stale = [stage for stage in due if _edited(stage)]
    due = [stage for stage in due if stage not in stale]
    if stale:
        say(f"edited during the run, not recorded: {', '.join(stage.name for stage in stale)}")
    if due:
        names = [stage.name for stage in due]
        try:
            dvcside.commit(names)
        except RuntimeError as error:
            say(f"dvc commit failed, run `vldistill sync` later: {error}")
            return
        say(f"recorded in dvc.lock: {', '.join(names)}")
    memory.learn(due, sorted(done))
    if len(complete) == len(stages) and not stale:
        memory.close(_sources_at_start)


def synchronise() -> dict[str, Any]:
    """Both directions at once, without running a job: adopt what DVC proves current, record what Snakemake has made.

    Raises:
        RuntimeError: DVC cannot be used here, or one of the two failed.
    """
    if reason := dvcside.absent():
        raise RuntimeError(f"{reason}, so there is nothing to synchronise")
    stages = dvcside.stages()
    memory = Memory.load()
    changed = set(dvcside.status()) & set(stages)
    # what DVC alone calls changed is neither's to adopt: the next run makes it again
    foreign = dvcside.downstream(
        {stage.name for stage in stages.values() if to_force(stages, {stage.name} & changed, memory)}, stages
    )
    adopt = to_adopt(stages, changed, memory)
    if adopt:
        snakeside.touch([rule for stage in adopt for rule in stage.rules], [stage.target for stage in adopt])
        memory.learn(adopt, [path for stage in adopt for path in stage.outputs])
    with snakemake_graph() as workflow:
        done = _current_outputs(workflow)
    due = [stage for name, stage in stages.items() if name in changed - foreign and done.issuperset(stage.outputs)]
    if due:
        dvcside.commit([stage.name for stage in due])
        memory.learn(due, sorted(path for stage in due for path in stage.outputs))
    left = sorted(changed - {stage.name for stage in due}, key=list(stages).index)
    return {"adopted": [stage.name for stage in adopt], "recorded": [stage.name for stage in due], "due": left}


def accept(*names: str) -> dict[str, Any]:
    """Take the present outputs of stages as the results of the present code and parameters, in both books.

    Raises:
        InputError: there is no such stage, or group of stages.
        RuntimeError: an output is missing, or one of the two tools failed.
    """
    chosen = dvcside.named(names, dvcside.stages())
    for stage in chosen:
        if missing := [path for path in stage.outputs if not Path(path).exists()]:
            raise RuntimeError(f"{stage.name} has no {missing[0]} to accept. Run it: snakemake {stage.target}")
    snakeside.touch([rule for stage in chosen for rule in stage.rules], [stage.target for stage in chosen])
    if dvcside.absent() is None:
        dvcside.commit([stage.name for stage in chosen])
    memory = Memory.load()
    memory.learn(chosen, [path for stage in chosen for path in stage.outputs])
    return {"accepted": [stage.name for stage in chosen]}


def _record_if_nothing_ran(workflow: Any) -> None:
    """Snakemake calls no hook when nothing is to be done, and yet DVC may not know of it."""
    # without a scheduler the graph was never finished, and says nothing
    if not _hook_has_run and workflow.scheduler is not None and not len(workflow.dag):
        record(workflow)


def _current_outputs(workflow: Any) -> set[str]:
    """Outputs in this run's graph that are finished, or needed no run."""
    dag = workflow.dag
    return {str(path) for job in dag.jobs if dag.finished(job) or not dag.needrun(job) for path in job.output}


def _explain_failure(workflow: Any) -> None:
    for job in sorted(workflow.scheduler.failed, key=str):
        values = ", ".join(f"{key}={value}" for key, value in job.wildcards_dict.items())
        log = ", ".join(str(path) for path in job.log) or "none"
        print(f"failed: rule {job.rule.name} {values}\n  log: {log}", file=sys.stderr)
    print(f"  go on with: {snakeside.command()}  (finished work is kept)", file=sys.stderr, flush=True)


def _sources(stages: dict[str, Stage]) -> dict[str, Any]:
    """State of params.yaml and of all files the stages depend on that no stage makes."""
    files = [str(dvcside.PARAMS), dvcside.PIPELINE]
    for dep in {dep for stage in stages.values() for dep in stage.deps if not dep.startswith("results/")}:
        path = Path(dep)
        files += [str(path)] if path.is_file() else [str(file) for file in path.rglob("*") if file.suffix != ".pyc"]
    return {file: snakeside.signature(file) for file in sorted(set(files)) if not Path(file).is_dir()}


def _edited(stage: Stage) -> bool:
    """Whether params.yaml or the code of the stage was edited since the run began: the results are of another state."""
    roots = (str(dvcside.PARAMS), *(dep for dep in stage.deps if not dep.startswith("results/")))
    return any(
        snakeside.signature(file) != before
        for file, before in _sources_at_start.items()
        if file in roots or any(file.startswith(f"{root}/") for root in roots)
    )


class Memory:
    """What the two sides agreed on last: by stage its lock entry with its outputs, by file its time and size."""

    def __init__(self, stages: dict[str, str], files: dict[str, Any], closed: str | None) -> None:
        self.stages, self.files, self.closed = stages, files, closed
        self.lock = dvcside.lock()
        # no result depends on them, but the number of batches is part of Snakemake's graph and unknown to DVC
        self.batching = [value_at(dvcside.params(), f"compute.{key}") for key in BATCHING]

    @classmethod
    def load(cls) -> Memory:
        try:
            kept = json.loads(MEMORY.read_text(encoding="utf-8"))
            return cls(kept["stages"], kept["files"], kept["closed"])
        except (OSError, ValueError, KeyError):
            return cls({}, {}, None)

    def seal(self, stage: Stage) -> str:
        """Hash of the stage's lock entry, of its outputs' times and sizes, and of the batching of cells."""
        outputs = [snakeside.signature(path) for path in stage.outputs]
        return sha256_json([self.lock.get(stage.name), outputs, self.batching])

    def agreed(self, stage: Stage) -> bool:
        """Whether nothing happened to the stage since both sides agreed on it."""
        return stage.name in self.lock and self.stages.get(stage.name) == self.seal(stage)

    def knows(self, path: str) -> bool:
        """Whether Snakemake made or adopted the file as it is now."""
        return self.files.get(path) == snakeside.signature(path) or snakeside.made_here(path)

    def learn(self, stages: list[Stage], files: list[str]) -> None:
        """Remember that both sides agree on `stages`, and Snakemake on `files`."""
        self.lock = dvcside.lock()
        self.stages |= {stage.name: self.seal(stage) for stage in stages}
        self.files |= {path: snakeside.signature(path) for path in files}
        self._save(None)

    def close(self, sources: dict[str, Any]) -> None:
        """Remember that everything agrees, so that the next call need not ask DVC."""
        self._save(self._all(sources))

    def current(self, stages: dict[str, Stage], sources: dict[str, Any]) -> bool:
        """Whether nothing at all happened since everything agreed."""
        return all(self.agreed(stage) for stage in stages.values()) and self.closed == self._all(sources)

    def _all(self, sources: dict[str, Any]) -> str:
        return sha256_json([self.lock, sources])

    def _save(self, closed: str | None) -> None:
        self.closed = closed
        write_json(MEMORY, {"stages": self.stages, "files": self.files, "closed": closed})
