"""Pages as HTML files: one file each, with nothing that is fetched and no script to read them.

Everything that comes from outside is escaped by the template engine, and characters that cannot be
shown, such as direction marks, are replaced. A policy in the file forbids all that is not in it.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import asdict, replace
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from registry.names import REPORT_PAGE_LIMIT
from registry.untrusted.text import printable
from reports.page import Page

TEMPLATES = Path(__file__).parent / "templates"
#: The longest page, in bytes.
LIMIT = REPORT_PAGE_LIMIT
_DIGEST = r'<meta name="%s-digest" content="([0-9a-f]{64})">'
_CONTENT = re.compile(_DIGEST % "content", re.ASCII)
_EVIDENCE = re.compile(_DIGEST % "evidence", re.ASCII)
#: Fields of a page that say what was measured, and against what.
_MEASURED = frozenset(
    {"verdict", "change", "unmeasured", "figures", "curve", "worst", "wrong_views", "unknown"}
    | {"confusions", "confused_pairs", "map", "training", "remarks", "lint", "lint_word"}
)
#: Characters of a file in which that stands.
_HEAD = 2000


class PageTooLargeError(ValueError):
    """A page beyond :data:`LIMIT`; its parts are bounded, so this is a mistake of the product."""


def version_page(page: Page) -> str:
    """The approver's page.

    Raises:
        PageTooLargeError: It is longer than :data:`LIMIT`.
    """
    digests = {"content": content_digest(page), "evidence": evidence_digest(page)}
    return render("version.html", page=page, digests=digests)


def registry_page(group: str, entries: Sequence[Any], more: int) -> str:
    """The registry's index; its only script searches, and without it everything is there."""
    script = _text("search.js")
    return render(
        "registry.html", _source(script), group=group, entries=entries, more=more,
        script=Markup(script),  # noqa: S704
    )  # fmt: skip


def content_digest(page: Page) -> str:
    """SHA-256 of everything on a page but the time at which it was made and the number of devices,
    which changes every hour: the same evidence and the same state give the same digest. The page's
    file says it, too."""
    document = json.dumps(asdict(replace(page, made="", devices="")), sort_keys=True)
    return hashlib.sha256(document.encode("utf-8", "surrogatepass")).hexdigest()


def evidence_digest(page: Page) -> str:
    """SHA-256 of what was measured and what it is compared with, and of nothing else on a page.

    A training job does not know its version's name, and settings of the deployment may change: the
    page that a job made and one that is made later agree in this as long as the evidence does.
    """
    document = json.dumps({k: v for k, v in asdict(page).items() if k in _MEASURED}, sort_keys=True)
    return hashlib.sha256(document.encode("utf-8", "surrogatepass")).hexdigest()


def evidence_digest_of(text: str) -> str | None:
    """The digest of evidence that a page's file says; None for a file that is no page of ours."""
    found = _EVIDENCE.search(text[:_HEAD])
    return found[1] if found else None


def content_digest_of(text: str) -> str | None:
    """The digest that a page's file says; None for a file that is no page of ours."""
    found = _CONTENT.search(text[:_HEAD])
    return found[1] if found else None


def sha256(text: str) -> str:
    """The digest of a page's file, in hexadecimal."""
    return hashlib.sha256(text.encode("utf-8")).hexdigest()


def render(template: str, allowed: str = "", **values: Any) -> str:
    """A template's HTML with the style and the policy.

    Args:
        template: Its file name.
        allowed: The policy's word for the only script; empty for none.
        values: What the template shows.

    Raises:
        PageTooLargeError: It is longer than :data:`LIMIT`.
    """
    style = _text("style.css")
    policy = (
        f"default-src 'none'; img-src data:; style-src '{_source(style)}'; "
        "base-uri 'none'; form-action 'none'"
    )
    policy += f"; script-src '{allowed}'" if allowed else ""
    made = _environment().get_template(template)
    text = made.render(style=Markup(style), policy=policy, **values)  # noqa: S704
    size = len(text.encode("utf-8"))
    if size > LIMIT:
        raise PageTooLargeError(f"{template}: {size:,} bytes; a page may have {LIMIT:,}")
    return text


@cache
def _environment() -> Environment:
    return Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_shown,
    )


def _shown(value: Any) -> Any:
    """What an expression gives, with what cannot be shown replaced; the style is ours."""
    plain = isinstance(value, str) and not isinstance(value, Markup)
    return printable(value) if plain else value


@cache
def _text(name: str) -> str:
    return (TEMPLATES / name).read_text(encoding="utf-8")


def _source(text: str) -> str:
    """The policy's word for an inline text that is allowed."""
    digest = hashlib.sha256(text.encode("utf-8")).digest()
    return f"sha256-{base64.b64encode(digest).decode()}"
