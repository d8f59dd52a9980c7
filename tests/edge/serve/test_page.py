"""The page in a real browser: a telephone's width, keyboard, screen reader, light and dark."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from edge.serve.access import access_for
from edge.serve.answers import answer_photograph
from edge.serve.server import PageServer
from tests.edge.frames.scenes import PixelRecogniser, scene
from tests.edge.serve.browser import ENTER, TAB, Browser, needs_chromium

pytestmark = pytest.mark.processes

WIDTH, HEIGHT = 360, 740


class Guarded:
    """Recognises with a few drawn cards."""

    def __init__(self) -> None:
        self._loaded = PixelRecogniser(range(8))

    def refresh(self) -> bool:
        return False

    def guarded(self, work: Callable[[Any], Any]) -> Any:
        return work(self._loaded)


def serve(token: str | None) -> PageServer:
    made = PageServer(
        "127.0.0.1",
        0,
        lambda port: access_for("127.0.0.1", port, (), token),
        answer=partial(answer_photograph, Guarded()),
        status=lambda: {"release": "student-v1", "freshness": "Its statement: valid for 6 days."},
        log=lambda _: None,
    )
    threading.Thread(target=made.serve_forever, args=(0.02,), daemon=True).start()
    return made


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    needs_chromium()
    server = serve(None)
    yield f"http://127.0.0.1:{server.server_address[1]}/"
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="module")
def window(tmp_path_factory: pytest.TempPathFactory, address: str) -> Iterator[Browser]:
    browser = Browser(tmp_path_factory.mktemp("chromium"), WIDTH, HEIGHT)
    yield browser
    browser.close()


@pytest.fixture
def page(window: Browser, address: str) -> Browser:
    window.open(address)
    window.wait(lambda: "student-v1" in window.text("#release"), "the release")
    return window


@pytest.fixture(scope="module")
def photographs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("photographs")
    shown = {
        "known": scene("plain", 50, (2,)).frame,
        "unknown": scene("plain", 50, (40,)).frame,
        "empty": scene("bare table", 50).frame,
        "sideways": np.ascontiguousarray(np.rot90(scene("plain", 50, (2,)).frame)),
    }
    files = {}
    for name, frame in shown.items():
        files[name] = folder / f"{name}.jpg"
        exif = Image.Exif()
        if name == "sideways":
            exif[0x0112] = 6  # shown turned back
        Image.fromarray(frame).save(files[name], quality=92, exif=exif)
    files["broken"] = folder / "broken.jpg"
    files["broken"].write_bytes(b"\xff\xd8\xff\xe0 no image")
    return files


def answered(page: Browser, photograph: Path) -> str:
    page.choose_file("#file", photograph)
    state = "return document.getElementById('state').textContent"
    waiting = ("No photograph yet.", "Looking for the card …")
    return str(page.wait(lambda: (text := page.run(state)) not in waiting and text, "the answer"))


def no_wider_than_the_window(page: Browser) -> bool:
    return bool(page.run("return document.documentElement.scrollWidth <= window.innerWidth"))


def test_known_card_is_shown_with_picture_similarity_and_what_it_was_compared_with(
    page: Browser, photographs: dict[str, Path]
) -> None:
    assert answered(page, photographs["known"]) == "Found: card-2. Compared with 8 cards."
    assert page.text("article h3") == "card-2" and page.text(".verdict") == "Known card"
    assert "accepted from 0.800" in page.text("article")
    assert page.run("return document.querySelector('article img').naturalWidth") > 20
    assert page.run("return document.querySelectorAll('tbody tr').length") == 5
    assert no_wider_than_the_window(page)
    # Who cannot see the page is told, and lands on the answer.
    assert page.run("return document.activeElement.id") == "answer"


def test_unknown_card_is_said_to_be_unknown(page: Browser, photographs: dict[str, Path]) -> None:
    assert "One card is unknown." in answered(page, photographs["unknown"])
    assert page.text("article h3") == "Unknown card"


def test_empty_table_and_broken_file_are_said_to_be_such(
    page: Browser, photographs: dict[str, Path]
) -> None:
    assert answered(page, photographs["empty"]).startswith("No card was found")
    page.run("document.getElementById('state').textContent = 'No photograph yet.'")
    assert "broken image" in answered(page, photographs["broken"])


def test_orientation_that_a_telephone_wrote_is_followed(
    page: Browser, photographs: dict[str, Path]
) -> None:
    assert answered(page, photographs["sideways"]).startswith("Found: card-2.")


def test_nothing_is_requested_of_another_server_and_nothing_breaks_the_policy(
    page: Browser, address: str, photographs: dict[str, Path]
) -> None:
    page.log("browser")
    page.requests()
    page.open(address)
    answered(page, photographs["known"])
    asked = page.requests()
    assert any(each.endswith("/recognise") for each in asked)
    assert all(each.startswith((address, "data:", "blob:")) for each in asked)
    assert page.log("browser") == []


def test_everything_is_reached_and_used_by_keyboard(page: Browser) -> None:
    focused = "return document.activeElement.id"
    page.press(TAB)
    assert page.run(focused) == "start"
    page.press(TAB)
    assert page.run(focused) == "file"
    # The input itself cannot be seen; its label shows the focus.
    ring = "return getComputedStyle(document.querySelector('.file')).outlineStyle"
    assert page.run(ring) == "solid"
    page.run("document.getElementById('start').focus()")
    page.press(ENTER)
    page.wait(lambda: page.run(focused) == "shoot", "the camera")
    assert no_wider_than_the_window(page)
    page.press(ENTER)
    state = "return document.getElementById('state').textContent"
    page.wait(lambda: "found" in page.run(state).lower(), "an answer of the live camera")
    page.run("document.getElementById('stop').focus()")
    page.press(ENTER)
    assert page.run(focused) == "start"


def test_screen_reader_is_told_names_and_roles(page: Browser, photographs: dict[str, Path]) -> None:
    answered(page, photographs["known"])
    nodes = page.chromium("Accessibility.getFullAXTree")["nodes"]
    told = {
        (node["role"]["value"], node.get("name", {}).get("value", ""))
        for node in nodes
        if not node["ignored"]
    }
    assert ("heading", "Which card is it?") in told
    assert ("heading", "Answer") in told and ("heading", "card-2") in told
    assert ("button", "Start the camera") in told
    assert ("image", "The card as the device saw it, straightened") in told
    assert ("table", "Nearest cards") in told and ("columnheader", "Similarity") in told
    assert any(role == "status" for role, _ in told)
    assert any(name == "Take or choose a photograph" for _, name in told)


_CONTRAST = """
const light = (text) => {
  const parts = text.match(/[\\d.]+/g).map((v) => v / 255)
    .map((v) => v <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4);
  return .2126 * parts[0] + .7152 * parts[1] + .0722 * parts[2];
};
const under = (each) => {
  for (; each; each = each.parentElement) {
    const colour = getComputedStyle(each).backgroundColor;
    if (!/, 0\\)$/.test(colour)) return colour;
  }
  return "rgb(255, 255, 255)";
};
return [...document.querySelectorAll("h1, h2, h3, p, button, label, td, th, caption, #state")]
  .filter((each) => each.offsetParent && each.textContent.trim())
  .map((each) => {
    const [a, b] = [light(getComputedStyle(each).color), light(under(each))];
    return [(Math.max(a, b) + .05) / (Math.min(a, b) + .05), each.textContent.trim()];
  });
