"""Stage `split`: id lists of what is tuned on (dev) and what is printed (test)."""

from vldistill.split.stage import NAMES, TASKS, run

__all__ = ["NAMES", "TASKS", "run"]
