"""``cards doctor``: what does not work in a deployment, and the command that repairs it."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import typer

from cli.aws import DEFAULT_ENVIRONMENT, AwsSession, Environment
from cli.options import AsJson

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cli.operations.checks.check import Check, Row

EPILOG = "Example: cards doctor --json | jq '.findings[] | select(.state != \"ok\")'"

_MARKS = {"ok": ("✓", "green"), "warning": ("!", "yellow"), "failed": ("✗", "red")}


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

    context = CheckContext(AwsSession(environment))
    if as_json:
        rows = run(checks(), context, lambda name: None)
        print_json(_document(rows))
    else:
        with activity("looking") as task:
            rows = run(checks(), context, task.update)
        _report(rows)
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


def _report(rows: Sequence[Row]) -> None:
    from cli.console import is_terminal, print_line

    if is_terminal():
        _draw(rows)
    else:
        width = max(len(row.check) for row in rows)
        for row in rows:
            print_line(f"{row.result.state.value:<11}  {row.check:<{width}}  {row.result.line}")
            if row.result.remedy:
                print_line(f"{'':<11}  {'':<{width}}  remedy: {row.result.remedy}")
    counts = Counter(row.result.state.value for row in rows)
    print_line(", ".join(f"{count} {state}" for state, count in counts.items()))


def _draw(rows: Sequence[Row]) -> None:
    """For a terminal: results in columns; remedies in one piece each, to be copied."""
    from rich.table import Table
    from rich.text import Text

    from cli.console import print_rich, safe_text

    width = max(len(row.check) for row in rows)
    for row in rows:
        state, remedy = row.result.state.value, row.result.remedy
        mark, colour = _MARKS.get(state, ("–", "dim"))
        line = row.result.line if state in _MARKS else f"{state}: {row.result.line}"
        grid = Table.grid(padding=(0, 1))
        grid.add_column(width=1)
        grid.add_column(width=width)
        grid.add_column(overflow="fold")
        grid.add_row(Text(mark, style=colour), Text(row.check, style="bold"), Text(safe_text(line)))
        print_rich(grid)
        if remedy:
            print_rich(
                Text(safe_text(f"{' ' * (width + 3)}→ {remedy}"), style="cyan"), soft_wrap=True
            )


def _document(rows: Sequence[Row]) -> dict[str, object]:
    counts = Counter(row.result.state.value for row in rows)
    return {
        "counts": dict(counts),
        "findings": [
            {
                "check": row.check,
                "state": row.result.state.value,
                "line": row.result.line,
                "remedy": row.result.remedy,
            }
            for row in rows
        ],
    }
