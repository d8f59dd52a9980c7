"""``cards registry approve`` and ``reject``: a person's decision on a version."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.aws import DEFAULT_ENVIRONMENT, AwsSession, Environment
from cli.options import AsJson, Name

if TYPE_CHECKING:
    from mypy_boto3_sagemaker.literals import ModelApprovalStatusType

    from registry.versions.approval import ApprovalResult
    from registry.versions.packages import Package

APPROVE_EPILOG = """
Examples: cards registry approve student-efficientnet-lite0-stage2-v1 --reason "top-1 as v0" --wait

The same without cards: aws sagemaker update-model-package --model-package-arn ARN
--model-approval-status Approved
"""
REJECT_EPILOG = (
    'Example: cards registry reject student-efficientnet-lite0-stage2-v1 --reason "mixes reprints"'
)

Reason = Annotated[
    str,
    typer.Option(help="Why, in one line; it is kept in the version with who and when."),
]


def approve(
    name: Name,
    reason: Reason,
    override: Annotated[
        bool,
        typer.Option("--override", help="Approve what has no passed validation; it is written."),
    ] = False,
    page: Annotated[
        Path | None,
        typer.Option(
            help="The page that you have read (cards report NAME); by default the one that its "
            "training job made. Its SHA-256 is recorded with the reason, and you are warned where "
            "what it says has changed since.",
            show_default=False,
        ),
    ] = None,
    wait: Annotated[
        bool, typer.Option("--wait", help="Follow a stage-2 student until its release is there.")
    ] = False,
    as_json: AsJson = False,
    environment: Environment = DEFAULT_ENVIRONMENT,
) -> None:
    """Approves a version that has passed its validation.

    An approved stage-2 student is compiled, checked and released by itself. Stage 1 is an
    intermediate checkpoint: approving it releases nothing. Who, when and why stand in the
    version's ApprovalDescription. Approving in the console or with the AWS CLI does the same,
    without looking at the validation. With `cards.four_eyes`, who submitted the training cannot
    approve it.
    """
    from cli.console import print_json, print_line
    from registry.names import leads_to
    from registry.versions.packages import APPROVED

    aws = AwsSession(environment)
    outcome = _decide(aws, _with_page(aws, name, page, reason), APPROVED, override)
    package = outcome.package
    release = None
    if not as_json:
        _report(outcome)
        if outcome.decision is not None:
            print_line(f"  {leads_to(package.name)}")
    releasable = package.name is not None and package.name.releasable
    if wait and releasable:
        release = _follow(aws, package, quiet=as_json)
    if as_json:
        print_json({**_document(outcome), "releasable": releasable, "release": release})
    elif release:
        print_line(f"released: {release}")
        print_line("  cards release pull --out release/")
    elif releasable:
        print_line(f"  how far it is: cards registry show {package.label}")
        print_line("  when it is there: cards release pull --out release/")


def reject(
    name: Name,
    reason: Reason,
    as_json: AsJson = False,
    environment: Environment = DEFAULT_ENVIRONMENT,
) -> None:
    """Rejects a version: a running compilation is stopped, its release is withdrawn."""
    from cli.console import print_json, print_line
    from cli.find_version import find_package
    from registry.versions.packages import REJECTED

    aws = AwsSession(environment)
    outcome = _decide(aws, _Reasoned(find_package(aws, name), reason), REJECTED)
    if as_json:
        print_json(_document(outcome))
        return
    _report(outcome)
    if outcome.package.name and outcome.package.name.releasable:
        print_line(
            "  if it was the stable release, the channel falls back to the one before by itself"
        )


@dataclass(frozen=True)
class _Reasoned:
    """A version, and why it is decided on."""

    package: Package
    reason: str


def _with_page(aws: AwsSession, name: str, page: Path | None, reason: str) -> _Reasoned:
    """The version with a reason that names the page that was read; says what does not hold."""
    from cli.console import print_stderr
    from cli.find_version import find_package
    from cli.report.reading import read_page, registered_page
    from registry.versions.packages import APPROVED
    from registry.versions.report_page import in_reason

    package = find_package(aws, name)
    if page is None and package.approval == APPROVED:
        return _Reasoned(package, reason)  # Nothing will be recorded.
    read = read_page(aws, package, page) if page else registered_page(aws, package)
    for warning in read.warnings:
        print_stderr(f"cards: {warning}")
    if read.sha256 and reason.strip():
        reason = in_reason(reason.strip(), read.sha256)
    return _Reasoned(package, reason)


def _decide(
    aws: AwsSession, asked: _Reasoned, status: ModelApprovalStatusType, override: bool = False
) -> ApprovalResult:
    from cli.errors import CliError
    from registry.versions.approval import apply
    from registry.versions.packages import APPROVED

    package = asked.package
    group = aws.deployment.group_name
    if package.group != group:
        raise CliError(
            f"{package.arn}: is of the group {package.group or 'none'}, and {aws.environment} is "
            f"deployed with {group}; name another with --environment"
        )
    caller = aws.client("sts").get_caller_identity()
    if status == APPROVED:
        _require_second_person(aws, package, str(caller["UserId"]))
    return apply(
        aws.client("sagemaker"),
        package,
        status,
        reason=asked.reason,
        person_arn=str(caller["Arn"]),
        override=override,
    )


def _require_second_person(aws: AwsSession, package: Package, caller: str) -> None:
    """Refuses an approval that the automation would not count.

    Raises:
        CliError: Four eyes is set, and the caller has submitted the version's training, or nobody
            knows who has.
    """
    from botocore.exceptions import ClientError

    from cli.console import print_stderr
    from cli.errors import CliError
    from registry.aws_errors import is_denied
    from registry.versions import four_eyes

    if not aws.deployment.four_eyes or package.name is None or not package.name.releasable:
        return
    try:
        authors = four_eyes.authors(aws.client("sagemaker"), package)
    except ClientError as error:
        if not is_denied(error):
            raise
        print_stderr(
            f"cards: {package.label}: you may not see who submitted its training "
            "(sagemaker:ListTags); if it was you, your approval releases nothing"
        )
        return
    objection = four_eyes.objection(package.label, authors, caller)
    if objection:
        raise CliError(f"{package.label}: {objection}")


def _report(outcome: ApprovalResult) -> None:
    from cli.console import print_line

    package = outcome.package
    if outcome.decision is None:
        why = package.approval_description or package.metadata.get("ApprovalReason", "")
        print_line(f"{package.label}: is {package.approval} already; nothing is changed")
        if why:
            print_line(f"  {why}")
        return
    print_line(f"{package.label}: {outcome.previous} -> {package.approval}")
    print_line(f"  {outcome.decision.description}")


def _document(outcome: ApprovalResult) -> dict[str, Any]:
    package, decision = outcome.package, outcome.decision
    return {
        "name": str(package.name) if package.name else None,
        "arn": package.arn,
        "approval": package.approval,
        "previous": outcome.previous,
        "changed": decision is not None,
        "approval_description": package.approval_description,
        "overridden": list(decision.overridden) if decision else [],
    }


def _follow(aws: AwsSession, package: Package, quiet: bool) -> str:
    """Waits for the release; Ctrl-C does not stop the automation."""
    from cli.console import activity, print_stderr
    from cli.release.wait_for_release import wait_for_release

    try:
        if quiet:
            return wait_for_release(aws, package, lambda update: None)
        with activity("compile and release", interval=30) as task:
            return wait_for_release(
                aws, package, lambda update: task.update(update.detail or update.status)
            )
    except KeyboardInterrupt:
        print_stderr(f"cards: {package.label} is approved, and its release follows all the same")
        raise
