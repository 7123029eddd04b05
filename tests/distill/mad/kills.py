"""As a script: kills a cell before each of its renames in turn, lets another process finish it, says what differs.

For each kill a line of JSON: ``left``, the temporary names that the killed process left, without its number, and
``differences`` from the cell that nobody killed.
"""

from __future__ import annotations

import itertools
import json
import os
import shutil
import signal
import sys
from pathlib import Path
from typing import Any

from tests.contents import contents, differences
from tests.distill.mad.project import cell
from vldistill import layout
from vldistill.distill.mad.cell import run_mad_cell
from vldistill.distill.mad.key import look_up
from vldistill.files import writer_of
from vldistill.params import Params, load


def finished(params: Params, root: Path, last_rename: int | None = None) -> bool:
    """Train the cell in a process of its own, which is killed before rename number ``last_rename``."""
    child = os.fork()
    if not child:
        _kill_before(last_rename)
        run_mad_cell(params, root, cell())
        os._exit(0)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert status in (0, -signal.SIGKILL), f"the child ended with {status}"
    return status == 0


def _kill_before(last_rename: int | None) -> None:
    replace, numbers = os.replace, itertools.count(1)

    def counted(*args: Any) -> None:
        if next(numbers) == last_rename:
            os.kill(os.getpid(), signal.SIGKILL)
        replace(*args)

    os.replace = counted  # type: ignore[assignment]


def main(root: Path) -> None:
    params = load(root / "params.yaml")
    own, scratch = look_up(params, root, cell()).path, layout.scratch_root(root)
    assert finished(params, root)
    straight = contents(own)
    for number in itertools.count(1):
        shutil.rmtree(scratch)
        if finished(params, root, number):
            return
        left = [path.name.rsplit(".", 2)[0] for path in scratch.rglob(".*") if writer_of(path) is not None]
        assert finished(params, root)
        print(json.dumps({"left": left, "differences": differences(contents(own), straight)}), flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
