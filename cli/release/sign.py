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
    and whose files are those that it names. Repeating it changes nothing.
    """
    from cli.console import print_json, print_line
    from registry.automation.actions import SIGN_RELEASE
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
    rows = []
    for name in wanted:
        answer = invoke(aws, aws.names.publish_function, {SIGN_RELEASE: name})
        rows.append({"release": name, "signed": answer["result"]})
        if not as_json:
            print_line(f"{name}: {answer['result']}")
    if as_json:
        print_json(rows)
    elif not rows:
        print_line("every release has its signatures")
