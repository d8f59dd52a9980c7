"""``cards registry lineage``: what a model was made from and what was made from it."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.aws import DEFAULT_ENVIRONMENT, AwsSession, Environment
from cli.options import AsJson
from recognition.atomic_files import write_atomically

if TYPE_CHECKING:
    from collections.abc import Iterable

    from cli.registry.lineage_drawing import Branch, Drawing
    from registry.lineage.record import Change
    from registry.versions.packages import Package

EPILOG = """
Examples: cards registry lineage student-efficientnet-lite0-stage2-v1

cards registry lineage student-efficientnet-lite0-stage2-v1 --format svg --out lineage.svg

cards registry lineage --repair
"""


class Format(StrEnum):
    """How a lineage is written."""

    TREE = "tree"
    MERMAID = "mermaid"
    DOT = "dot"
    SVG = "svg"
    JSON = "json"


def lineage(
    name: Annotated[
        str | None,
        typer.Argument(
            help="A model's name, such as student-efficientnet-lite0-stage2-v1, or an ARN; with "
            "--repair it may be left out: every version of the group.",
            show_default=False,
        ),
    ] = None,
    form: Annotated[
        Format, typer.Option("--format", help="For people, for a document, or for machines.")
    ] = Format.TREE,
    out: Annotated[
        Path | None, typer.Option(help="Write to this file and not to the terminal.")
    ] = None,
    repair: Annotated[
        bool,
        typer.Option(
            "--repair",
            help="Write what SageMaker Lineage lacks of the version, its ancestors and its "
            "descendants, and report what differs.",
        ),
    ] = False,
    as_json: AsJson = False,
    environment: Environment = DEFAULT_ENVIRONMENT,
) -> None:
    """Draws what a version was made from and what was made from it."""
    from cli.console import print_json, print_line
    from cli.errors import CliError
    from cli.find_version import find_package

    aws = AwsSession(environment)
    if repair:
        if out or form is not Format.TREE:
            raise CliError("--repair: draws nothing; leave --format and --out to another call")
        _repair(aws, find_package(aws, name) if name else None, as_json)
        return
    if name is None:
        raise CliError("NAME is missing; cards registry list shows what there is")
    drawn = family_drawing(aws, find_package(aws, name))
    form = Format.JSON if as_json else form
    if out:
        write_atomically(out, _text(drawn, form))
        print_line(f"wrote {out}")
    elif form is Format.JSON:
        from cli.registry.lineage_drawing import document

        print_json(document(drawn))
    elif form is Format.TREE:
        _show(drawn)
    else:
        print_line(_text(drawn, form).rstrip("\n"))


def family_drawing(aws: AwsSession, package: Package) -> Drawing:
    """A version's ancestors, itself, its descendants, their card sets and their releases."""
    from cli.registry.lineage_drawing import drawing
    from registry.lineage.ancestry import ancestors, descendants
    from registry.releases.folders import is_complete
    from registry.releases.publication import release_of

    sagemaker = aws.client("sagemaker")
    packages = [
        *ancestors(sagemaker, package),
        package,
        *descendants(sagemaker, package),
    ]
    wanted = {each.arn: release_of(each) for each in packages}
    releases = {
        arn: release
        for arn, release in wanted.items()
        if release and is_complete(aws.client("s3"), aws.deployment.release_bucket, release)
    }
    return drawing(packages, package, releases)


def lineage_tree(aws: AwsSession, package: Package) -> Branch:
    """The tree from a version's oldest ancestor, or its cards, down to what was made from it."""
    from cli.registry.lineage_drawing import tree

    return tree(family_drawing(aws, package))[0]


def _show(drawn: Drawing) -> None:
    from cli.console import print_tree
    from cli.registry.lineage_drawing import tree

    for root in tree(drawn):
        print_tree(root)


def _text(drawn: Drawing, form: Format) -> str:
    """The drawing as a file's contents."""
    import json

    from cli.registry.lineage_drawing import document, dot, mermaid, tree
    from cli.registry.lineage_svg import svg

    if form is Format.SVG:
        return svg(drawn)
    if form is Format.MERMAID:
        return mermaid(drawn)
    if form is Format.DOT:
        return dot(drawn)
    if form is Format.JSON:
        return json.dumps(document(drawn), indent=2) + "\n"
    lines: list[str] = []

    def walk(branch: Branch, depth: int) -> None:
        lines.append(f"{'  ' * depth}{'└ ' if depth else ''}{branch.label}")
        for child in branch.children:
            walk(child, depth + 1)

    for root in tree(drawn):
        walk(root, 0)
    return "\n".join(lines) + "\n"


def _repair(aws: AwsSession, package: Package | None, as_json: bool) -> None:
    from cli.console import activity, print_json, print_line
    from registry.lineage.record import UNEXPECTED, record_version

    sagemaker = aws.client("sagemaker")
    found: list[tuple[str, Change]] = []
    looked = 0
    with activity("SageMaker Lineage") as task:
        for each in _versions(aws, package):
            looked += 1
            task.update(each.label)
            for change in record_version(sagemaker, each):
                found.append((each.label, change))
                if not as_json:
                    task.log(f"{change.done:10} {change.kind} {change.name}")
    if as_json:
        print_json({"versions": looked, "changes": [_change(*each) for each in found]})
        return
    stray = sum(change.done == UNEXPECTED for _, change in found)
    if stray:
        print_line(
            f"{stray} unexpected: a parent in Lineage that the version does not record; left as "
            "it is: aws sagemaker delete-association removes it"
        )
    print_line(
        f"{looked} version{'s'[: looked != 1]} compared, {len(found) - stray} entities written"
    )


def _versions(aws: AwsSession, package: Package | None) -> Iterable[Package]:
    """The versions to repair, oldest first, so that a parent is there before its children."""
    from registry.lineage.ancestry import ancestors, descendants
    from registry.versions.packages import describe, iterate

    sagemaker = aws.client("sagemaker")
    if package:
        yield from reversed(ancestors(sagemaker, package))
        yield package
        yield from descendants(sagemaker, package)
        return
    rows = sorted(iterate(sagemaker, aws.deployment.group_name), key=lambda row: row.version)
    for row in rows:
        found = describe(sagemaker, row.arn)
        if found:
            yield found


def _change(label: str, change: Change) -> dict[str, Any]:
    return {"version": label, "done": change.done, "kind": change.kind, "name": change.name}
