"""The page in a real browser: no console error, no request, pictures decode, nothing sticks out."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.report.browser import EXECUTABLE, Browser
from vldistill import layout

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(EXECUTABLE is None, reason="Chromium is not installed: apt-get install chromium"),
]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with Browser() as running:
        yield running


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("width", [1440, 1024, 768, 390])
def test_page_opens_cleanly(browser: Browser, made: Path, width: int, dark: bool) -> None:
    browser.events.clear()
    page = layout.report(made) / "index.html"
    browser.open(page, width=width, dark=dark)
    assert browser.of("Runtime.exceptionThrown") == []
    assert browser.of("Runtime.consoleAPICalled") == []
    assert [entry["entry"]["text"] for entry in browser.of("Log.entryAdded")] == []
    requests = {event["request"]["url"] for event in browser.of("Network.requestWillBeSent")}
    assert {url for url in requests if not url.startswith("data:")} == {page.resolve().as_uri()}
    assert browser.evaluate("document.images.length") > 10
    browser.evaluate("Promise.all([...document.images].map(image => image.decode()))")
    assert browser.evaluate("[...document.images].every(image => image.naturalWidth > 0)") is True
    assert browser.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth") is True
    assert browser.evaluate("document.compatMode") == "CSS1Compat"


def test_text_is_legible_in_both_themes(browser: Browser, made: Path) -> None:
    """Contrast of body text against its ground by WCAG: at least 7 for text, 4.5 for soft text."""
    script = """(() => {
      const context = document.createElement('canvas').getContext('2d', {willReadFrequently: true});
      const rgb = colour => {
        context.fillStyle = colour;
        context.fillRect(0, 0, 1, 1);
        return [...context.getImageData(0, 0, 1, 1).data].slice(0, 3);
      };
      const linear = v => v <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4;
      const light = name => rgb(getComputedStyle(document.documentElement).getPropertyValue(name))
        .reduce((sum, v, i) => sum + linear(v / 255) * [.2126, .7152, .0722][i], 0);
      const ratio = (a, b) => (Math.max(light(a), light(b)) + .05) / (Math.min(light(a), light(b)) + .05);
      return [['--ink', '--card'], ['--soft', '--card'], ['--good', '--good-soft'], ['--bad', '--bad-soft'],
              ['--warn', '--warn-soft'], ['--faint', '--card']].map(([a, b]) => ratio(a, b));
    })()"""
    for dark in (False, True):
        browser.open(layout.report(made) / "index.html", dark=dark)
        ink, soft, good, bad, warn, faint = browser.evaluate(script)
        assert ink > 7
        assert min(soft, good, bad, warn) > 4.5, (dark, soft, good, bad, warn)
        assert faint > 3


def test_decimal_points_of_a_column_stand_under_one_another(browser: Browser, made: Path) -> None:
    browser.open(layout.report(made) / "index.html")
    script = """(() => [...document.querySelectorAll('#table-ablation tbody tr')].map(tr =>
      tr.querySelectorAll('td.num')[0].querySelector('.n').getBoundingClientRect().right))()"""
    ends = browser.evaluate(script)
    assert len(ends) > 5
    assert max(ends) - min(ends) < 2.5  # bold digits are a little wider


def test_the_navigation_stays_in_sight(browser: Browser, made: Path) -> None:
    browser.open(layout.report(made) / "index.html")
    top = "(() => { window.scrollTo(0, 5000); return document.querySelector('nav').getBoundingClientRect().top; })()"
    assert browser.evaluate(top) == 0
