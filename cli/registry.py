"""``cards registry``: what is registered, and what came from what."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli import lineage
from cli.aws import DEFAULT_ENVIRONMENT, Aws, Environment
from cli.options import AsJson, Name

if TYPE_CHECKING:
    from registry.packages import Package, PackageSummary

app = typer.Typer(
    no_args_is_help=True,
    help="""
    The registry: every model, from teacher to chip, in one Model Package Group.

    \b
    cards registry list
    cards registry show student-efficientnet-lite0-stage2-v1
    cards registry lineage student-efficientnet-lite0-stage2-v1
    """,
)

#: SageMaker's word for a status -> ours in a table.
_STATUS = {"PendingManualApproval": "pending", "Approved": "approved", "Rejected": "rejected"}


app.command("lineage", epilog="Example: cards registry lineage student-efficientnet-lite0-int8-v1")(
    lineage.lineage
)


@app.command("list", epilog="Example: cards registry list --status PendingManualApproval")
def list_(
    status: Annotated[
        str | None,
        typer.Option(help="Only these: Approved, Rejected or PendingManualApproval."),
    ] = None,
    as_json: AsJson = False,
    environment: Environment = DEFAULT_ENVIRONMENT,
) -> None:
    """Lists the group's versions, newest first."""
    from cli.console import print_json, say, show_table
    from cli.errors import CliError
    from registry.packages import APPROVED, PENDING, REJECTED, iterate

    if status is not None and status not in (APPROVED, REJECTED, PENDING):
        raise CliError(f"--status {status}: must be {APPROVED}, {REJECTED} or {PENDING}")
    aws = Aws(environment)
    group = aws.deployment.group_name
    rows = list(iterate(aws.client("sagemaker"), group, approval=status))
    if as_json:
        print_json([_row(row) for row in rows])
        return
    if not rows:
        say(f"{group}: nothing yet; cards train teacher --cards … makes the first")
        return
    show_table(
        ["#", "NAME", "STATUS", "CREATED", "DESCRIPTION"],
        [
            [
                str(row.version),
                str(row.name or "–"),
                _STATUS.get(row.approval, row.approval),
                f"{row.created:%Y-%m-%d %H:%M}",
                row.description.partition(": ")[2] or row.description,
            ]
            for row in rows
        ],
        right=[0],
        cut=4,
    )


@app.command(epilog="Example: cards registry show student-efficientnet-lite0-stage2-v1")
def show(
    name: Name, as_json: AsJson = False, environment: Environment = DEFAULT_ENVIRONMENT
) -> None:
    """Shows everything that is recorded about one version."""
    from cli.console import print_json, say, show_table
    from cli.parents import package as find

    package = find(Aws(environment), name)
    if as_json:
        print_json(_document(package))
        return
    say(package.label)
    say(f"  {package.description}")
    facts = {
        "Status": package.approval,
        "Version": f"{package.version} of {package.group}",
        "Created": f"{package.created:%Y-%m-%d %H:%M:%S %Z}",
        "ARN": package.arn,
        "Artifact": package.model_data_url,
        "Image": package.image,
    }
    show_table(["FACT", "VALUE"], [*facts.items(), *sorted(package.metadata.items())])


def _row(row: PackageSummary) -> dict[str, Any]:
    return {
        "version": row.version,
        "name": str(row.name) if row.name else None,
        "approval": row.approval,
        "created": row.created.isoformat(),
        "arn": row.arn,
        "description": row.description,
    }


def _document(package: Package) -> dict[str, Any]:
    return {
        "name": str(package.name) if package.name else None,
        "arn": package.arn,
        "group": package.group,
        "version": package.version,
        "approval": package.approval,
        "created": package.created.isoformat(),
        "description": package.description,
        "artifact": package.model_data_url,
        "image": package.image,
        "metadata": dict(package.metadata),
    }
