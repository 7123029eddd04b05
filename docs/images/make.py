"""Take the README's pictures from a finished report: python docs/images/make.py [results/report/index.html].

Writes report.png (the head of the page), gallery.png (the first row of its gallery) and mad.png (the head of its part
on MAD, with the first two charts) beside this file. Needs Chromium.
"""

from __future__ import annotations

import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
WIDTH = 1240
MARGIN = 12

sys.path.insert(0, str(ROOT))
from tests.report.browser import Browser  # noqa: E402


def main(page: Path) -> None:
    """Write both pictures of ``page``."""
    with Browser() as browser:
        browser.open(page, width=WIDTH)
        end = browser.evaluate("document.querySelector('#headline figure').getBoundingClientRect().bottom + scrollY")
        browser.screenshot(HERE / "report.png", height=round(end) + MARGIN)
        _take(browser, "gallery.png", "document.querySelector('.gallery .item')", "document.querySelector('.gallery')")
        part = "document.querySelector('#mad')"
        _take(browser, "mad.png", part, part, end="document.querySelectorAll('#mad figure')[1]")


def _take(browser: Browser, name: str, tall: str, wide: str, *, end: str = "") -> None:
    """A picture from the top of the element ``tall`` to its bottom, or to that of ``end``, as wide as ``wide``."""
    top = browser.evaluate(f"{tall}.getBoundingClientRect().top + scrollY")
    bottom = browser.evaluate(f"{end or tall}.getBoundingClientRect().bottom + scrollY")
    left = browser.evaluate(f"{wide}.getBoundingClientRect().left")
    width = browser.evaluate(f"{wide}.getBoundingClientRect().width")
    browser.screenshot(
        HERE / name,
        top=round(top) - MARGIN,
        height=round(bottom - top) + 2 * MARGIN,
        left=round(left) - MARGIN,
        width=round(width) + 2 * MARGIN,
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "results" / "report" / "index.html")
