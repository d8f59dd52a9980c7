"""``cards release diff``: what differs between two releases."""

from __future__ import annotations

from typing import Annotated

import typer

from cli.aws import DEFAULT_ENVIRONMENT, AwsSession, Environment
from cli.options import AsJson


def diff(
    release: Annotated[str, typer.Argument(help="A release's id.", show_default=False)],
    other: Annotated[
        str | None, typer.Argument(help="Another's; by default the stable channel's.")
    ] = None,
    as_json: AsJson = False,
    environment: Environment = DEFAULT_ENVIRONMENT,
) -> None:
    """Shows what differs between two releases' manifests, signatures verified."""
    from cli.console import print_json, print_line, print_table
    from cli.release.verified_manifest import manifest_of
    from registry.releases.manifest_difference import differences
    from registry.releases.pull.download import release_in_channel

    aws = AwsSession(environment)
    before = other or release_in_channel(aws.client("s3"), aws.deployment.release_bucket)
    found = differences(manifest_of(aws, before), manifest_of(aws, release))
    if as_json:
        print_json({"before": before, "after": release, "differences": found})
    elif not found:
        print_line(f"{release} and {before} differ in nothing")
    else:
        print_table(
            ["WHAT", before, release],
            [[each["what"], str(each["before"]), str(each["after"])] for each in found],
        )
