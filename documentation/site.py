"""Lays out what the site is built from: ``python -m documentation.site FOLDER``.

The pages keep their places of the checkout, so that each link leads to the same file on the site as
it does in the checkout. A linked file that is no page is copied beside them.
"""

from __future__ import annotations

import re
import shutil
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from documentation import commands, registry, settings

ROOT = Path(__file__).resolve().parents[1]
#: The generated pages, by their place below ``docs/``.
GENERATED: Mapping[str, Callable[[], str]] = {
    "reference/commands.md": commands.page,
    "reference/settings.md": settings.page,
    "reference/metadata.md": registry.metadata_page,
    "reference/metrics.md": registry.metrics_page,
    "reference/errors.md": registry.errors_page,
}
#: Where the pages are that people write.
PAGES = ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "docs/**/*.md")
#: The site's search runs in a worker, which browsers refuse to pages that are opened as files
#: without it. MIT; the theme would load it from elsewhere.
_SEARCH_IN_FILES = (ROOT / "node_modules/iframe-worker/shim/index.js", "docs/iframe-worker.js")
_LINK = re.compile(r"\]\((?![a-z]+:|#)([^)#\s]+)(#[^)\s]*)?\)")


def lay_out(folder: Path) -> None:
    """Writes all pages, and the files that they link to.

    Args:
        folder: What it has is replaced.
    """
    shutil.rmtree(folder, ignore_errors=True)
    for pattern in PAGES:
        for page in sorted(ROOT.glob(pattern)):
            target = folder / page.relative_to(ROOT)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(_with_links(page, folder), encoding="utf-8")
    script, place = _SEARCH_IN_FILES
    shutil.copyfile(script, folder / place)
    for name, make in GENERATED.items():
        target = folder / "docs" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(make(), encoding="utf-8")


def _with_links(page: Path, folder: Path) -> str:
    def link(found: re.Match[str]) -> str:
        linked = (page.parent / found[1]).resolve()
        if linked.is_dir():
            inner = "README.md" if (linked / "README.md").is_file() else None
            return f"]({found[1].rstrip('/')}/{inner})" if inner else found[0]
        if linked.is_file() and linked.suffix != ".md":
            target = folder / linked.relative_to(ROOT)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(linked, target)
        return found[0]

    return _LINK.sub(link, page.read_text(encoding="utf-8"))


if __name__ == "__main__":
    lay_out(Path(sys.argv[1]))
