"""``cards registry``: what is registered, and what came from what."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.aws import DEFAULT_ENVIRONMENT, Aws, Environment

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

AsJson = Annotated[bool, typer.Option("--json", help="For machines.")]
#: SageMaker's word for a status -> ours in a table.
_STATUS = {"PendingManualApproval": "pending", "Approved": "approved", "Rejected": "rejected"}
Name = Annotated[
    str,
    typer.Argument(
        help="A model's name, such as student-efficientnet-lite0-stage2-v1, or an ARN.",
        show_default=False,
    ),
]


@dataclass
class Branch:
    """A node of the lineage tree."""

    label: str
    children: list[Branch] = field(default_factory=list)


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


@app.command(epilog="Example: cards registry lineage student-efficientnet-lite0-int8-v1")
def lineage(
    name: Name, as_json: AsJson = False, environment: Environment = DEFAULT_ENVIRONMENT
) -> None:
    """Draws what a version was made from and what was made from it."""
    from cli.console import print_json, show_tree
    from cli.parents import package as find

    aws = Aws(environment)
    tree = lineage_tree(aws, find(aws, name))
    if as_json:
        print_json(_tree_document(tree))
    else:
        show_tree(tree)


def lineage_tree(aws: Aws, package: Package) -> Branch:
    """The tree from a version's oldest ancestor down to all that was made from the version."""
    from registry.lineage import ancestors
    from registry.packages import describe, iterate

    sagemaker = aws.client("sagemaker")
    chain = [package, *ancestors(sagemaker, package)]
    below: dict[str, list[Package]] = {}
    # Children were registered after the version; nothing older needs to be looked at.
    for row in iterate(sagemaker, package.group, created_after=package.created):
        child = describe(sagemaker, row.arn)
        if child and child.parent_arn and child.arn != package.arn:
            below.setdefault(child.parent_arn, []).append(child)

    def grow(of: Package, seen: frozenset[str]) -> Branch:
        children = sorted(below.get(of.arn, []), key=lambda child: child.version)
        return Branch(
            package_line(of),
            [grow(child, seen | {child.arn}) for child in children if child.arn not in seen],
        )

    branch = grow(package, frozenset({package.arn}))
    for ancestor in chain[1:]:
        branch = Branch(package_line(ancestor), [branch])
    return branch


def package_line(package: Package) -> str:
    """One version in one line of a tree: its name, status and first figure."""
    top1 = package.metadata.get("Top1")
    figure = f", top-1 {float(top1):.3f}" if top1 else ""
    return f"{package.label} ({package.approval}{figure})"


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


def _tree_document(branch: Branch) -> dict[str, Any]:
    children: Sequence[Branch] = branch.children
    return {"label": branch.label, "children": [_tree_document(child) for child in children]}
