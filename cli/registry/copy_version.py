"""``cards registry promote``: an approved version into another deployment, of any account."""

from __future__ import annotations

from typing import Annotated

import typer

from cli.aws import DEFAULT_ENVIRONMENT, AwsSession, Environment
from cli.errors import CliError
from cli.options import AsJson, Name

EPILOG = (
    "Example: cards registry promote student-efficientnet-lite0-stage2-v3 --to prod "
    "--to-profile production"
)


def promote(
    name: Name,
    to: Annotated[str, typer.Option(help="The other deployment's environment.")],
    to_profile: Annotated[
        str | None,
        typer.Option(help="AWS profile of its account; the same account without it."),
    ] = None,
    as_json: AsJson = False,
    environment: Environment = DEFAULT_ENVIRONMENT,
) -> None:
    """Copies an approved stage-2 student to another deployment, where it waits for approval.

    Its artifact and its card set are copied, its metadata and its name kept; where it came from
    stands in PromotedFrom. It is compiled, checked and signed there, once a person there approves.
    """
    from cli.console import activity, print_json, print_line, size
    from cli.find_version import package as find
    from registry.versions.copying import copy_version

    here, there = AwsSession(environment), AwsSession(to, profile=to_profile)
    if to == environment and to_profile is None:
        raise CliError(f"--to {to}: is where the version is; name another, or --to-profile")
    package = find(here, name)
    with activity(f"copying {package.label} to {to}") as task:
        arn = copy_version(
            here.deployment,
            there.deployment,
            package,
            lambda key, count: task.update(f"{key} ({size(count)})"),
        )
    if as_json:
        print_json({"name": package.label, "arn": arn, "from": package.arn, "environment": to})
        return
    print_line(f"{package.label}: is in {to}, waiting for approval there")
    profile = f"AWS_PROFILE={to_profile} " if to_profile else ""
    print_line(f"  {profile}cards registry approve {package.label} --reason … -e {to}")
