"""As a script: stops and kills the prediction of a batch of VCR, goes on in another process, says what differs.

The batch is the one that writes the leaderboard's file. For each kill before a rename, and first for a SIGTERM before
the first rename, a line of JSON: ``code`` of the process, ``done`` the number of cells that it finished, ``left`` the
temporary names that it left, without its number, and ``differences`` from the batch that nobody stopped.
"""

from __future__ import annotations

import importlib
import itertools
import json
import shutil
import signal
import sys
from functools import partial
from pathlib import Path

from tests.contents import contents, differences
from tests.kills import exit_code, left_by_killed
from vldistill import evaluate, layout
from vldistill.cells import mad_batches
from vldistill.evaluate.mad import jobs
from vldistill.evaluate.mad.batch import receipts
from vldistill.params import load

TASK = "vcr"


def main(root: Path) -> None:
    params = load(root / "params.yaml")
    # imported once, not by every child
    importlib.import_module("vldistill.evaluate.mad.predict")
    named = params.evaluate.mad.leaderboard
    (batch,) = (at for at, cells in enumerate(mad_batches(params, TASK)) if named in [cell.name for cell in cells])
    work = partial(evaluate.mad_predict_batch, params, root, TASK, batch)
    receipt, scratch = layout.receipt(root, receipts(TASK), batch), layout.scratch_root(root)

    def written() -> dict[str, bytes]:
        runs = [path for path in (scratch / jobs.STAGE).iterdir() if path.is_dir()]
        found = {f"{run.name}/{name}": data for run in runs for name, data in contents(run).items()}
        return {**found, receipt.name: receipt.read_bytes()}

    assert exit_code(work) == 0
    straight = written()
    kills = ((number, signal.SIGKILL) for number in itertools.count(1))
    for number, sent in itertools.chain([(1, signal.SIGTERM)], kills):
        shutil.rmtree(scratch)
        receipt.unlink()
        code = exit_code(work, number, sent)
        if code == 0:
            return
        done = len(list(scratch.glob(f"{jobs.STAGE}/*/result.json")))
        assert not receipt.exists()
        left = left_by_killed(root)
        assert exit_code(work) == 0
        line = {"code": code, "done": done, "left": left, "differences": differences(written(), straight)}
        print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
