"""The report stage: one page that opens from disk, with its tables, plots and headline numbers as files beside it."""

from __future__ import annotations

from pathlib import Path

from vldistill.params import Params


def run(params: Params, root: str | Path) -> Path:
    """Write results/report/ from what the other stages left in results/.

    Args:
        params: the experiment.
        root: the project's root.

    Returns:
        The page, results/report/index.html. Beside it: metrics.json, tables/*.csv and *.tex, plots/*.json. The folder
        is replaced as a whole; an earlier report stays untouched if anything fails.

    Raises:
        InputError: scores, models, records or images are missing or malformed; names file, record and field.
    """
    from vldistill.report.write import write

    return write(params, Path(root))
