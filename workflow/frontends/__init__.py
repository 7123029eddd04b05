"""The two front ends, Snakemake and DVC: one graph, and one opinion on what is done.

The rules are the graph; dvc.yaml wraps them in coarse stages. The Snakefile calls `agree` when it is read and `record`
when a run ends; `python -m frontends` serves the command line. The library itself imports neither tool.
"""

from frontends.keys import value_at
from frontends.sync import agree, record

__all__ = ["agree", "record", "value_at"]
