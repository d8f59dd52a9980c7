"""``cards verify-account``: whether a real account would accept what the product does."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.aws import DEFAULT_ENVIRONMENT, AwsSession, Environment
from cli.options import AsJson

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cli.operations.checks.check import Check

EPILOG = "Example: cards verify-account --record fixtures/   (docs/first-account.md)"


def verify_account(
    record: Annotated[
        Path | None,
        typer.Option(
            "--record",
            help="Keep the answers in this folder; ids, names and times are replaced.",
            file_okay=False,
        ),
    ] = None,
    events: Annotated[
        str | None,
        typer.Option(
            "--events", metavar="QUEUE_URL", help="With --record: also keep this queue's events."
        ),
    ] = None,
    as_json: AsJson = False,
    environment: Environment = DEFAULT_ENVIRONMENT,
) -> None:
    """Checks that an account accepts what the product does, and changes nothing.

    \b
    everything that cards doctor checks, and
    bootstrap    the CDK's resources
    services     SageMaker, MLflow Apps and KMS in this region
    quotas       instances for training and compile jobs
    requests     each kind of request, made and not sent, by the service's model
    access       each role and policy: what it must be allowed, and denied, by IAM's simulator

    Says of what it could not check that it was not checked. Exits with 1 where something failed.
    """
    from cli.console import activity, print_json, print_stderr
    from cli.errors import CliError
    from cli.operations.account.recording import Recording, waiting_events
    from cli.operations.checks.check import CheckContext, State, run
    from cli.operations.printed_rows import print_rows, rows_document

    if events and record is None:
        raise CliError("--events QUEUE_URL: also name a folder: --record DIR")
    recording = Recording()
    context = CheckContext(
        AwsSession(environment), made=recording.listen if record else lambda client: None
    )
    if as_json:
        rows = run(checks(), context, lambda name: None)
    else:
        with activity("looking") as task:
            rows = run(checks(), context, task.update)
    if record:
        found = waiting_events(AwsSession(environment).client("sqs"), events) if events else []
        count = recording.write(record, found)
        print_stderr(f"{count} answers and events without ids and names: {record}")
    if as_json:
        print_json(rows_document(rows))
    else:
        print_rows(rows)
    if any(row.result.state is State.FAILED for row in rows):
        raise typer.Exit(1)


def checks() -> Sequence[Check]:
    """Every check, whatever is needed first."""
    from cli.operations import doctor
    from cli.operations.account import access_calls, region, requests_check
    from cli.operations.checks.check import Check

    return [
        *doctor.checks(),
        Check("bootstrap", region.bootstrap, ("credentials",)),
        Check("services", region.services, ("credentials",)),
        Check("quotas", region.quotas, ("credentials",)),
        Check("requests", requests_check.requests, ("functions",)),
        Check("access", access_calls.access, ("functions",)),
    ]
