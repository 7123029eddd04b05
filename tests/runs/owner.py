"""Claims a run folder and works in it: append a line, sleep (or wait for a line), finish.

Run by the tests as a process of its own.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

from vldistill.runs import Patience, claim

if __name__ == "__main__":
    root, name, seconds = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
    with claim("distill", {"x": 1}, root, patience=Patience(heartbeat=0.1, stale=1.0, poll=0.02)) as run:
        if run.done:
            print(f"adopted {run.result['by']}", flush=True)
        else:
            print("owns", flush=True)
            with open(run.path / "work.log", "a") as log:
                log.write(f"begin {name}\n")
                log.flush()
                if seconds == "told":
                    sys.stdin.readline()
                else:
                    time.sleep(float(seconds))
                log.write(f"end {name}\n")
            run.finish({"by": name})
