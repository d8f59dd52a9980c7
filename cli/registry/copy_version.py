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
    target_environment: Annotated[
        str, typer.Option("--to", help="The other deployment's environment.")
    ],
    target_profile: Annotated[
        str | None,
        typer.Option(
            "--to-profile", help="AWS profile of its account; the same account without it."
        ),
    ] = None,
    as_json: AsJson = False,
    environment: Environment = DEFAULT_ENVIRONMENT,
) -> None:
    """Copies an approved stage-2 student to another deployment, where it waits for approval.

    Its artifact and its card set are copied, its metadata and its name kept; where it came from
    stands in PromotedFrom. It is compiled, checked and signed there, once a person there approves.
    """
    from cli.console import activity, print_json, print_line, size
    from cli.find_version import find_package
    from registry.versions.copying import copy_version

    source, target = AwsSession(environment), AwsSession(target_environment, profile=target_profile)
    if target_environment == environment and target_profile is None:
        raise CliError(
            f"--to {target_environment}: is where the version is; name another, or --to-profile"
        )
    package = find_package(source, name)
    with activity(f"copying {package.label} to {target_environment}") as task:
        arn = copy_version(
            source.deployment,
            target.deployment,
            package,
            lambda key, count: task.update(f"{key} ({size(count)})"),
        )
    if as_json:
        print_json(
            {
                "name": package.label,
                "arn": arn,
                "from": package.arn,
                "environment": target_environment,
            }
        )
        return
    print_line(f"{package.label}: is in {target_environment}, waiting for approval there")
    profile = f"AWS_PROFILE={target_profile} " if target_profile else ""
    print_line(
        f"  {profile}cards registry approve {package.label} --reason … -e {target_environment}"
    )
