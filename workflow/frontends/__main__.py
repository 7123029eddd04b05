"""`python -m frontends COMMAND`: what the command line asks of Snakemake and DVC; answers in JSON on stdout."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from typing import Any

from snakemake.exceptions import RuleException, WorkflowError

from frontends import graph, plan, revisions, sync
from vldistill.errors import VldistillError

COMMANDS: dict[str, Callable[..., Any]] = {
    "accept": sync.accept,
    "differences": graph.differences,
    "plan": plan.jobs,
    "scores": revisions.scores,
    "sync": sync.synchronise,
    "trials": revisions.trials,
}


def main(arguments: list[str]) -> int:
    """Run one command with its arguments; an error the user can mend goes to stderr, with exit code 2."""
    name, *rest = arguments
    # Snakemake and DVC print as they like; the answer alone belongs on stdout
    answer_to, sys.stdout = sys.stdout, sys.stderr
    try:
        answer = COMMANDS[name](*rest)
    except (VldistillError, RuntimeError, RuleException, WorkflowError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    json.dump(answer, answer_to)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
