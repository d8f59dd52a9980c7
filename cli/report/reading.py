"""The page that a person has read before a decision: which bytes, and whether they still hold."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cli.aws import AwsSession
from cli.errors import CliError

if TYPE_CHECKING:
    from registry.versions.packages import Package
    from reports.page import Page


@dataclass(frozen=True)
class ReadPage:
    """A page that a decision is bound to.

    Attributes:
        sha256: Of the file; empty where there is no page to bind it to.
        warnings: What has changed since it was made, or why that is not known.
    """

    sha256: str
    warnings: tuple[str, ...] = ()


def read_page(aws: AwsSession, package: Package, path: Path) -> ReadPage:
    """Reads a page's file and makes it again, to compare what is on it.

    Raises:
        CliError: The file is no page of the product's.
    """
    from registry.object_identity import ObjectIdentity
    from registry.versions.metadata import REPORT_PAGE
    from reports.rendering import LIMIT, content_digest, content_digest_of, sha256

    name = package.label
    try:
        body = path.read_bytes() if path.stat().st_size <= LIMIT else b""
        text = body.decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise CliError(f"--page {path}: cannot be read ({error})") from None
    said = content_digest_of(text)
    if said is None:
        raise CliError(f"--page {path}: is no page of a version; make one: cards report {name}")
    digest = sha256(text)
    now, why = _page_now(aws, package)
    if now is None:
        return ReadPage(digest, (f"{path}: {why}",))
    registered = ObjectIdentity.parse(package.metadata.get(REPORT_PAGE, ""))
    if registered is not None and registered.sha256 == digest:
        return ReadPage(digest, _changed(package, str(path), text, now))
    warnings = () if said == content_digest(now) else (_out_of_date(package, str(path)),)
    return ReadPage(digest, warnings)


def registered_page(aws: AwsSession, package: Package) -> ReadPage:
    """The page that the version's training job made, which is there to read without a command.

    What cannot be read is said and keeps nobody from deciding: the decision is then bound to no
    page.
    """
    from botocore.exceptions import ClientError

    from registry.aws_errors import is_denied
    from registry.untrusted.text import one_line
    from registry.versions import report_page
    from reports.rendering import sha256

    bucket = aws.deployment.training_bucket
    try:
        body = report_page.read(aws.client("s3"), bucket, package)
    except report_page.ReportPageError as error:
        return ReadPage("", (f"{package.label}: {error}; no page is recorded with the decision",))
    except ClientError as error:
        if not is_denied(error):
            raise
        why = f"you may not read its page ({one_line(str(error))})"
        return ReadPage("", (f"{package.label}: {why}; no page is recorded with the decision",))
    if body is None:
        return ReadPage("")
    text = body.decode("utf-8", "replace")
    uri = report_page.uri_of(bucket, package.name) if package.name else ""
    now, why = _page_now(aws, package)
    changed = (f"{uri}: {why}",) if now is None else _changed(package, uri, text, now)
    return ReadPage(sha256(text), changed)


def _page_now(aws: AwsSession, package: Package) -> tuple[Page | None, str]:
    """The page as it would be made now, or why it cannot be."""
    from botocore.exceptions import ClientError

    from cli.report.gathering import page_of
    from registry.aws_errors import is_denied
    from registry.untrusted.text import one_line

    try:
        return page_of(aws, package), ""
    except ClientError as error:
        if not is_denied(error):
            raise
        why = f"you may not read what it is made of ({one_line(str(error))})"
        return None, f"whether it still holds is not known: {why}"


def _changed(package: Package, where: str, text: str, now: Page) -> tuple[str, ...]:
    """Why what a job's page says does not hold any more; empty where it does."""
    from reports.rendering import evidence_digest, evidence_digest_of

    if evidence_digest_of(text) == evidence_digest(now):
        return ()
    unreadable = next(iter(now.missing.values()), "")
    if unreadable:
        return (f"{where}: whether it still holds is not known: {unreadable}",)
    return (_out_of_date(package, where),)


def _out_of_date(package: Package, where: str) -> str:
    return (
        f"{where}: this is not what the page of {package.label} says now: evidence, what is live "
        "or the settings have changed since, or it is another version's; cards report "
        f"{package.label} makes it again"
    )
