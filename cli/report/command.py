"""``cards report NAME`` and ``cards report --all``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.aws import DEFAULT_ENVIRONMENT, AwsSession, Environment
from cli.options import AsJson
from recognition.atomic_files import write_atomically

if TYPE_CHECKING:
    from registry.versions.packages import Package
    from reports.page import Page

EPILOG = """
Examples: cards report student-efficientnet-lite0-stage2-v2 --open

cards report student-efficientnet-lite0-stage2-v2 --against student-efficientnet-lite0-stage2-v1

cards report --all --output registry/
"""
#: Pages that ``--all`` makes beside the index.
PAGES = 20
#: Rejected versions whose reasons it looks up.
REASONS = 200


def report(
    name: Annotated[
        str | None,
        typer.Argument(
            help="A model's name, such as student-efficientnet-lite0-stage2-v1, or an ARN.",
            show_default=False,
        ),
    ] = None,
    against: Annotated[
        str | None,
        typer.Option(help="Compare with this version, not with the live one.", show_default=False),
    ] = None,
    all_versions: Annotated[
        bool,
        typer.Option(
            "--all", help="An index of the registry, and the pages of what waits and what is live."
        ),
    ] = False,
    output: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "-o",
            "--output",
            help="The file to write, or with --all the folder; by default NAME.html, or report/.",
            show_default=False,
        ),
    ] = None,
    open_it: Annotated[bool, typer.Option("--open", help="Open it in the browser.")] = False,
    pdf: Annotated[
        bool, typer.Option("--pdf", help="Print it to a PDF beside it, with Chromium.")
    ] = False,
    as_json: AsJson = False,
    environment: Environment = DEFAULT_ENVIRONMENT,
) -> None:
    """Writes the page to read before a version is approved: one HTML file that needs no other.

    It says what the version does, what changes for devices against the live version on the very
    same views, what was not measured, which views went wrong, and what follows from approving or
    rejecting. What a version does not keep, as older ones do not, is said on the page.
    """
    from cli.console import print_json, print_line
    from cli.errors import CliError
    from cli.find_version import find_package
    from cli.report.deployment_facts import devices
    from cli.report.printing import write_pdf

    if (name is None) != all_versions or (all_versions and (against or pdf)):
        raise CliError("give a NAME, perhaps with --against or --pdf, or --all and no NAME")
    _require_jinja()
    aws = AwsSession(environment)
    if name is None:
        folder = output or Path("report")
        written = _write_all(aws, folder)
        if as_json:
            print_json({"index": str(folder / "index.html"), "pages": written})
        else:
            pages = f"{len(written)} page{'' if len(written) == 1 else 's'}"
            print_line(f"wrote {folder / 'index.html'}, and {pages} beside it")
        _open(folder / "index.html", open_it)
        return
    package = find_package(aws, name)
    other = find_package(aws, against) if against else None
    if other is not None and other.arn == package.arn:
        raise CliError(f"--against {against}: is the version itself")
    path = output or Path(f"{package.name or f'version-{package.version}'}.html")
    page, digest = _write(aws, package, other, path, devices(aws))
    printed = path.with_suffix(".pdf") if pdf else None
    if printed is not None:
        write_pdf(path, printed)
    if as_json:
        print_json({**document(page, path, digest), "pdf": str(printed) if printed else None})
    else:
        print_line(page.verdict.sentence)
        print_line(page.verdict.comparison)
        print_line(f"wrote {path} (SHA-256 {digest})")
        if printed is not None:
            print_line(f"wrote {printed}")
    _open(path, open_it)


def document(page: Page, path: Path, digest: str) -> dict[str, Any]:
    """What the page says, for machines."""
    from dataclasses import asdict

    return {
        "file": str(path),
        "sha256": digest,
        "name": page.title,
        "verdict": page.verdict.sentence,
        "comparison": page.verdict.comparison,
        "alerts": list(page.alerts),
        "unmeasured": list(page.unmeasured),
        "against": page.change.other or None,
        "not_compared": page.change.lacking or None,
        "differences": {
            name: {**asdict(each), "difference": each.difference, "is": each.word}
            for name, each in page.change.differences
        },
        "cards_won": page.change.won_count,
        "cards_lost": page.change.lost_count,
        "figures": {
            each.key: {"value": each.value, "interval": [each.low, each.high]}
            if each.low is not None
            else {"value": each.value}
            for each in page.figures
        },
        "approve": page.approve.command,
        "reject": page.reject.command,
        "devices": page.devices,
    }


def _write(
    aws: AwsSession, package: Package, against: Package | None, path: Path, devices: str
) -> tuple[Page, str]:
    from cli.report.gathering import page_of
    from reports.rendering import sha256, version_page

    page = page_of(aws, package, against, devices)
    text = version_page(page)
    write_atomically(path, text)
    return page, sha256(text)


def _write_all(aws: AwsSession, folder: Path) -> list[str]:
    """The index of every version, and pages of what waits and what is live."""
    from cli.report.deployment_facts import devices
    from cli.version_facts import STATUS_WORDS
    from registry.releases import pointers
    from registry.versions.packages import PENDING, REJECTED, describe, iterate
    from reports.registry_index import WAITING, Entry, index_page

    deployment = aws.deployment
    pointer, _ = pointers.read(deployment.s3, deployment.release_bucket)
    live = pointer.package_arn if pointer else None
    follow = devices(aws)
    entries: list[Entry] = []
    written: list[str] = []
    looked = 0
    for row in iterate(deployment.sagemaker, deployment.group_name):
        package = None
        waits = row.approval == PENDING and row.name is not None and row.name.releasable
        shown = (waits and len(written) < PAGES) or row.arn == live
        if shown or (row.approval == REJECTED and looked < REASONS):
            package, looked = describe(deployment.sagemaker, row.arn), looked + 1
        file = ""
        if package is not None and package.name is not None and shown:
            file = f"{package.name}.html"
            _write(aws, package, None, folder / file, follow)
            written.append(str(folder / file))
        reason = ""
        if package is not None:
            reason = package.approval_description or row.failure or ""
        status = WAITING if waits else STATUS_WORDS.get(row.approval, row.approval)
        entries.append(
            Entry(
                name=str(row.name or row.arn),
                status="live" if row.arn == live else status,
                registered=f"{row.created:%Y-%m-%d %H:%M}",
                summary=row.summary,
                reason=reason or row.failure or "",
                page=file,
            )
        )
    write_atomically(folder / "index.html", index_page(deployment.group_name, entries))
    return written


def _require_jinja() -> None:
    from importlib.util import find_spec

    from cli.errors import CliError

    if find_spec("jinja2") is None or find_spec("cv2") is None:
        raise CliError(
            "Jinja2 or OpenCV is not installed; make setup in the repository installs both"
        )


def _open(path: Path, wanted: bool) -> None:
    if wanted:
        import webbrowser

        webbrowser.open(path.resolve().as_uri())
