"""``cards doctor``: what does not work in a deployment, and the command that repairs it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from cli.aws import DEFAULT_ENVIRONMENT, AwsSession, Environment
from cli.options import AsJson

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cli.operations.checks.check import Check

EPILOG = "Example: cards doctor --json | jq '.findings[] | select(.state != \"ok\")'"


def doctor(as_json: AsJson = False, environment: Environment = DEFAULT_ENVIRONMENT) -> None:
    """Checks everything that a deployment needs, and prints a remedy for what does not work.

    \b
    account      region, credentials, clock, deployment, stacks, variables, next deployment
    registry     group, names, buckets, signing key, initial weights
    permissions  yours, and each role's in both directions
    automation   functions, rules, dead-letter queues, notices, compiler, MLflow
    releases     approved versions without a release, the stable channel

    It changes nothing. Exits with 1 where something failed.
    """
    from cli.console import activity, print_json
    from cli.operations.checks.check import CheckContext, State, run
    from cli.operations.printed_rows import print_rows, rows_document

    context = CheckContext(AwsSession(environment))
    if as_json:
        rows = run(checks(), context, lambda name: None)
        print_json(rows_document(rows))
    else:
        with activity("looking") as task:
            rows = run(checks(), context, task.update)
        print_rows(rows)
    if any(row.result.state is State.FAILED for row in rows):
        raise typer.Exit(1)


def checks() -> Sequence[Check]:
    """Every check, whatever is needed first."""
    from cli.operations.checks import (
        account,
        automation,
        compiler,
        deployed_names,
        initial_weights,
        machine,
        notices,
        permissions,
        releases,
        storage,
        tracking,
        variables,
    )

    account_first = (account, variables, deployed_names, storage, automation, notices)
    modules = (*account_first, permissions, tracking, compiler, releases, initial_weights, machine)
    return [check for module in modules for check in module.CHECKS]
