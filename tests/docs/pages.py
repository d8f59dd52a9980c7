"""Reads the Markdown pages of the checkout: links, anchors, code spans and table rows."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from markdown_it import MarkdownIt
from markdown_it.token import Token

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted(
    page
    for pattern in ("*.md", "docs/**/*.md")
    for page in ROOT.glob(pattern)
    if page.name != "LICENSE.md"
)


@dataclass(frozen=True)
class Page:
    """One Markdown page.

    Attributes:
        links: Targets of links and images, as written.
        anchors: Names of the headings, as GitHub makes them.
        codes: Code spans; code blocks are not among them.
        rows: Rows of tables, without their heads: the title of the section (first or second
            level), and the code spans of each cell.
    """

    links: tuple[str, ...]
    anchors: frozenset[str]
    codes: tuple[str, ...]
    rows: tuple[tuple[str, tuple[tuple[str, ...], ...]], ...]


def read(text: str) -> Page:
    """Reads a page.

    Args:
        text: Markdown as GitHub renders it.
    """
    tokens = MarkdownIt("gfm-like", {"linkify": False}).parse(text)
    links: list[str] = []
    codes: list[str] = []
    for token in _inline(tokens):
        for child in token.children or []:
            if child.type == "code_inline":
                codes.append(child.content)
            target = child.attrGet("href") or child.attrGet("src")
            if target:
                links.append(str(target))
    titles = [
        tokens[place + 1].content
        for place, token in enumerate(tokens)
        if token.type == "heading_open"
    ]
    return Page(tuple(links), frozenset(_anchors(titles)), tuple(codes), tuple(_rows(tokens)))


def _inline(tokens: list[Token]) -> Iterator[Token]:
    return (token for token in tokens if token.type == "inline")


def _anchors(titles: list[str]) -> Iterator[str]:
    """GitHub's anchors: lower case, no punctuation, hyphens for spaces, a number when repeated."""
    seen: dict[str, int] = {}
    for title in titles:
        plain = re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-")
        times = seen.get(plain, 0)
        seen[plain] = times + 1
        yield f"{plain}-{times}" if times else plain


def _rows(tokens: list[Token]) -> Iterator[tuple[str, tuple[tuple[str, ...], ...]]]:
    section, in_body = "", False
    cells: list[tuple[str, ...]] = []
    for place, token in enumerate(tokens):
        if token.type == "heading_open" and token.tag in ("h1", "h2"):
            section = tokens[place + 1].content
        elif token.type in ("tbody_open", "tbody_close"):
            in_body = token.type == "tbody_open"
        elif in_body and token.type == "tr_open":
            cells = []
        elif in_body and token.type == "td_open":
            spans = tokens[place + 1].children or []
            cells.append(tuple(span.content for span in spans if span.type == "code_inline"))
        elif in_body and token.type == "tr_close":
            yield section, tuple(cells)
