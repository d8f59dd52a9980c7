"""``cards registry lineage``: what a model was made from and what was made from it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from cli.aws import DEFAULT_ENVIRONMENT, Aws, Environment
from cli.options import AsJson, Name

if TYPE_CHECKING:
    from registry.packages import Package


@dataclass
class Branch:
    """A node of the lineage tree."""

    label: str
    children: list[Branch] = field(default_factory=list)


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


def _tree_document(branch: Branch) -> dict[str, Any]:
    children: Sequence[Branch] = branch.children
    return {"label": branch.label, "children": [_tree_document(child) for child in children]}
