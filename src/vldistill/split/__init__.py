"""Stage `split`: id lists of what is trained on, tuned on (dev) and printed (test), low-shot and shifted ones too."""

from vldistill.split.mad import MAD_TASKS, list_names, low_shot_name, mad_splits, rule_name
from vldistill.split.stage import NAMES, TASKS, run

__all__ = ["MAD_TASKS", "NAMES", "TASKS", "list_names", "low_shot_name", "mad_splits", "rule_name", "run"]
