"""``cards reconcile``: finds and repairs at once what lost events left undone."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from cli.aws import DEFAULT_ENVIRONMENT, AwsSession, Environment
from cli.compile_settings import deployed_compile_settings
from cli.errors import CliError
from cli.options import AsJson

if TYPE_CHECKING:
    from collections.abc import Sequence

    from registry.automation.reconciliation import ReconciliationReport, Repair
    from registry.versions.four_eyes import WaitingVersion

EPILOG = "Example: cards reconcile --dry-run"


def reconcile(
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what is wrong, and change nothing.")
    ] = False,
    as_json: AsJson = False,
    environment: Environment = DEFAULT_ENVIRONMENT,
) -> None:
    """Checks every version as the scheduled reconciler does, and repairs what is wrong.

    Lost events, functions that crashed, channels that point elsewhere, half-written releases:
    each is handed to the function that an event would have fired. With `cards.four_eyes`, the
    versions that wait for a second person's approval are named. Exits with 1 where something could
    not be checked.
    """
    from cli.console import print_json, print_line
    from registry.automation.reconciliation import reconcile as run

    aws = AwsSession(environment)
    names = aws.names
    functions = {
        "register": names.register_function,
        "compile": names.compile_function,
        "publish": names.publish_function,
    }
    if not all(functions.values()):
        raise CliError(
            f"environment {environment!r}: was deployed by an earlier state of the product; "
            f"deploy it again: cdk deploy --all -c cards.environment={environment}"
        )

    def act(repair: Repair) -> None:
        if not as_json:
            print_line(f"{repair.what}: {repair.step}")
        if not dry_run:
            aws.client("lambda").invoke(
                FunctionName=functions[repair.function],
                InvocationType="Event",
                Payload=json.dumps({"detail": dict(repair.event)}).encode(),
            )

    report = run(
        aws.deployment,
        deployed_compile_settings(aws),
        act,
        resume=False,
    )
    waiting = _waiting(aws)
    if as_json:
        rows = [{"what": each.what, "step": each.step} for each in report.repairs]
        failures = [{"what": each.what, "cause": each.cause} for each in report.failures]
        print_json(
            {
                "versions": report.versions,
                "looked": report.looked,
                "findings": rows,
                "failures": failures,
                "waiting": [asdict(each) for each in waiting],
            }
        )
    else:
        _print(report, waiting, dry_run=dry_run)
    if report.failures:
        raise typer.Exit(1)


def _waiting(aws: AwsSession) -> list[WaitingVersion]:
    """The versions that a second person has to approve, where four eyes is set."""
    from registry.versions.four_eyes import waiting

    if not aws.deployment.four_eyes:
        return []
    caller = str(aws.client("sts").get_caller_identity()["UserId"])
    return waiting(aws.client("sagemaker"), aws.deployment.group_name, caller)


def _print(
    report: ReconciliationReport, waiting: Sequence[WaitingVersion], *, dry_run: bool
) -> None:
    from cli.console import print_line, print_stderr

    for each in report.failures:
        print_stderr(f"cards: {each.what}: could not be checked ({each.cause})")
    if count := report.unreadable_reports:
        objects = "1 object is" if count == 1 else f"{count} objects are"
        print_stderr(f"cards: {objects} no device's report: cards devices list")
    for version in waiting:
        by = ", ".join(version.authors)
        print_line(
            f"{version.label} waits for approval: "
            + (version.objection or f"four eyes: submitted by {by}, who cannot approve it")
        )
    count = len(report.repairs)
    done = "would be repaired" if dry_run else "repairs started"
    print_line(
        f"{report.versions} versions, {report.looked} looked at closely: "
        + (f"{count} {done}" if count else "nothing to repair")
    )
