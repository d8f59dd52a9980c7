"""The page in a real browser: whole, readable at every width, and asking for nothing."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from reports.assembly import PageContext, assemble
from reports.drawings.embedding_map import embedding_map
from reports.evidence import Confusion
from reports.page import Ancestor
from reports.registry_index import WAITING, Entry, index_page
from reports.release_page import release_page
from reports.rendering import version_page
from tests.browser import Opened, needs_chromium, running
from tests.reports.examples import compiled, evidence, live, subject

pytestmark = [pytest.mark.processes, needs_chromium]


#: The accessibility checker, from npm (package.json).
AXE = Path(__file__).resolve().parents[2] / "node_modules/axe-core/axe.min.js"


@pytest.fixture(scope="module", params=["version", "release", "index"])
def opened(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Opened]:
    folder = tmp_path_factory.mktemp("browser")
    file = folder / "page.html"
    file.write_text(PAGES[request.param]())
    with running(folder / "profile") as browser:
        yield browser.open(file)


def version() -> str:
    line = (Ancestor("teacher-dinov3-vitl16-phase1-v1", "approved"),)
    context = PageContext(live=live(), parent=live(), line=line, console="https://example.com/a")
    where = embedding_map(np.eye(9, dtype=np.float32), list("abcdefghi"), [("a", "b")])
    kept = evidence(map=where, confusions=(Confusion("a", "b", 2, 4),))
    the = subject(evidence=kept, message="For the new set.")
    return version_page(assemble(the, context, "Made for a test."))


def release() -> str:
    return release_page(compiled(), "Made for a test.")


def index() -> str:
    rows = [
        Entry(f"student-a-stage2-v{number}", status, "2026-01-02 03:04", "top-1 0.9", page="a.html")
        for number, status in enumerate((WAITING, "live", "rejected"), start=1)
    ]
    return index_page("a-group", rows)


PAGES = {"version": version, "release": release, "index": index}


@pytest.mark.parametrize("width", [360, 768, 1280])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_page_is_no_wider_than_the_window(opened: Opened, width: int, scheme: str) -> None:
    opened.show(width, scheme)
    assert opened.evaluate("document.documentElement.scrollWidth") <= width
    background = opened.evaluate("getComputedStyle(document.body).backgroundColor")
    assert background == ("rgb(255, 255, 255)" if scheme == "light" else "rgb(20, 23, 27)")


def test_no_table_scrolls_sideways_on_a_phone(opened: Opened) -> None:
    opened.show(360)
    wider = (
        "[...document.querySelectorAll('.scroll')].filter("
        "each => each.querySelector('table') && each.scrollWidth > each.clientWidth)"
        ".map(each => each.getAttribute('aria-label'))"
    )
    assert opened.evaluate(wider) == []


def test_page_asks_for_nothing_and_shows_every_picture(opened: Opened) -> None:
    asked = [address for address in opened.requests if not address.startswith("data:image/")]
    assert len(asked) == 1 and asked[0].startswith("file://")
    assert opened.problems == []
    sizes = opened.evaluate("[...document.images].map(each => each.naturalWidth)")
    assert all(size == 96 for size in sizes)


@pytest.mark.parametrize("width", [360, 1280])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_accessibility_checker_finds_nothing(opened: Opened, width: int, scheme: str) -> None:
    assert AXE.is_file(), "axe-core is not installed; make setup installs it"
    opened.show(width, scheme)
    opened.evaluate(f"{AXE.read_text(encoding='utf-8')};0")
    found = opened.evaluate(
        "axe.run().then(all => all.violations.map(each => "
        "`${each.impact} ${each.id}: ${each.nodes.map(node => node.html).join(' ')}`))"
    )
    assert found == []


#: WCAG's contrast of each text that is shown with what lies behind it, 4.5 at least.
CONTRAST = """
(() => {
  const parts = text => text.match(/[\\d.]+/g).map(Number);
  const light = ([r, g, b]) => [r, g, b].map(v => v / 255)
    .map(v => v <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4)
    .reduce((sum, v, at) => sum + v * [.2126, .7152, .0722][at], 0);
  const behind = each => {
    for (let at = each; at; at = at.parentElement) {
      const colour = parts(getComputedStyle(at).backgroundColor);
      if (colour.length === 3 || colour[3] > 0) return colour;
    }
    return [255, 255, 255];
  };
  const low = [];
  for (const each of document.querySelectorAll("body *")) {
    const own = [...each.childNodes].some(node => node.nodeType === 3 && node.data.trim());
    if (!own || each.closest(".skip, title, desc")) continue;
    const style = getComputedStyle(each);
    const [one, two] = [light(parts(each.closest("svg") ? style.fill : style.color)),
                        light(behind(each))].sort((a, b) => b - a);
    if ((one + .05) / (two + .05) < 4.5) low.push(each.outerHTML.slice(0, 80));
  }
  return low;
})()
"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_has_enough_contrast(opened: Opened, scheme: str) -> None:
    opened.show(1280, scheme)
    assert opened.evaluate(CONTRAST) == []


def test_everything_that_scrolls_can_be_reached_by_keyboard(opened: Opened) -> None:
    opened.show(360)
    hidden = opened.evaluate(
        "[...document.querySelectorAll('body *')].filter(each => each.scrollWidth > "
        "each.clientWidth + 1 && getComputedStyle(each).overflowX === 'auto' && "
        "each.tabIndex < 0).length"
    )
    assert hidden == 0


@pytest.mark.parametrize("width", [360, 1280])
def test_search_leaves_the_versions_with_all_words(width: int, tmp_path: Path) -> None:
    file = tmp_path / "index.html"
    file.write_text(index())
    shown = (
        "(words.value = 'LIVE stage2', words.dispatchEvent(new Event('input')),"
        "[...document.getElementById('rows').rows].filter(each => each.offsetHeight)"
        ".map(each => each.cells[0].textContent))"
    )
    with running(tmp_path / "profile") as browser:
        page = browser.open(file)
        page.show(width)
        assert page.evaluate(shown) == ["student-a-stage2-v2"]


def test_page_prints_on_a4(opened: Opened) -> None:
    body = opened.pdf()
    boxes = {
        tuple(map(float, each.split())) for each in re.findall(rb"/MediaBox \[([^\]]+)\]", body)
    }
    assert len(boxes) == 1
    left, top, width, height = boxes.pop()
    assert (left, top) == (0, 0)
    assert width == pytest.approx(595, abs=1) and height == pytest.approx(842, abs=1)
    assert max(int(each) for each in re.findall(rb"/Count (\d+)", body)) <= 2
