"""The acceptance data of the caption metrics and where SPICE's jars are."""

from __future__ import annotations

import gzip
import os
import shutil
from pathlib import Path

import pytest

FIXTURES = Path(__file__).parents[2] / "fixtures"
RESULTS = FIXTURES / "captions_val2014_fakecap_results.json"


@pytest.fixture(scope="session")
def fakecap(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Files of references and results: 1,000 COCO images, 5,005 references (kept compressed)."""
    references = tmp_path_factory.mktemp("fakecap") / "references.json"
    references.write_bytes(gzip.decompress((FIXTURES / "captions_val2014_fakecap_refs.json.gz").read_bytes()))
    return references, RESULTS


@pytest.fixture(scope="session")
def java() -> None:
    """Skips a test on a machine without Java."""
    if shutil.which("java") is None:
        pytest.skip("Java is not installed (see `vldistill doctor`)")


@pytest.fixture(scope="session")
def corenlp(java: None) -> Path:
    """Folder of SPICE's jars."""
    folder = os.environ.get("VLDISTILL_CORENLP")
    if not folder:
        pytest.skip("VLDISTILL_CORENLP is not set: it leads to SPICE's jars (see `vldistill score fetch-spice`)")
    return Path(folder)
