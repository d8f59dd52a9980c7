"""``cards release sign``: signs releases of earlier versions of this product in today's formats."""

from __future__ import annotations

from typing import Annotated

import typer

from cli.automation_functions import invoke
from cli.aws import DEFAULT_ENVIRONMENT, AwsSession, Environment
from cli.errors import CliError
from cli.options import AsJson


def sign(
    release: Annotated[str | None, typer.Argument(help="A release's id.")] = None,
    all_releases: Annotated[
        bool, typer.Option("--all", help="Every complete release that lacks a signature.")
    ] = False,
    as_json: AsJson = False,
    environment: Environment = DEFAULT_ENVIRONMENT,
) -> None:
    """Adds the signatures that a release lacks: `model.sig`, `provenance.sig`, and the manifest's.

    The publisher signs, and only a release whose manifest one of the deployment's keys has signed
    and whose files are those that it names. Channels of an earlier version get their signed
    statement in the same run. With --all, a release that is refused is named, the others are
    signed, and the exit code is 1. Repeating it changes nothing.
    """
    from cli.console import print_json, print_line, print_stderr
    from registry.automation.actions import MOVE_CHANNELS, SIGN_RELEASE
    from registry.releases.folders import folders

    if (release is None) is not all_releases:
        raise CliError("cards release sign: name one release, or give --all")
    aws = AwsSession(environment)
    found = folders(aws.client("s3"), aws.deployment.release_bucket)
    complete = {each.release: each for each in found if each.published}
    if release is not None and release not in complete:
        raise CliError(f"{release}: is no complete release; cards release list shows what there is")
    wanted = (
        [release]
        if release is not None
        else [name for name, each in complete.items() if each.missing_signatures]
    )
    rows: list[dict[str, str]] = []
    refused = 0
    for name in wanted:
        try:
            answer = invoke(aws, aws.names.publish_function, {SIGN_RELEASE: name})
        except CliError as error:
            # A release that is not to be trusted keeps no other from its signatures.
            if not all_releases:
                raise
            refused += 1
            rows.append({"release": name, "error": str(error)})
            print_stderr(f"cards: {error}")
            continue
        rows.append({"release": name, "signed": answer["result"]})
        if not as_json:
            print_line(f"{name}: {answer['result']}")
    channels = invoke(aws, aws.names.publish_function, dict(MOVE_CHANNELS))["result"]
    if as_json:
        print_json(rows)
    else:
        if not rows:
            print_line("every release has its signatures")
        print_line(f"channels, each with its signed statement: {channels}")
    if refused:
        raise typer.Exit(1)
