"""The page that a person has read before a decision: which bytes, and whether they still hold."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from cli.aws import AwsSession
from cli.errors import CliError


@dataclass(frozen=True)
class ReadPage:
    """A page's file.

    Attributes:
        sha256: Of the file.
        warnings: What has changed since it was made.
    """

    sha256: str
    warnings: tuple[str, ...]


def read_page(aws: AwsSession, name: str, path: Path) -> ReadPage:
    """Reads a page and makes it again, to compare what is on it.

    Raises:
        CliError: The file is no page of the product's.
    """
    from cli.find_version import package as find
    from cli.report.gathering import page_of
    from reports.rendering import LIMIT, content_digest, content_digest_of, sha256

    try:
        body = path.read_bytes() if path.stat().st_size <= LIMIT else b""
        text = body.decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise CliError(f"--page {path}: cannot be read ({error})") from None
    said = content_digest_of(text)
    if said is None:
        raise CliError(f"--page {path}: is no page of a version; make one: cards report {name}")
    now = content_digest(page_of(aws, find(aws, name)))
    changed = (
        f"{path}: this is not what the page of {name} says now: evidence, what is live or the "
        f"settings have changed since, or it is another version's; cards report {name} makes it "
        "again"
    )
    return ReadPage(sha256(text), (changed,) if said != now else ())
