"""``cards registry list``, ``latest`` and ``versions``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from cli.aws import DEFAULT_ENVIRONMENT, AwsSession, Environment
from cli.options import AsJson
from cli.registry.filters import Metric, Since, Stage, Status, Type

if TYPE_CHECKING:
    from registry.versions.packages import PackageSummary
    from registry.versions.queries import Filters

LIST_EPILOG = """
Columns: # (the group's own number), NAME, STATUS (approved, pending, rejected, or failed: a run \
without a model), CREATED, one for each --metric, SUMMARY.

With --json: version, name, type, stage, approval, failure, created, arn, description, metrics.

Examples: cards registry list --type student --stage stage2 --metric "Top1>=0.8" --since 4w

cards registry list --all --json
"""
LATEST_EPILOG = """
Example: cards registry latest --json | jq -r .arn
"""
VERSIONS_EPILOG = """
Examples: cards registry versions

cards registry versions student-efficientnet-lite0-stage2
"""

Limit = Annotated[int, typer.Option(min=1, help="Stop after so many rows.", metavar="N")]
All = Annotated[bool, typer.Option("--all", help="Do not stop: every version.")]


def list_(
    status: Status = None,
    model_type: Type = None,
    stage: Stage = None,
    since: Since = None,
    metric: Metric = None,
    limit: Limit = 50,
    everything: All = False,
    as_json: AsJson = False,
    environment: Environment = DEFAULT_ENVIRONMENT,
) -> None:
    """Lists the group's versions, newest first, a page at a time."""
    from cli.registry.filters import filters

    chosen = filters(status=status, model_type=model_type, stage=stage, since=since, metric=metric)
    show_versions(AwsSession(environment), chosen, None if everything else limit, as_json)


def latest(
    model_type: Annotated[
        str | None, typer.Option("--type", help="teacher or student.", metavar="TYPE")
    ] = None,
    stage: Annotated[
        str | None,
        typer.Option(help="Another stage than stage2, or phase2 of a teacher.", metavar="STAGE"),
    ] = None,
    as_json: AsJson = False,
    environment: Environment = DEFAULT_ENVIRONMENT,
) -> None:
    """Shows the newest approved student: of stage 2, by its name, whatever its description says."""
    from cli.console import print_json, print_line
    from cli.errors import CliError
    from cli.registry.version_table import document
    from registry.versions.queries import QueryError, kind_of
    from registry.versions.queries import latest as newest

    try:
        wanted = kind_of(model_type, stage)
    except QueryError as error:
        raise CliError(f"--{error}") from None
    aws = AwsSession(environment)
    group = aws.deployment.group_name
    found = newest(aws.client("sagemaker"), group, *wanted)
    if found is None:
        words = " ".join(reversed(wanted))
        raise CliError(
            f"{group}: no approved {words}; cards registry list --stage {wanted[1]} shows what "
            "there is"
        )
    if as_json:
        print_json(document(found))
        return
    print_line(str(found.name))
    print_line(f"  {found.summary}")
    print_line(f"  approved, registered {found.created:%Y-%m-%d %H:%M:%S %Z}")
    print_line(f"  {found.arn}")


def versions(
    line: Annotated[
        str | None,
        typer.Argument(
            help="A name without its version, such as student-efficientnet-lite0-stage2; without "
            "it: all lines, counted.",
            show_default=False,
        ),
    ] = None,
    as_json: AsJson = False,
    environment: Environment = DEFAULT_ENVIRONMENT,
) -> None:
    """Shows all versions of one line of names, or how many each line has."""
    from registry.names import ModelNameError, parse_name
    from registry.versions.queries import Filters

    aws = AwsSession(environment)
    if line is None:
        _show_lines(aws, as_json)
        return
    try:
        parse_name(f"{line}-v1")
    except ModelNameError:
        # A version's whole name is taken for its line.
        line = parse_name(line).line
    show_versions(aws, Filters(line=line), None, as_json)


def show_versions(aws: AwsSession, chosen: Filters, limit: int | None, as_json: bool) -> None:
    """Prints the versions that are asked for, as their pages come in."""
    from cli.console import print_json, print_line, print_stderr
    from cli.paged_table import listing
    from cli.registry.version_table import cells, columns, document
    from registry.versions.queries import PAGE_LIMIT, pages

    group = aws.deployment.group_name
    size = PAGE_LIMIT if limit is None or chosen.filtered_locally else min(limit, PAGE_LIMIT)
    found: list[PackageSummary] = []
    read, more = 0, False
    with listing(columns(chosen), right=[0], title=group, quiet=as_json) as table:
        for count, page in enumerate(pages(aws.client("sagemaker"), group, chosen, page_size=size)):
            read += page.read
            left = len(page.rows) if limit is None else limit - len(found)
            found.extend(page.rows[:left])
            table.add([cells(row, chosen) for row in page.rows[:left]])
            table.progress(f"page {count + 1}: {read} versions read, {len(found)} shown")
            more = page.more or len(page.rows) > left
            if limit is not None and len(found) >= limit:
                break
    if as_json:
        print_json([document(row, chosen) for row in found])
    elif not read and not more:
        print_line(f"{group}: nothing yet; cards train teacher --cards … makes the first")
    elif not found:
        print_line(f"{group}: no such version ({read} read)")
    if more:
        print_stderr(
            f"the newest {len(found)}; --all shows every one, --limit {2 * len(found)} more"
        )


def _show_lines(aws: AwsSession, as_json: bool) -> None:
    from cli.console import print_json, print_line, print_table
    from cli.paged_table import listing
    from registry.versions.queries import lines, pages

    group = aws.deployment.group_name
    rows: list[PackageSummary] = []
    with listing((), title=group, quiet=True) as table:
        for page in pages(aws.client("sagemaker"), group):
            rows.extend(page.rows)
            table.progress(f"{len(rows)} versions read")
    found = lines(rows)
    if as_json:
        print_json(
            [
                {
                    "line": line.name,
                    "versions": line.versions,
                    "failed": line.failed,
                    "newest": str(line.newest.name or line.newest.arn),
                    "newest_approved": str(line.approved.name or line.approved.arn)
                    if line.approved
                    else None,
                }
                for line in found
            ]
        )
        return
    if not found:
        print_line(f"{group}: nothing yet; cards train teacher --cards … makes the first")
        return
    print_table(
        ["LINE", "VERSIONS", "FAILED", "NEWEST", "NEWEST APPROVED"],
        [
            [
                line.name,
                str(line.versions),
                str(line.failed),
                _short(line.newest),
                _short(line.approved) if line.approved else "–",
            ]
            for line in found
        ],
        right=[1, 2],
    )


def _short(row: PackageSummary) -> str:
    """A version within its line."""
    number = f"v{row.name.version}" if row.name else f"#{row.version}"
    return f"{number}, {row.created:%Y-%m-%d}"
