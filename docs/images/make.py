"""Take the README's pictures from a finished report: python docs/images/make.py [results/report/index.html].

Writes report.png (the head of the page) and gallery.png (the first row of its gallery) beside this file.
Needs Chromium.
"""

from __future__ import annotations

import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
WIDTH = 1240


def main(page: Path) -> None:
    """Write both pictures of ``page``."""
    sys.path.insert(0, str(ROOT))
    from tests.report.browser import Browser

    with Browser() as browser:
        browser.open(page, width=WIDTH)
        end = browser.evaluate("document.querySelector('#headline figure').getBoundingClientRect().bottom + scrollY")
        browser.screenshot(HERE / "report.png", height=round(end) + 12)
        row = "document.querySelector('.gallery .item').getBoundingClientRect()"
        top = browser.evaluate(f"{row}.top + scrollY")
        left = browser.evaluate(f"{row}.left")
        height = browser.evaluate(f"{row}.height")
        width = browser.evaluate("document.querySelector('.gallery').getBoundingClientRect().width")
        browser.screenshot(
            HERE / "gallery.png",
            top=round(top) - 12,
            height=round(height) + 24,
            left=round(left) - 12,
            width=round(width) + 24,
        )


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "results" / "report" / "index.html")