"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("photograph", ["known", "unknown"])
def test_texts_have_the_contrast_of_wcag_in_light_and_dark(
    page: Browser, photographs: dict[str, Path], scheme: str, photograph: str, tmp_path: Path
) -> None:
    feature = {"name": "prefers-color-scheme", "value": scheme}
    page.chromium("Emulation.setEmulatedMedia", features=[feature])
    answered(page, photographs[photograph])
    found = page.run(_CONTRAST)
    assert len(found) > 12
    low = [each for each in found if each[0] < 4.5]
    assert not low
    page.screenshot(tmp_path / f"{scheme}.png")
    assert Image.open(tmp_path / f"{scheme}.png").size[0] == 2 * WIDTH
    page.chromium("Emulation.setEmulatedMedia", features=[])


def test_buttons_are_large_enough_for_a_finger(page: Browser) -> None:
    sizes = page.run(
        "return [...document.querySelectorAll('button, label')].filter((b) => b.offsetParent)"
        ".map((b) => [b.offsetWidth, b.offsetHeight])"
    )
    assert len(sizes) >= 2 and all(wide >= 44 and high >= 44 for wide, high in sizes)


def test_token_is_taken_from_the_address_and_leaves_it(
    window: Browser, photographs: dict[str, Path]
) -> None:
    server = serve("a-token-of-the-shop")
    address = f"http://127.0.0.1:{server.server_address[1]}/"
    try:
        window.open(address)
        window.wait(lambda: "token is missing" in window.text("#release"), "the refusal")
        window.open("about:blank")
        window.open(f"{address}#token=a-token-of-the-shop")
        window.wait(lambda: "student-v1" in window.text("#release"), "the release")
        assert window.run("return location.href") == address
        assert answered(window, photographs["known"]).startswith("Found: card-2.")
    finally:
        server.shutdown()
        server.server_close()
