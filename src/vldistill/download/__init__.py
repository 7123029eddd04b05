"""Stage `download`: official files, fetched or rendered, become records and images."""

from vldistill.download.stage import SETS, official, run

__all__ = ["SETS", "official", "run"]
