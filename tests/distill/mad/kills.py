"""As a script: kills a cell before each of its renames in turn, lets another process finish it, says what differs.

For each kill a line of JSON: ``left``, the temporary names that the killed process left, without its number, and
``differences`` from the cell that nobody killed.
"""

from __future__ import annotations

import itertools
import json
import shutil
import signal
import sys
from functools import partial
from pathlib import Path

from tests.contents import contents, differences
from tests.distill.mad.project import cell
from tests.kills import exit_code, left_by_killed
from vldistill import layout
from vldistill.distill.mad.cell import run_mad_cell
from vldistill.distill.mad.key import look_up
from vldistill.params import load


def main(root: Path) -> None:
    params = load(root / "params.yaml")
    work, scratch = partial(run_mad_cell, params, root, cell()), layout.scratch_root(root)
    own = look_up(params, root, cell()).path
    assert exit_code(work) == 0
    straight = contents(own)
    for number in itertools.count(1):
        shutil.rmtree(scratch)
        code = exit_code(work, number)
        if code == 0:
            return
        assert code == -signal.SIGKILL
        left = left_by_killed(scratch)
        assert exit_code(work) == 0
        print(json.dumps({"left": left, "differences": differences(contents(own), straight)}), flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
