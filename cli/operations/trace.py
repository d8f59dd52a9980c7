"""``cards trace``: what happened to one version, with times."""

from __future__ import annotations

from datetime import UTC
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.aws import DEFAULT_ENVIRONMENT, AwsSession, Environment
from cli.options import AsJson, Name

if TYPE_CHECKING:
    from registry.automation.trace import Entry

EPILOG = "Example: cards trace student-efficientnet-lite0-stage2-v1 --logs"


def trace(
    name: Name,
    logs: Annotated[
        bool, typer.Option("--logs", help="Also what the functions logged about it.")
    ] = False,
    as_json: AsJson = False,
    environment: Environment = DEFAULT_ENVIRONMENT,
) -> None:
    """Shows the history of one version, from its training job to the channels that it is in.

    It is read from the state itself, so it also covers what happened before this command was used.
    """
    from cli.console import print_json, print_line, print_table, seconds
    from cli.find_version import find_package
    from registry.automation.trace import trace as read_trace

    aws = AwsSession(environment)
    package = find_package(aws, name)
    entries = read_trace(aws.deployment, package)
    if logs:
        entries = sorted([*entries, *_logged(aws, package)], key=lambda each: each.when)
    if as_json:
        print_json(
            [{"when": e.when.isoformat(), "what": e.what, "detail": e.detail} for e in entries]
        )
        return
    print_line(f"{package.label} ({package.approval})")
    rows = []
    before = None
    for each in entries:
        passed = f"+{seconds((each.when - before).total_seconds())}" if before else ""
        moment = each.when.astimezone(UTC)
        rows.append([f"{moment:%Y-%m-%d %H:%M:%S}", passed, each.what, each.detail])
        before = each.when
    print_table(["WHEN (UTC)", "AFTER", "WHAT", "DETAIL"], rows, right=[1])


def _logged(aws: AwsSession, package: Any) -> list[Entry]:
    from registry.automation.trace import log_lines

    names = aws.names
    functions = [names.register_function, names.compile_function, names.publish_function]
    groups = []
    for function in filter(None, [*functions, names.reconciler_function]):
        configuration = aws.client("lambda").get_function_configuration(FunctionName=function)
        own = configuration.get("LoggingConfig", {}).get("LogGroup")
        groups.append(str(own or f"/aws/lambda/{function}"))
    return list(log_lines(aws.client("logs"), groups, package.label, package.created))
